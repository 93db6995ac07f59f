//! Faults in metadata.

/// The part of the metadata that a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaFaultKind {
    /// The journal.
    Journal,
    /// A checkpoint.
    Checkpoint,
    /// The index.
    Index,
    /// A file that is no longer needed.
    Leftover,
}

/// A fault, or a note worth reporting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaFault {
    /// The part of the metadata that it concerns.
    pub kind: MetaFaultKind,
    /// Where it is.
    pub place: String,
    /// Its description.
    pub what: String,
}
