//! The index: what the journal adds up to, for quick reads. It is never the only copy of anything.

use std::ops::ControlFlow;

use crate::base::contained;
use crate::meta::model::{RowChange, Tree};

/// What an index can fail with.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IndexError {
    /// The index's own storage failed.
    #[error("the index failed: {0}")]
    Storage(String),
    /// The index found no space.
    #[error("no space left for the index")]
    NoSpace,
    /// The index failed and is being rebuilt.
    #[error("the index is being rebuilt")]
    Rebuilding,
    /// A row cannot be read back.
    #[error("a row of tree {tree} cannot be read: {reason}")]
    Row {
        /// The tree.
        tree: &'static str,
        /// Why.
        reason: String,
    },
    /// The index could not be removed so that it can be rebuilt.
    #[error("cannot remove the old index: {0}")]
    Remove(String),
    /// The index was closed.
    #[error("the index is closed")]
    Closed,
}

/// Called between the steps of long work; its error ends the work.
pub type Step<'a> = dyn FnMut() -> Result<(), IndexError> + 'a;

/// Called for each row of a scan.
pub type RowVisitor<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Ordered trees of rows that can be read.
pub trait RowReader: Send + Sync {
    /// Returns a row's value.
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError>;

    /// Visits the rows whose keys begin with `prefix`, in the order of their keys, starting after the key
    /// `after`. The scan is no snapshot: rows that change meanwhile may be seen before or after the change.
    fn scan(
        &self,
        tree: Tree,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), IndexError>;

    /// Returns how often the index was replaced by another one.
    fn replacements(&self) -> u64 {
        0
    }

    /// Reports that a row makes no sense which was read when [`Self::replacements`] returned `_replacements`,
    /// and returns the error of that read.
    fn unreadable(&self, error: IndexError, _replacements: u64) -> IndexError {
        error
    }
}

/// Ordered trees of rows that change together.
pub trait Index: RowReader + 'static {
    /// Makes all changes visible at once, and with them `seq`, the last transaction that they belong to.
    fn apply(&self, seq: u64, changes: &[RowChange]) -> Result<(), IndexError>;

    /// Makes changes in the fastest way, not atomically and perhaps not before [`Self::finish_load`]: for an
    /// index that is being rebuilt and has no readers yet.
    fn load(&self, changes: &[RowChange]) -> Result<(), IndexError>;

    /// Ends loading: everything loaded can be read now.
    fn finish_load(&self, step: &mut Step<'_>) -> Result<(), IndexError>;

    /// Returns the last transaction that was applied, 0 for none.
    fn applied(&self) -> Result<u64, IndexError>;

    /// Closes the index; its files are then complete, though not yet synced. Everything fails afterwards.
    fn close(&self) -> Result<(), IndexError>;

    /// Returns how many bytes its files take; 0 for an index without files.
    fn size_bytes(&self) -> Result<u64, IndexError> {
        Ok(0)
    }

    /// Returns its number among the databases in the folder of the index; `None` for one that no later start
    /// can use.
    fn generation(&self) -> Option<u64> {
        None
    }

    /// Has its files removed with its last handle.
    fn discard(&self) {}
}

/// Turns a panic into a failure: sled panics on some errors of its storage.
pub(in crate::meta) fn guarded<T>(work: impl FnOnce() -> Result<T, IndexError>) -> Result<T, IndexError> {
    contained(work).unwrap_or_else(|why| Err(IndexError::Storage(format!("it panicked: {why}"))))
}
