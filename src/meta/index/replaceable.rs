//! The index behind a handle that stays valid while the index itself is made anew.
//!
//! An index that failed is not asked again: sled, for one, keeps failing once it met an error, also when
//! there is space again. The writer is told, closes it, and puts another one in its place, filled from the
//! newest checkpoint and the journal. Meanwhile everybody else is told to come again.

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::base::{read, write};
use crate::meta::index::compaction::{CompactionOutcome, CompactionPacing};
use crate::meta::index::contract::{Index, IndexError, RowVisitor, guarded};
use crate::meta::model::{RowChange, Tree};

/// What is called when an index fails.
type OnFailure = dyn Fn() + Send + Sync;

/// The index, whichever it is at the moment.
pub(in crate::meta) struct ReplaceableIndex {
    slot: RwLock<Slot>,
    /// Called when it fails.
    failed: Box<OnFailure>,
}

struct Slot {
    /// `None` while it is made anew; the one that failed is closed by then.
    open: Option<Arc<dyn Index>>,
    /// Whether it is the one that a clean stop may leave for the next start.
    can_stay: bool,
}

impl ReplaceableIndex {
    /// Puts an index behind a handle. Only one that `can_stay` is trusted after a clean stop.
    pub(in crate::meta) fn new(index: Arc<dyn Index>, can_stay: bool, failed: Box<OnFailure>) -> Self {
        Self { slot: RwLock::new(Slot { open: Some(index), can_stay }), failed }
    }

    /// Tells whether it failed and has not been made anew yet.
    pub(in crate::meta) fn is_failed(&self) -> bool {
        self.read().open.is_none()
    }

    /// Tells whether a clean stop may leave it for the next start.
    pub(in crate::meta) fn can_stay(&self) -> bool {
        self.read().can_stay
    }

    /// Puts another index in its place.
    pub(in crate::meta) fn replace(&self, index: Arc<dyn Index>, can_stay: bool) {
        *self.write() = Slot { open: Some(index), can_stay };
    }

    /// Asks it no more until another one is put in its place, and tells the writer.
    pub(in crate::meta) fn fail(&self, why: &str) {
        let failed = {
            let mut slot = self.write();
            slot.can_stay = false;
            slot.open.take()
        };
        let Some(failed) = failed else { return };
        log::error!("the index failed, and is made anew: {why}");
        if let Err(error) = guarded(|| failed.close()) {
            log::debug!("the failed index could not be closed: {error}");
        }
        // Without a writer nobody changes anything any more, and the next start makes the index anew.
        (self.failed)();
    }

    fn with<T>(&self, work: impl FnOnce(&dyn Index) -> Result<T, IndexError>) -> Result<T, IndexError> {
        // Taken out of the lock: what `work` calls may read the index itself.
        let index = self.read().open.clone().ok_or(IndexError::Rebuilding)?;
        match guarded(|| work(index.as_ref())) {
            Err(error @ (IndexError::Storage(_) | IndexError::NoSpace)) => {
                self.fail(&error.to_string());
                Err(IndexError::Rebuilding)
            }
            // Another one found it failed, and closed it, just now.
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
        // One that failed was closed then.
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
