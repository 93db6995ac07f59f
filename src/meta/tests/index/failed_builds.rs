//! A new index that fails while it is built does no harm to the one in use.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::compaction::{Store, is_done, replace_while};
use super::*;
use crate::disk::RealDisk;
use crate::meta::index::{CompactionOutcome, IndexError, Made, SledIndex};
use crate::meta::tests::hooked::{IndexCall, hooked};

/// Returns an index in sled that fails at every change after the first `good` ones.
fn failing(sled: SledIndex, good: usize, panics: bool) -> Arc<dyn Index> {
    let left = AtomicUsize::new(good);
    hooked(sled, move |call| {
        if !matches!(call, IndexCall::Apply | IndexCall::FinishLoad)
            || left.fetch_sub(1, Ordering::SeqCst) > 0
        {
            return Ok(());
        }
        left.store(0, Ordering::SeqCst);
        assert!(!panics, "the test says so");
        Err(IndexError::NoSpace)
    })
}

#[test]
fn a_new_index_that_fails_goes_and_the_old_one_stays() {
    for panics in [false, true] {
        for good in 0..4 {
            let folder = tempfile::tempdir().unwrap();
            let index = folder.path().join("index");
            let make = move |generation| -> Result<Arc<dyn Index>, IndexError> {
                let sled = SledIndex::create(&index, generation)?;
                Ok(failing(sled, if generation == 1 { good } else { usize::MAX }, panics))
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
