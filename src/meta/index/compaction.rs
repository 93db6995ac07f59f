//! Making the files of an index smaller: what is asked, and what comes of it.

/// An index is not made smaller below this: there is little to be had.
pub const WORTHWHILE_MIN_BYTES: u64 = 64 * 1024 * 1024;

/// What became of an index that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompactionOutcome {
    /// It is not too large, or has no files.
    NotNeeded,
    /// It has new files.
    Done {
        /// What the old ones took.
        before_bytes: u64,
        /// What the new ones take.
        after_bytes: u64,
    },
    /// The caller wanted no more, or the index was closed.
    Stopped,
    /// There is not enough space for the new files beside the old.
    NoSpace,
    /// The new files could not be written; the old ones stay in use.
    Failed(String),
}

/// What a compaction asks while it works.
pub struct CompactionPacing<'a> {
    /// Called between any two steps. Makes the pause that is due, and tells whether to go on.
    pub pause: &'a mut dyn FnMut() -> bool,
    /// Tells whether the disk has room for so many bytes more.
    pub has_room: &'a dyn Fn(u64) -> bool,
    /// The least size of the files that is worth it, in bytes; 0 has them made anew whatever they take.
    pub worthwhile_bytes: u64,
}
