//! The writer on a failing disk: an error without any effect, or no more writes.

use std::time::Duration;

use rustix::io::Errno;

use super::*;
use crate::disk::faulty::{Faults, FaultyDisk, Operation};
use crate::meta::journal::journal_path;
use crate::meta::{OnSyncFailure, Start};

struct Failing {
    disk: Arc<dyn Disk>,
    faults: Arc<Faults>,
    meta: Meta,
}

impl Failing {
    /// Makes a store that stays poisoned.
    fn new() -> Self {
        Self::with(OnSyncFailure::Exit)
    }

    fn with(on_sync_failure: OnSyncFailure) -> Self {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let faulty = FaultyDisk::new(Arc::clone(&disk));
        let faults = faulty.faults();
        let reopen_pause = Duration::from_millis(1);
        let options = MetaOptions { on_sync_failure, reopen_pause, ..MetaOptions::new(IndexKind::Map) };
        let meta = Meta::open(Arc::new(faulty), options).unwrap();
        run(&meta, put_manifest("app", "one", &["one"])).unwrap();
        Self { disk, faults, meta }
    }

    fn reopened(&self) -> Meta {
        open(&copy(self.disk.as_ref()))
    }

    /// Checks that writes, refusals and commands without effect are all refused, that reads continue, and
    /// that the stop is not a clean one.
    fn check_poisoned(&self) {
        assert!(self.meta.poisoned().is_some());
        let synced = self.faults.count(Operation::Sync, "journal");
        for command in [
            put_manifest("app", "three", &["three"]),
            put_manifest("app", "one", &["one"]),
            Command::DeleteTag { repo: repo("app"), tag: tag("missing") },
            Command::BeginUpload { id: upload_id(1), row: upload_row("app", 0) },
        ] {
            let refused = run(&self.meta, command);
            assert!(matches!(refused, Err(MetaError::Poisoned(_))), "{refused:?}");
        }
        assert_eq!(
            self.faults.count(Operation::Sync, "journal"),
            synced,
            "a sync that failed is not tried again"
        );
        assert!(tags(&self.meta, "app").contains(&"one".to_owned()));
        let closed = self.meta.close().unwrap_err();
        assert!(matches!(closed, crate::meta::error::MetaOpenError::Poisoned(_)), "{closed}");
    }
}

/// Waits until the store was reopened this many times.
fn wait_until_reopened(meta: &Meta, times: u64) {
    for _ in 0..10_000 {
        if meta.reopened() >= times && meta.poisoned().is_none() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it was not reopened: {:?}", meta.poisoned());
}

#[test]
fn after_a_failed_sync_the_journal_continues_in_a_new_file_after_what_is_durable() {
    let store = Failing::with(OnSyncFailure::Reopen);
    store.faults.fail(Operation::Sync, "journal", Errno::IO);
    let failed = run(&store.meta, two());
    assert!(matches!(failed, Err(MetaError::Poisoned(_))), "{failed:?}");
    wait_until_reopened(&store.meta, 1);
    assert_eq!(tags(&store.meta, "app"), ["one"], "what was not made durable is gone");
    assert_eq!(store.meta.totals().blobs, 1);
    run(&store.meta, put_manifest("app", "three", &["three"])).unwrap();
    assert_eq!(journal_files(store.disk.as_ref()), ["000000000001.log", "000000000002.log"]);
    // Whatever the medium has of the line that was not made durable.
    let mut bytes = vec![0; 64 * 1024];
    let length = store.disk.open(&journal_path(1)).unwrap().read_at(&mut bytes, 0).unwrap();
    let end = bytes[..length].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for at in (end - 200..=end).rev().flat_map(|at| [(at, false), (at, true)]) {
        let left = copy(store.disk.as_ref());
        let file = left.open_writable(&journal_path(1)).unwrap();
        let (at, garbled) = at;
        if garbled {
            file.write_at(b"#", at as u64).unwrap();
        } else {
            file.truncate(at as u64).unwrap();
        }
        let reopened = open(&left);
        assert_eq!(tags(&reopened, "app"), ["one", "three"], "{at}, garbled: {garbled}");
        assert_eq!(reopened.start(), Start::Recovered);
        assert_eq!(rows(reopened.index()), rows(store.meta.index()));
    }
    store.meta.close().unwrap();
}

#[test]
fn a_store_that_cannot_be_reopened_at_once_is_tried_again() {
    for (operation, errno, times) in [
        (Operation::Create, Errno::NOSPC, 3),
        (Operation::Write, Errno::IO, 1),
        (Operation::Sync, Errno::IO, 3),
        (Operation::Rename, Errno::IO, 3),
        (Operation::SyncFolder, Errno::IO, 3),
    ] {
        let store = Failing::with(OnSyncFailure::Reopen);
        store.faults.fail(Operation::Sync, "journal", Errno::IO);
        // The line itself is written.
        let skip = u64::from(operation == Operation::Write);
        for _ in 0..times {
            store.faults.fail_later(operation, "journal", skip, errno);
        }
        run(&store.meta, two()).unwrap_err();
        wait_until_reopened(&store.meta, 1);
        run(&store.meta, put_manifest("app", "three", &["three"])).unwrap_or_else(|error| {
            panic!("{operation:?}: {error}");
        });
        for left in [copy(store.disk.as_ref()), Arc::clone(&store.disk)] {
            assert_eq!(tags(&open(&left), "app"), ["one", "three"], "{operation:?}");
        }
    }
}

fn two() -> Command {
    put_manifest("app", "two", &["two"])
}

#[test]
fn a_failed_append_is_an_error_and_nothing_of_it_is_there() {
    for errno in [Errno::NOSPC, Errno::DQUOT, Errno::IO] {
        for written in [0, 1, 100, usize::MAX] {
            let store = Failing::new();
            store.faults.cut_write_short("journal", written, errno);
            let failed = run(&store.meta, two());
            match errno {
                Errno::IO => assert!(matches!(failed, Err(MetaError::Failed(_))), "{failed:?}"),
                _ => assert!(matches!(failed, Err(MetaError::NoSpace)), "{failed:?}"),
            }
            assert_eq!(tags(&store.meta, "app"), ["one"]);
            assert_eq!(store.meta.totals().blobs, 1);
            assert_eq!(store.meta.poisoned(), None);
            assert_eq!(tags(&store.reopened(), "app"), ["one"]);
            // The next line is written where the journal stood, even if it is shorter.
            run(&store.meta, Command::DeleteTag { repo: repo("app"), tag: tag("one") }).unwrap();
            run(&store.meta, two()).unwrap();
            let reopened = store.reopened();
            assert_eq!(tags(&reopened, "app"), ["two"]);
            assert_eq!(rows(reopened.index()), rows(store.meta.index()));
            assert_eq!(journal_files(store.disk.as_ref()), ["000000000001.log"]);
        }
    }
}

/// `ulimit -f`, or the filesystem's limit.
#[test]
fn a_file_that_may_not_grow_is_left_for_a_new_one() {
    let store = Failing::new();
    // The second line of a file begins on its second block.
    for number in 0..3 {
        run(&store.meta, put_manifest("app", &format!("{number}"), &["first"])).unwrap();
    }
    for operation in [Operation::Write, Operation::Reserve] {
        let before = journal_files(store.disk.as_ref()).len();
        // Lines of one file fail from now on. It was created under this name.
        let file = format!("journal/{before:012}.new");
        for _ in 0..100 {
            store.faults.fail(operation, &file, Errno::FBIG);
        }
        for number in 0..100 {
            run(&store.meta, put_manifest("app", &format!("{operation:?} {number}"), &["later"])).unwrap();
        }
        assert_eq!(journal_files(store.disk.as_ref()).len(), before + 1, "{operation:?}");
        assert_eq!(store.meta.poisoned(), None);
        let reopened = store.reopened();
        assert_eq!(reopened.start(), Start::Recovered);
        assert_eq!(rows(reopened.index()), rows(store.meta.index()));
    }
    // A new file would be no better.
    let before = journal_files(store.disk.as_ref());
    for _ in 0..100 {
        store.faults.fail(Operation::Write, "journal", Errno::FBIG);
    }
    for _ in 0..5 {
        run(&store.meta, two()).unwrap_err();
    }
    assert!(journal_files(store.disk.as_ref()).len() <= before.len() + 1);
    // A start that cannot write the journal in one file serves what is there.
    let faulty = FaultyDisk::new(copy(store.disk.as_ref()));
    for _ in 0..100 {
        faulty.faults().fail(Operation::Write, "journal", Errno::FBIG);
    }
    let readable = Meta::open(Arc::new(faulty), MetaOptions::new(IndexKind::Map)).unwrap();
    assert_eq!(rows(readable.index()), rows(store.meta.index()));
    run(&readable, two()).unwrap_err();
}

#[test]
fn space_that_cannot_be_reserved_is_an_error_and_nothing_is_written() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let faulty = FaultyDisk::new(Arc::clone(&disk));
    let faults = faulty.faults();
    let meta = Meta::open(Arc::new(faulty), MetaOptions::new(IndexKind::Map)).unwrap();
    // Once for a step ahead, once for the line alone.
    faults.fail(Operation::Reserve, "journal", Errno::NOSPC);
    faults.fail(Operation::Reserve, "journal", Errno::NOSPC);
    let failed = run(&meta, two());
    assert!(matches!(failed, Err(MetaError::NoSpace)), "{failed:?}");
    assert_eq!(tags(&open(&copy(disk.as_ref())), "app"), [""; 0]);
    run(&meta, two()).unwrap();
    assert_eq!(tags(&open(&copy(disk.as_ref())), "app"), ["two"]);
}

#[test]
fn half_a_line_that_cannot_be_removed_ends_all_writing() {
    let store = Failing::new();
    store.faults.cut_write_short("journal", 50, Errno::NOSPC);
    store.faults.fail(Operation::Truncate, "journal", Errno::IO);
    let failed = run(&store.meta, two());
    assert!(matches!(failed, Err(MetaError::Poisoned(_))), "{failed:?}");
    assert_eq!(tags(&store.meta, "app"), ["one"]);
    store.check_poisoned();
    assert_eq!(tags(&store.reopened(), "app"), ["one"]);
}

#[test]
fn a_failed_sync_ends_all_writing_and_acknowledges_nothing() {
    let store = Failing::new();
    store.faults.fail(Operation::Sync, "journal", Errno::IO);
    let failed = run(&store.meta, two());
    assert!(matches!(failed, Err(MetaError::Poisoned(_))), "{failed:?}");
    let why = store.meta.poisoned().unwrap();
    assert!(why.contains("synced"), "{why}");
    store.check_poisoned();
    // Whole or not at all: it may or may not have reached the medium.
    let reopened = store.reopened();
    assert_eq!(tags(&reopened, "app"), ["one", "two"]);
    run(&reopened, put_manifest("app", "three", &["three"])).unwrap();
}

#[test]
fn a_sync_that_fails_at_the_stop_makes_it_no_clean_one() {
    let store = Failing::new();
    run(&store.meta, Command::BeginUpload { id: upload_id(1), row: upload_row("app", 0) }).unwrap();
    store.faults.fail(Operation::Sync, "journal", Errno::IO);
    store.meta.close().unwrap_err();
}

#[test]
fn refusals_name_what_is_missing_and_write_nothing() {
    let store = Failing::new();
    let writes = store.faults.count(Operation::Write, "journal");
    let refused = run(&store.meta, Command::DeleteTag { repo: repo("app"), tag: tag("none") });
    assert!(matches!(refused, Err(MetaError::Refused(Refusal::TagUnknown(_)))), "{refused:?}");
    run(&store.meta, put_manifest("app", "one", &["one"])).unwrap();
    assert_eq!(store.faults.count(Operation::Write, "journal"), writes);
}

#[test]
fn a_transaction_that_is_too_large_is_refused_and_the_next_one_is_not() {
    let store = Failing::new();
    let mut huge = put("app", "huge", &["huge"]);
    huge.row.artifact_type = Some("x".repeat(2_000_000));
    let refused = run(&store.meta, Command::PutManifest(huge));
    assert!(matches!(refused, Err(MetaError::Failed(_))), "{refused:?}");
    run(&store.meta, two()).unwrap();
    assert_eq!(tags(&store.reopened(), "app"), ["one", "two"]);
}

#[test]
fn a_disk_with_space_for_a_line_but_not_for_a_step_ahead_takes_the_line() {
    let faulty = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let faults = faulty.faults();
    let meta = Meta::open(Arc::new(faulty), MetaOptions::new(IndexKind::Map)).unwrap();
    faults.fail(Operation::Reserve, "journal", Errno::NOSPC);
    run(&meta, two()).unwrap();
    assert_eq!(faults.count(Operation::Reserve, "journal"), 2);
}

/// Opens a store whose journal continues in a new file after each batch.
fn rotating() -> Failing {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let faulty = FaultyDisk::new(Arc::clone(&disk));
    let faults = faulty.faults();
    let options = MetaOptions {
        on_sync_failure: OnSyncFailure::Exit,
        journal_min_bytes: 1,
        ..MetaOptions::new(IndexKind::Map)
    };
    Failing { disk, faults, meta: Meta::open(Arc::new(faulty), options).unwrap() }
}

#[test]
fn a_rotation_that_finds_no_space_leaves_the_journal_as_it_was_and_is_tried_again() {
    for (operation, skip) in [(Operation::Create, 0), (Operation::Write, 0), (Operation::Sync, 0)] {
        let store = rotating();
        store.faults.fail_later(operation, "journal/000000000002.new", skip, Errno::NOSPC);
        run(&store.meta, put_manifest("app", "one", &["one"])).unwrap();
        run(&store.meta, two()).unwrap();
        assert_eq!(store.meta.poisoned(), None);
        assert_eq!(tags(&store.reopened(), "app"), ["one", "two"]);
        // It is retried only after the journal has grown considerably.
        for round in 0..300 {
            let mut long = put("app", &format!("long-{round}"), &["long"]);
            long.row.artifact_type = Some("x".repeat(1000));
            run(&store.meta, Command::PutManifest(long)).unwrap();
        }
        let files = journal_files(store.disk.as_ref());
        assert!(files.iter().any(|name| name == "000000000002.log"), "{files:?}");
        assert_eq!(tags(&store.reopened(), "app"), ["long", "one", "two"]);
    }
}

/// What the old file got after the start of the new one would be lost.
#[test]
fn a_rotation_that_may_have_happened_ends_all_writing() {
    for operation in [Operation::Rename, Operation::SyncFolder] {
        let store = rotating();
        store.faults.fail(operation, "journal", Errno::IO);
        run(&store.meta, put_manifest("app", "one", &["one"])).unwrap();
        // The answer goes out before the rotation.
        for _ in 0..10_000 {
            if store.meta.poisoned().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        store.check_poisoned();
        assert_eq!(tags(&store.reopened(), "app"), ["one"]);
    }
}

#[test]
fn a_rotation_without_descriptors_goes_on_when_there_are_some() {
    let failing = rotating();
    for _ in 0..2 {
        failing.faults.fail(Operation::SyncFolder, "journal", Errno::MFILE);
    }
    for number in 0..20 {
        run(&failing.meta, put_manifest("app", &number.to_string(), &["latest"])).unwrap();
    }
    assert!(failing.meta.poisoned().is_none());
    assert!(journal_files(failing.disk.as_ref()).len() > 1, "it never rotated");
    assert_eq!(tags(&failing.reopened(), "app"), ["latest"]);
}

#[test]
fn a_rotation_whose_name_finds_no_space_leaves_the_journal_as_it_was() {
    let store = rotating();
    store.faults.fail(Operation::Rename, "journal", Errno::NOSPC);
    run(&store.meta, put_manifest("app", "one", &["one"])).unwrap();
    run(&store.meta, two()).unwrap();
    assert_eq!(store.meta.poisoned(), None);
    assert_eq!(journal_files(store.disk.as_ref()), ["000000000001.log"]);
    assert_eq!(tags(&store.reopened(), "app"), ["one", "two"]);
}
