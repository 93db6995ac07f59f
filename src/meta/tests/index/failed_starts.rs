//! A start whose index cannot be made, emptied or filled keeps it in memory.

use super::*;
use crate::disk::RealDisk;
use crate::meta::index::{IndexError, Made};
use crate::meta::tests::hooked::{IndexCall, hooked};

/// Checks that a store starts, has what it had, and takes writes.
fn check(disk: &Arc<dyn Disk>, kind: IndexKind, what: &str) {
    let meta =
        Meta::open(Arc::clone(disk), MetaOptions::new(kind)).unwrap_or_else(|why| panic!("{what}: {why}"));
    assert_eq!(tags(&meta, "app"), ["one"], "{what}");
    run(&meta, put_manifest("app", "two", &["two"])).unwrap();
    assert_eq!(tags(&meta, "app"), ["one", "two"], "{what}");
    drop(meta);
    assert_eq!(tags(&open(disk), "app"), ["one", "two"], "{what}");
}

fn store() -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    run(&open(&disk), put_manifest("app", "one", &["one"])).unwrap();
    disk
}

#[test]
fn an_index_that_fails_at_a_start_is_kept_in_memory() {
    let broken = || IndexError::Storage("the test says so".to_owned());
    check(&store(), IndexKind::Made(Made(Arc::new(move |_| Err(broken())))), "it cannot be made");
    for failing in [IndexCall::Apply, IndexCall::Load, IndexCall::FinishLoad] {
        let make = move |_| -> Result<Arc<dyn Index>, IndexError> {
            Ok(hooked(MapIndex::new(), move |call| if call == failing { Err(broken()) } else { Ok(()) }))
        };
        check(&store(), IndexKind::Made(Made(Arc::new(make))), &format!("{failing:?}"));
    }
}

#[test]
fn an_old_index_that_cannot_be_removed_does_not_fail_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
    run(&open(&disk), put_manifest("app", "one", &["one"])).unwrap();
    // What is no folder cannot be removed as one.
    std::fs::write(folder.path().join("index"), "").unwrap();
    check(&disk, IndexKind::Sled(folder.path().to_owned()), "a file in its place");
}
