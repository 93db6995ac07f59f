//! Readers see what is durable, and nothing else.

use proptest::prelude::*;
use rustix::io::Errno;

use super::history::{REPOSITORIES, check_trees, histories, live};
use super::*;
use crate::disk::faulty::{Faults, FaultyDisk, Operation};
use crate::meta::writer::{DecidedRows, PendingRows};

/// Opens a store with one manifest, whose journal's syncs can be held back or fail.
fn with_one() -> (Arc<dyn Disk>, Arc<Faults>, Meta) {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let faulty = FaultyDisk::new(Arc::clone(&disk));
    let faults = faulty.faults();
    let meta = Meta::open(Arc::new(faulty), MetaOptions::new(IndexKind::Map)).unwrap();
    run(&meta, put_manifest("app", "one", &["one"])).unwrap();
    (disk, faults, meta)
}

#[test]
fn a_command_is_visible_once_it_is_durable_and_not_before() {
    let (_, faults, meta) = with_one();
    let before = (rows(meta.index()), stored(&meta));
    faults.hold_syncs("journal");
    let pushing = submit(&meta, put_manifest("other", "two", &["two"]));
    faults.wait_until_held();
    let deleting = submit(&meta, Command::DeleteManifest { repo: repo("app"), digest: digest("one") });
    assert_eq!((rows(meta.index()), stored(&meta)), before);
    faults.let_go();
    for answered in [pushing, deleting] {
        answered.recv().unwrap().unwrap();
    }
    assert_eq!(tags(&meta, "other"), ["two"]);
    assert_eq!(tags(&meta, "app"), [""; 0]);
}

#[test]
fn a_removal_is_visible_once_it_is_durable_and_not_before() {
    let (_, faults, meta) = with_one();
    let before = rows(meta.index());
    faults.hold_syncs("journal");
    let deleting = submit(&meta, Command::DeleteManifest { repo: repo("app"), digest: digest("one") });
    faults.wait_until_held();
    assert_eq!(rows(meta.index()), before);
    faults.let_go();
    deleting.recv().unwrap().unwrap();
    assert_eq!(tags(&meta, "app"), [""; 0]);
}

#[test]
fn what_a_failed_sync_covered_is_not_visible_even_in_a_rebuilt_index() {
    let (_, faults, meta) = with_one();
    let before = (rows(meta.index()), stored(&meta));
    faults.fail(Operation::Sync, "journal", Errno::IO);
    let failed = run(&meta, put_manifest("app", "two", &["one", "two"]));
    assert!(matches!(failed, Err(MetaError::Poisoned(_))), "{failed:?}");
    assert_eq!((rows(meta.index()), stored(&meta)), before);
    // The journal's file may well have the line.
    meta.break_index();
    settle(&meta);
    assert_eq!(meta.rebuilding(), None);
    assert_eq!((rows(meta.index()), stored(&meta)), before);
}

#[test]
fn an_index_rebuilt_during_a_batch_loses_nothing_of_it() {
    let (_, faults, meta) = with_one();
    faults.hold_syncs("journal");
    let first = submit(&meta, put_manifest("app", "two", &["two"]));
    faults.wait_until_held();
    let second = submit(&meta, put_manifest("app", "three", &["three"]));
    meta.break_index();
    faults.let_go();
    for answered in [first, second] {
        answered.recv().unwrap().unwrap();
    }
    assert_eq!(tags(&meta, "app"), ["one", "three", "two"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pending_transactions_read_as_if_they_were_in_the_index(
        commands in histories(),
        at in any::<prop::sample::Index>(),
    ) {
        let rules = live(&commands);
        let (durable, mut pending) = (MapIndex::new(), PendingRows::default());
        let split = if rules.transactions.is_empty() { 0 } else { at.index(rules.transactions.len()) };
        apply_all(&durable, &rules.transactions[..split]);
        for facts in &rules.transactions[split..] {
            pending.add(1, changes_of(facts).unwrap());
        }
        let decided = DecidedRows { durable: &durable, pending: &pending };
        prop_assert_eq!(rows(&rules.index), rows(&decided));
        for (tree, key, value) in rows(&rules.index) {
            prop_assert_eq!(decided.get(tree, &key).unwrap(), Some(value));
        }
        check_trees(View::new(&decided));
        for name in REPOSITORIES.map(repo) {
            let all = View::new(&decided).tags(&name, None, usize::MAX).unwrap();
            for (at, last) in all.iter().enumerate() {
                let some = View::new(&decided).tags(&name, Some(last.as_str()), 2).unwrap();
                prop_assert_eq!(&some, &all[at + 1..all.len().min(at + 3)]);
            }
        }
        pending.move_to(&durable).unwrap();
        prop_assert_eq!(rows(&rules.index), rows(&durable));
    }
}
