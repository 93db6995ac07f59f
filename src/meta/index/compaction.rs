//! Compaction of an index whose files are far too large for its rows: when it is worthwhile, and its outcome.
//!
//! sled never returns space to the filesystem, so after large deletions only new files are smaller.

use std::ops::ControlFlow;

use crate::meta::index::contract::{Index, IndexError};
use crate::meta::model::Tree;

/// Smaller indexes are not compacted: the gain would be small.
pub const WORTHWHILE_MIN_BYTES: u64 = 64 * 1024 * 1024;

/// How many bytes a new database takes for one byte of a row's key and value: sled takes 1.8 to 2.6.
const FILE_FOR_ROW_BYTE: u64 = 3;

/// How many times what its rows need an index may take before it is replaced.
const EXCESS_MAX: u64 = 4;

/// What a database without rows takes, roughly.
const FILE_MIN_BYTES: u64 = 1024 * 1024;

/// How much room a step leaves free, even without a reserve: the old files and the rest of the store need
/// some.
pub(in crate::meta) const ROOM_MIN_BYTES: u64 = 4 * 1024 * 1024;

/// How many rows one step reads.
const STEP_ROWS: usize = 64;

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
    /// Whether checkpoints that are far too long may be replaced.
    pub may_renew_checkpoints: bool,
}

/// Returns how many bytes new files would take, if files of `size` bytes are far too large for the rows.
pub(in crate::meta) fn needed_if_too_large(
    index: &dyn Index,
    size: u64,
    pacing: &mut CompactionPacing<'_>,
) -> Result<ControlFlow<CompactionOutcome, u64>, IndexError> {
    let least = pacing.worthwhile_bytes;
    let is_wanted = |needed: u64| least == 0 || (size >= least && size / EXCESS_MAX > needed);
    let mut needed = FILE_MIN_BYTES;
    for tree in Tree::ALL {
        let mut after: Option<Vec<u8>> = None;
        while is_wanted(needed) {
            let (mut rows, mut last) = (0, None);
            index.scan(tree, &[], after.as_deref(), &mut |key, value| {
                needed += FILE_FOR_ROW_BYTE * (key.len() + value.len()) as u64;
                rows += 1;
                if rows < STEP_ROWS {
                    return ControlFlow::Continue(());
                }
                last = Some(key.to_vec());
                ControlFlow::Break(())
            })?;
            if !(pacing.pause)() {
                return Ok(ControlFlow::Break(CompactionOutcome::Stopped));
            }
            after = last;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(match is_wanted(needed) {
        true => ControlFlow::Continue(needed),
        false => ControlFlow::Break(CompactionOutcome::NotNeeded),
    })
}
