//! A handle to the index that stays valid while the index itself is rebuilt.
//!
//! A failed index is not used again: sled, for one, keeps failing after an error, even when there is space
//! again. The writer is notified, closes it, and replaces it with an index filled from the newest checkpoint
//! and the journal. Meanwhile every other caller gets [`IndexError::Rebuilding`].

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::base::{read, write};
use crate::meta::index::compaction::{CompactionOutcome, CompactionPacing};
use crate::meta::index::contract::{Index, IndexError, RowVisitor, guarded};
use crate::meta::model::{RowChange, Tree};

/// What is called when an index fails.
type OnFailure = dyn Fn() + Send + Sync;

/// The current index.
pub(in crate::meta) struct ReplaceableIndex {
    slot: RwLock<Slot>,
    /// Called when it fails.
    failed: Box<OnFailure>,
}

struct Slot {
    /// `None` during a rebuild; the failed index is closed by then.
    open: Option<Arc<dyn Index>>,
    /// Whether a clean stop may leave this index for the next start.
    can_stay: bool,
}

impl ReplaceableIndex {
    /// Wraps an index in a handle. Only an index that `can_stay` is trusted after a clean stop.
    pub(in crate::meta) fn new(index: Arc<dyn Index>, can_stay: bool, failed: Box<OnFailure>) -> Self {
        Self { slot: RwLock::new(Slot { open: Some(index), can_stay }), failed }
    }

    /// Tells whether the index failed and has not been rebuilt yet.
    pub(in crate::meta) fn is_failed(&self) -> bool {
        self.read().open.is_none()
    }

    /// Tells whether a clean stop may leave it for the next start.
    pub(in crate::meta) fn can_stay(&self) -> bool {
        self.read().can_stay
    }

    /// Replaces the index.
    pub(in crate::meta) fn replace(&self, index: Arc<dyn Index>, can_stay: bool) {
        *self.write() = Slot { open: Some(index), can_stay };
    }

    /// Takes the index out of use until another one replaces it, and notifies the writer.
    pub(in crate::meta) fn fail(&self, why: &str) {
        let failed = {
            let mut slot = self.write();
            slot.can_stay = false;
            slot.open.take()
        };
        let Some(failed) = failed else { return };
        log::error!("the index failed and will be rebuilt: {why}");
        if let Err(error) = guarded(|| failed.close()) {
            log::debug!("the failed index could not be closed: {error}");
        }
        // Without a writer the index cannot change any more, and the next start rebuilds it.
        (self.failed)();
    }

    fn with<T>(&self, work: impl FnOnce(&dyn Index) -> Result<T, IndexError>) -> Result<T, IndexError> {
        // Clone it out of the lock: what `work` calls may read the index itself.
        let index = self.read().open.clone().ok_or(IndexError::Rebuilding)?;
        match guarded(|| work(index.as_ref())) {
            Err(error @ (IndexError::Storage(_) | IndexError::NoSpace)) => {
                self.fail(&error.to_string());
                Err(IndexError::Rebuilding)
            }
            // Another thread found the failure, and closed the index, just now.
            Err(IndexError::Closed) if self.is_failed() => Err(IndexError::Rebuilding),
            done => done,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Slot> {
        read(&self.slot)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Slot> {
        write(&self.slot)
    }
}

impl Index for ReplaceableIndex {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        self.with(|index| index.get(tree, key))
    }

    fn scan(
        &self,
        tree: Tree,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), IndexError> {
        self.with(|index| index.scan(tree, prefix, after, visit))
    }

    fn apply(&self, seq: u64, changes: &[RowChange]) -> Result<(), IndexError> {
        self.with(|index| index.apply(seq, changes))
    }

    fn load(&self, changes: &[RowChange]) -> Result<(), IndexError> {
        self.with(|index| index.load(changes))
    }

    fn finish_load(&self) -> Result<(), IndexError> {
        self.with(Index::finish_load)
    }

    fn applied(&self) -> Result<u64, IndexError> {
        self.with(Index::applied)
    }

    fn close(&self) -> Result<(), IndexError> {
        let open = self.read().open.clone();
        // A failed index was closed when it failed.
        open.map_or(Ok(()), |index| guarded(|| index.close()))
    }

    fn size_bytes(&self) -> Result<u64, IndexError> {
        self.with(Index::size_bytes)
    }

    fn generation(&self) -> u64 {
        self.read().open.as_ref().map_or(0, |index| index.generation())
    }

    fn compact(&self, pacing: &mut CompactionPacing<'_>) -> Result<CompactionOutcome, IndexError> {
        self.with(|index| index.compact(pacing))
    }
}
