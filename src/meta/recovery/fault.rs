//! What can be wrong with metadata.

/// What something that is wrong is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaFaultKind {
    /// The journal.
    Journal,
    /// A checkpoint.
    Checkpoint,
    /// The index.
    Index,
    /// A file that serves no purpose any more.
    Leftover,
}

/// Something that is wrong, or just worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaFault {
    /// What it is about.
    pub kind: MetaFaultKind,
    /// Where it is.
    pub place: String,
    /// What it is.
    pub what: String,
}
