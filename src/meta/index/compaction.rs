//! Compaction of an index's files: the request and its outcome.

/// Smaller indexes are not compacted: the gain would be small.
pub const WORTHWHILE_MIN_BYTES: u64 = 64 * 1024 * 1024;

/// The outcome of a compaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompactionOutcome {
    /// The files are not too large, or the index has none.
    NotNeeded,
    /// The index has new files.
    Done {
        /// What the old files took.
        before_bytes: u64,
        /// What the new files take.
        after_bytes: u64,
    },
    /// The caller stopped the compaction, or the index was closed.
    Stopped,
    /// The disk has not enough space for the new files beside the old.
    NoSpace,
    /// The new files could not be written; the old ones stay in use.
    Failed(String),
}

/// What a compaction calls while it works.
pub struct CompactionPacing<'a> {
    /// Called between any two steps. Pauses as long as necessary, and returns whether to continue.
    pub pause: &'a mut dyn FnMut() -> bool,
    /// Tells whether the disk has room for the given number of further bytes.
    pub has_room: &'a dyn Fn(u64) -> bool,
    /// The least size of the files that is worth a compaction, in bytes; 0 rewrites them at any size.
    pub worthwhile_bytes: u64,
}
