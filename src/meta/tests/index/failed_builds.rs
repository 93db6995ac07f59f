//! A new index that fails while it is built does no harm to the one in use.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::compaction::{Store, is_done, replace_while};
use super::*;
use crate::disk::RealDisk;
use crate::meta::index::{CompactionOutcome, IndexError, Made, RowVisitor, SledIndex, Step};

/// An index in sled that fails at one of its changes.
struct Failing {
    sled: SledIndex,
    left: AtomicUsize,
    panics: bool,
}

impl Failing {
    fn check(&self) -> Result<(), IndexError> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        self.left.store(0, Ordering::SeqCst);
        assert!(!self.panics, "the test says so");
        Err(IndexError::NoSpace)
    }
}

impl RowReader for Failing {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        self.sled.get(tree, key)
    }

    fn scan(
        &self,
        tree: Tree,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), IndexError> {
        self.sled.scan(tree, prefix, after, visit)
    }
}

impl Index for Failing {
    fn apply(&self, seq: u64, changes: &[RowChange]) -> Result<(), IndexError> {
        self.check().and_then(|()| self.sled.apply(seq, changes))
    }

    fn load(&self, changes: &[RowChange]) -> Result<(), IndexError> {
        self.sled.load(changes)
    }

    fn finish_load(&self, step: &mut Step<'_>) -> Result<(), IndexError> {
        self.check().and_then(|()| self.sled.finish_load(step))
    }

    fn applied(&self) -> Result<u64, IndexError> {
        self.sled.applied()
    }

    fn close(&self) -> Result<(), IndexError> {
        self.sled.close()
    }

    fn generation(&self) -> Option<u64> {
        self.sled.generation()
    }

    fn discard(&self) {
        self.sled.discard();
    }
}

#[test]
fn a_new_index_that_fails_goes_and_the_old_one_stays() {
    for panics in [false, true] {
        for good in 0..4 {
            let folder = tempfile::tempdir().unwrap();
            let index = folder.path().join("index");
            let make = move |generation| -> Result<Arc<dyn Index>, IndexError> {
                let sled = SledIndex::create(&index, generation)?;
                let left = if generation == 1 { good } else { usize::MAX };
                Ok(Arc::new(Failing { sled, left: AtomicUsize::new(left), panics }))
            };
            let store = Store {
                meta: Some(
                    Meta::open(
                        Arc::new(RealDisk::open(folder.path()).unwrap()),
                        MetaOptions::new(IndexKind::Made(Made(Arc::new(make)))),
                    )
                    .unwrap(),
                ),
                folder,
            };
            let before = store.entries();
            let mut step = 0;
            let compacted = replace_while(store.meta(), false, || {
                step += 1;
                store.tag("one", &format!("{step}"), 2);
                true
            });
            let fits =
                if panics { matches!(compacted, CompactionOutcome::Failed(_)) } else { !is_done(&compacted) };
            assert!(fits, "{good}: {compacted:?}");
            assert_eq!(store.entries(), before);
            store.check();
            assert!(is_done(&replace_while(store.meta(), false, || true)));
            assert_eq!(store.entries(), ["generation-2"]);
            store.check();
        }
    }
}
