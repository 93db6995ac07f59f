//! A handle to the index that stays valid while the index itself is rebuilt.
//!
//! A failed index is not used again: sled, for one, keeps failing after an error, even when there is space
//! again. The writer is notified, closes it, and replaces it with an index filled from the newest checkpoint
//! and the journal. Meanwhile every other caller gets [`IndexError::Rebuilding`].
//!
//! An index that is too large is replaced while it works: a read in progress ends on the old one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::base::{read, write};
use crate::meta::index::contract::{Index, IndexError, RowReader, RowVisitor, Step, guarded};
use crate::meta::model::{RowChange, Tree};

/// What is called when an index fails.
type OnFailure = dyn Fn() + Send + Sync;

/// The current index.
pub(in crate::meta) struct ReplaceableIndex {
    /// `None` during a rebuild; the failed index is closed by then.
    open: RwLock<Option<Arc<dyn Index>>>,
    last_generation: AtomicU64,
    /// How often what it shows may have changed.
    changes: AtomicU64,
    /// How often the index was replaced. Changes under the lock of `open`.
    replacements: AtomicU64,
    /// Called when it fails.
    failed: Box<OnFailure>,
}

impl ReplaceableIndex {
    /// Wraps an index in a handle.
    pub(in crate::meta) fn new(index: Arc<dyn Index>, failed: Box<OnFailure>) -> Self {
        let last_generation = AtomicU64::new(index.generation().unwrap_or(0));
        let (changes, replacements) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { open: RwLock::new(Some(index)), last_generation, changes, replacements, failed }
    }

    /// Tells whether the index failed and has not been rebuilt yet.
    pub(in crate::meta) fn is_failed(&self) -> bool {
        self.read().is_none()
    }

    /// Returns a generation that no index had since the start: sled may still use the names of an old one.
    pub(in crate::meta) fn next_generation(&self) -> u64 {
        1 + self.last_generation.fetch_add(1, Ordering::SeqCst)
    }

    /// Returns a number that grows with each change, once it is visible and before its caller continues.
    pub(in crate::meta) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Replaces the index, and returns the old one, whose files go when its last reader has ended.
    pub(in crate::meta) fn replace(&self, index: Arc<dyn Index>) -> Option<Arc<dyn Index>> {
        let mut open = self.write();
        let old = open.replace(index);
        self.replacements.fetch_add(1, Ordering::SeqCst);
        drop(open);
        self.changed();
        if let Some(old) = &old {
            old.discard();
        }
        old
    }

    /// Takes the index out of use until another one replaces it, and notifies the writer.
    pub(in crate::meta) fn fail(&self, why: &str) {
        let open = self.read().clone();
        if let Some(index) = open {
            self.fail_if_in_use(index, why);
        }
    }

    /// The same, unless another index has already replaced this one.
    fn fail_if_in_use(&self, index: Arc<dyn Index>, why: &str) {
        if self.write().take_if(|open| Arc::ptr_eq(open, &index)).is_none() {
            return;
        }
        log::error!("the index failed and will be rebuilt: {why}");
        index.discard();
        if let Err(error) = guarded(|| index.close()) {
            log::debug!("the failed index could not be closed: {error}");
        }
        // Its files go before the new ones come, unless it is still read.
        drop(index);
        // Without a writer the index cannot change any more, and the next start rebuilds it.
        (self.failed)();
    }

    fn with<T>(&self, work: impl FnOnce(&dyn Index) -> Result<T, IndexError>) -> Result<T, IndexError> {
        // Clone it out of the lock: what `work` calls may read the index itself.
        let index = self.read().clone().ok_or(IndexError::Rebuilding)?;
        match guarded(|| work(index.as_ref())) {
            Err(error @ (IndexError::Storage(_) | IndexError::NoSpace)) => {
                self.fail_if_in_use(index, &error.to_string());
                Err(IndexError::Rebuilding)
            }
            // Another thread found the failure, and closed the index, just now.
            Err(IndexError::Closed) if self.is_failed() => Err(IndexError::Rebuilding),
            done => done,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Arc<dyn Index>>> {
        read(&self.open)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Arc<dyn Index>>> {
        write(&self.open)
    }
}

impl RowReader for ReplaceableIndex {
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

    fn replacements(&self) -> u64 {
        self.replacements.load(Ordering::SeqCst)
    }

    /// Takes the index out of use: one that is built from the journal has no such row. The row may also be
    /// from an index that was replaced meanwhile.
    fn unreadable(&self, error: IndexError, replacements: u64) -> IndexError {
        let open = self.read().clone().filter(|_| self.replacements() == replacements);
        if let Some(index) = open {
            self.fail_if_in_use(index, &error.to_string());
        }
        IndexError::Rebuilding
    }
}

impl Index for ReplaceableIndex {
    fn apply(&self, seq: u64, changes: &[RowChange]) -> Result<(), IndexError> {
        let applied = self.with(|index| index.apply(seq, changes));
        self.changed();
        applied
    }

    fn load(&self, changes: &[RowChange]) -> Result<(), IndexError> {
        self.with(|index| index.load(changes))
    }

    fn finish_load(&self, step: &mut Step<'_>) -> Result<(), IndexError> {
        let loaded = self.with(|index| index.finish_load(step));
        self.changed();
        loaded
    }

    fn applied(&self) -> Result<u64, IndexError> {
        self.with(Index::applied)
    }

    fn close(&self) -> Result<(), IndexError> {
        let open = self.read().clone();
        // A failed index was closed when it failed.
        open.map_or(Ok(()), |index| guarded(|| index.close()))
    }

    fn size_bytes(&self) -> Result<u64, IndexError> {
        self.with(Index::size_bytes)
    }

    fn generation(&self) -> Option<u64> {
        self.read().as_ref().and_then(|index| index.generation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::index::{MapIndex, View};
    use crate::meta::model::key;

    /// Makes an index with these values of rows in the tree of repositories.
    fn with_rows(values: &[(&str, &[u8])]) -> Arc<dyn Index> {
        let row = |(name, value): &(&str, &[u8])| RowChange {
            tree: Tree::Repositories,
            key: key(&[*name]),
            value: Some(value.to_vec()),
        };
        let index: Arc<dyn Index> = Arc::new(MapIndex::new());
        index.apply(1, &values.iter().map(row).collect::<Vec<_>>()).unwrap();
        index
    }

    #[test]
    fn a_row_of_a_replaced_index_that_cannot_be_read_does_not_fail_the_new_one() {
        let rows: [(&str, &[u8]); 2] = [("a", b"{}"), ("b", b"damaged")];
        for is_replaced in [true, false] {
            let index = ReplaceableIndex::new(with_rows(&rows), Box::new(|| {}));
            let mut replaced = false;
            let read = View::new(&index).each_row(Tree::Repositories, |_, value| {
                if is_replaced && !std::mem::replace(&mut replaced, true) {
                    index.replace(with_rows(&[]));
                }
                let reason = "damaged".to_owned();
                if value == b"damaged" { Err(IndexError::Row { tree: "", reason }) } else { Ok(()) }
            });
            assert!(matches!(read, Err(IndexError::Rebuilding)), "{read:?}");
            assert_eq!(index.is_failed(), !is_replaced);
        }
    }
}
