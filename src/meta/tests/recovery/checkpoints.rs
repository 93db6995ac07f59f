//! Rotation of the journal, checkpoints, and recovery from them.

use proptest::prelude::*;
use rustix::io::Errno;

use super::*;
use crate::disk::faulty::{Faults, FaultyDisk, Operation};
use crate::meta::{checkpoint, journal};

/// Opens a store with journal files so short that a few commands fill one.
fn open_rotating(disk: &Arc<dyn Disk>, journal_min_bytes: u64, history_max_bytes: u64) -> Meta {
    let options = MetaOptions { journal_min_bytes, history_max_bytes, ..MetaOptions::new(IndexKind::Map) };
    Meta::open(Arc::clone(disk), options).unwrap()
}

fn memory() -> Arc<dyn Disk> {
    Arc::new(MemoryDisk::new())
}

fn checkpoints(disk: &Arc<dyn Disk>) -> Vec<u64> {
    let names = disk.list(Path::new("checkpoint")).unwrap();
    let begin = |name: &str| name.strip_suffix(".checkpoint").and_then(|begin| begin.parse().ok());
    names.iter().filter_map(|entry| begin(&entry.name)).collect()
}

/// Pushes manifests until a newer checkpoint exists.
fn until_checkpoint(disk: &Arc<dyn Disk>, meta: &Meta, name: &str) -> Vec<String> {
    let newest = checkpoints(disk).last().copied();
    let mut pushed = Vec::new();
    eventually("a checkpoint is taken", || {
        let content = format!("{name} {}", pushed.len());
        run(meta, put_manifest(name, &content, &["latest"])).unwrap();
        pushed.push(content);
        checkpoints(disk).last().copied() > newest
    });
    pushed
}

fn has_all(meta: &Meta, name: &str, contents: &[String]) {
    for content in contents {
        assert!(meta.view().manifest(&repo(name), &digest(content)).unwrap().is_some(), "{content}");
    }
    let latest = meta.view().tag(&repo(name), &tag("latest")).unwrap().unwrap();
    assert_eq!(latest.digest, digest(contents.last().unwrap()));
}

#[test]
fn a_recovery_goes_on_from_the_newest_checkpoint() {
    let disk = memory();
    let meta = open_rotating(&disk, 2000, 0);
    let mut pushed = until_checkpoint(&disk, &meta, "app");
    run(&meta, put_manifest("app", "the last", &["latest"])).unwrap();
    pushed.push("the last".to_owned());
    drop(meta);

    let reopened = open_rotating(&disk, u64::MAX, 0);
    has_all(&reopened, "app", &pushed);
    let begin = *checkpoints(&disk).last().unwrap();
    assert!(begin > 1, "the checkpoint is of some transactions");
}

#[test]
fn without_the_newest_checkpoint_a_recovery_goes_on_from_the_one_before() {
    let disk = memory();
    let meta = open_rotating(&disk, 2000, 0);
    let mut pushed = until_checkpoint(&disk, &meta, "app");
    pushed.extend(until_checkpoint(&disk, &meta, "other"));
    drop(meta);

    let newest = *checkpoints(&disk).last().unwrap();
    let path = format!("checkpoint/{newest:012}.checkpoint");
    let file = disk.open_writable(Path::new(&path)).unwrap();
    file.write_at(b"!", file.length().unwrap() / 2).unwrap();

    let reopened = open_rotating(&disk, u64::MAX, 0);
    for content in &pushed {
        let found = ["app", "other"]
            .iter()
            .any(|name| reopened.view().manifest(&repo(name), &digest(content)).unwrap().is_some());
        assert!(found, "{content}");
    }
    let names = disk.list(Path::new("checkpoint")).unwrap();
    assert!(names.iter().any(|entry| entry.name.ends_with(".damaged")), "{names:?}");
}

#[test]
fn two_checkpoints_are_kept_and_the_journal_since_the_older_one() {
    let disk = memory();
    let meta = open_rotating(&disk, 2000, 0);
    for name in ["a", "b", "c", "d"] {
        until_checkpoint(&disk, &meta, name);
    }
    eventually("old files go", || {
        let kept = checkpoints(&disk);
        let first = journal::list(disk.as_ref()).unwrap().finished.first().copied().unwrap();
        let header = journal::header_of(disk.as_ref(), first).unwrap().unwrap();
        kept.len() == checkpoint::CHECKPOINTS_KEPT && header.first == kept[0]
    });
}

/// The name may not be on the medium, and no later sync would write it.
#[test]
fn no_older_checkpoint_goes_because_of_one_whose_name_may_not_be_durable() {
    for stays in [false, true] {
        let disk = memory();
        let meta = open_rotating(&disk, 2000, 0);
        until_checkpoint(&disk, &meta, "a");
        drop(meta);
        let faulty = FaultyDisk::new(Arc::clone(&disk));
        let faults = faulty.faults();
        let meta = open_rotating(&(Arc::new(faulty) as Arc<dyn Disk>), u64::MAX, 0);
        let durable = *checkpoints(&disk).last().unwrap();
        // The recovery has begun its file there, so that no other checkpoint is being taken.
        let newest = journal::list(disk.as_ref()).unwrap().highest;
        assert_eq!(journal::header_of(disk.as_ref(), newest).unwrap().unwrap().first, durable);
        faults.fail(Operation::SyncFolder, "checkpoint", Errno::IO);
        if stays {
            faults.fail(Operation::Remove, "checkpoint", Errno::IO);
        }
        // The first call takes none.
        for _ in 0..2 {
            meta.renew_checkpoints(0, 0, &mut || true).unwrap();
        }
        let kept = checkpoints(&disk);
        assert_eq!((kept.len(), kept[0]), (2, durable), "stays: {stays}, {kept:?}");
        drop(meta);
    }
}

#[test]
fn a_damaged_header_does_not_keep_old_files_from_being_removed() {
    let disk = memory();
    let meta = open_rotating(&disk, 2000, 0);
    until_checkpoint(&disk, &meta, "a");
    let damaged = journal::list(disk.as_ref()).unwrap().highest;
    disk.open_writable(&journal::journal_path(damaged)).unwrap().write_at(b"!", 5).unwrap();
    for name in ["b", "c", "d"] {
        until_checkpoint(&disk, &meta, name);
    }
    eventually("the damaged file goes with those before it", || {
        journal::list(disk.as_ref()).unwrap().finished.iter().all(|number| *number > damaged)
    });
}

#[test]
fn history_is_kept_as_far_as_it_may() {
    let disk = memory();
    let meta = open_rotating(&disk, 2000, u64::MAX);
    for name in ["a", "b", "c", "d"] {
        until_checkpoint(&disk, &meta, name);
    }
    drop(meta);
    let first = journal::list(disk.as_ref()).unwrap().finished[0];
    assert_eq!(journal::header_of(disk.as_ref(), first).unwrap().unwrap().first, 1);
}

#[test]
fn a_checkpoint_that_cannot_be_written_harms_nothing() {
    let memory = memory();
    let faulty = FaultyDisk::new(Arc::clone(&memory));
    let faults = faulty.faults();
    for _ in 0..100 {
        faults.fail(Operation::Create, "checkpoint", Errno::NOSPC);
    }
    let disk: Arc<dyn Disk> = Arc::new(faulty);
    let meta = open_rotating(&disk, 1000, 0);
    let pushed: Vec<String> = (0..20).map(|number| format!("manifest {number}")).collect();
    for content in &pushed {
        run(&meta, put_manifest("app", content, &["latest"])).unwrap();
    }
    drop(meta);
    assert_eq!(checkpoints(&memory), Vec::<u64>::new());
    has_all(&open_rotating(&memory, u64::MAX, 0), "app", &pushed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However the walks of the checkpoints and the commands interleave, recovery restores the state before
    /// it.
    #[test]
    fn what_is_recovered_over_a_fuzzy_checkpoint_is_what_was_there(
        commands in history::commands(60..200),
        journal_min_bytes in 500_u64..5000,
    ) {
        let disk = memory();
        let meta = open_rotating(&disk, journal_min_bytes, 0);
        for command in commands {
            // A refusal is as good as any other end.
            drop(run(&meta, command));
        }
        settle(&meta);
        let live = rows(meta.index());
        drop(meta);
        let recovered = open_rotating(&disk, u64::MAX, 0);
        prop_assert_eq!(rows(recovered.index()), live);
    }
}

#[test]
fn a_checkpoint_that_a_stop_gave_up_is_taken_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(crate::disk::RealDisk::open(folder.path()).unwrap());
    let open = |disk: Arc<dyn Disk>, journal_min_bytes| {
        let options = MetaOptions::new(IndexKind::Sled(folder.path().to_owned()));
        Meta::open(disk, MetaOptions { journal_min_bytes, ..options }).unwrap()
    };
    let faulty = FaultyDisk::new(Arc::clone(&disk));
    faulty.faults().fail(Operation::Create, "checkpoint", Errno::NOSPC);
    let meta = open(Arc::new(faulty), 2000);
    let mut pushed = 0;
    eventually("the journal rotates", || {
        run(&meta, put_manifest("app", &pushed.to_string(), &["latest"])).unwrap();
        pushed += 1;
        journal_files(disk.as_ref()).len() > 1
    });
    meta.close().unwrap();
    assert!(checkpoints(&disk).is_empty());
    // Another rotation, whose checkpoint the stop would give up, is not wanted here.
    let meta = open(Arc::clone(&disk), u64::MAX);
    assert_eq!(meta.start(), crate::meta::Start::Clean);
    eventually("the checkpoint is taken", || !checkpoints(&disk).is_empty());
    meta.close().unwrap();
    let taken = checkpoints(&disk);
    drop(open(Arc::clone(&disk), u64::MAX));
    assert_eq!(checkpoints(&disk), taken, "it is not taken again");
}

/// Returns the lengths of the checkpoints, the oldest first.
fn lengths(disk: &Arc<dyn Disk>) -> Vec<u64> {
    let mut files = checkpoint::find(disk.as_ref()).unwrap().finished;
    files.reverse();
    files.iter().map(|file| file.length).collect()
}

/// Opens a store with two checkpoints that are too long for its rows once manifests `one` and `two` are
/// deleted.
fn with_long_checkpoints(disk: &Arc<dyn Disk>) -> Meta {
    let meta = open_rotating(disk, 2000, 0);
    for content in ["one", "two"] {
        run(&meta, put_manifest("app", content, &[])).unwrap();
    }
    let mut turn = 0;
    eventually("there are two long checkpoints", || {
        // The same tags over and over, alternately of one manifest and of the other.
        let names: Vec<String> = (0..50).map(|one| format!("t{}-{one}", turn % 20)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let content = if turn / 20 % 2 == 0 { "one" } else { "two" };
        run(&meta, put_manifest("app", content, &names)).unwrap();
        turn += 1;
        lengths(disk).iter().filter(|length| **length > LONG_BYTES).count() == 2
    });
    meta.close().unwrap();
    let meta = open_rotating(disk, u64::MAX, 0);
    // The start takes a checkpoint that the stop gave up, and then removes the oldest one.
    eventually("no checkpoint is missing", || {
        checkpoint::without_checkpoint(disk.as_ref()).unwrap().is_none()
            && lengths(disk).len() == checkpoint::CHECKPOINTS_KEPT
    });
    meta
}

/// Opens such a store on a disk with injected failures.
fn with_long_checkpoints_on_faulty() -> (Arc<dyn Disk>, Arc<Faults>, Meta) {
    let memory = memory();
    drop(with_long_checkpoints(&memory));
    let faulty = FaultyDisk::new(memory);
    let faults = faulty.faults();
    let disk: Arc<dyn Disk> = Arc::new(faulty);
    let meta = open_rotating(&disk, u64::MAX, 0);
    (disk, faults, meta)
}

const LONG_BYTES: u64 = 50_000;

fn delete_most(meta: &Meta) {
    for content in ["one", "two"] {
        run(meta, Command::DeleteManifest { repo: repo("app"), digest: digest(content) }).unwrap();
    }
    forget_tag_changes(meta);
}

#[test]
fn checkpoints_of_what_is_gone_are_renewed_and_those_that_are_as_long_as_they_need_are_not() {
    let disk = memory();
    let meta = with_long_checkpoints(&disk);
    let before = checkpoints(&disk);
    // Checkpoints that are as long as necessary, or too short to be worth it, are not renewed.
    let longest = lengths(&disk).into_iter().max().unwrap();
    meta.renew_checkpoints(longest, 0, &mut || true).unwrap();
    meta.renew_checkpoints(0, 1 << 30, &mut || true).unwrap();
    assert_eq!(checkpoints(&disk), before);

    delete_most(&meta);
    run(&meta, put_manifest("app", "left", &["latest"])).unwrap();
    meta.renew_checkpoints(1000, LONG_BYTES / 2, &mut || true).unwrap();
    assert!(lengths(&disk).iter().all(|length| *length < LONG_BYTES / 10), "{:?}", lengths(&disk));
    assert!(before.iter().all(|begin| !checkpoints(&disk).contains(begin)), "{:?}", checkpoints(&disk));
    assert_eq!(checkpoints(&disk).len(), checkpoint::CHECKPOINTS_KEPT);
    // They include what was pushed right before; later lines are replayed over them.
    run(&meta, put_manifest("app", "last", &["last"])).unwrap();
    drop(meta);
    let reopened = open_rotating(&disk, u64::MAX, 0);
    assert_eq!(tags(&reopened, "app"), ["last", "latest"]);
    assert!(reopened.view().manifest(&repo("app"), &digest("one")).unwrap().is_none());
    assert_eq!(reopened.start(), crate::meta::Start::Recovered);
}

const RESERVE_BYTES: u64 = 1_000_000;

#[test]
fn a_checkpoint_needs_space_for_its_own_rows_whatever_the_one_before_took() {
    let memory = memory();
    drop(with_long_checkpoints(&memory));
    let faulty = FaultyDisk::new(Arc::clone(&memory));
    let faults = faulty.faults();
    faults.set_free_bytes(RESERVE_BYTES + LONG_BYTES / 2);
    let disk: Arc<dyn Disk> = Arc::new(faulty);
    let options = MetaOptions { reserve_bytes: RESERVE_BYTES, ..MetaOptions::new(IndexKind::Map) };
    let meta = Meta::open(Arc::clone(&disk), options).unwrap();
    let before = checkpoints(&disk);
    // As long as the old ones, a new one does not fit, and nothing of it is left.
    meta.renew_checkpoints(0, 0, &mut || true).unwrap();
    assert_eq!(checkpoints(&disk), before);
    assert_eq!(disk.list(Path::new("checkpoint")).unwrap().len(), checkpoint::CHECKPOINTS_KEPT);

    delete_most(&meta);
    // The journal takes some of the space, so each of the two gets all of it.
    for _ in 0..checkpoint::CHECKPOINTS_KEPT {
        faults.set_free_bytes(RESERVE_BYTES + LONG_BYTES);
        meta.renew_checkpoints(1000, LONG_BYTES / 2, &mut || true).unwrap();
    }
    assert!(lengths(&disk).iter().all(|length| *length < LONG_BYTES / 10), "{:?}", lengths(&disk));
}

#[test]
fn old_files_that_cannot_be_removed_do_not_stop_a_renewal() {
    for folder in ["checkpoint", "journal"] {
        let (disk, faults, meta) = with_long_checkpoints_on_faulty();
        delete_most(&meta);
        for _ in 0..100 {
            faults.fail(Operation::Remove, folder, Errno::PERM);
        }
        meta.renew_checkpoints(1000, LONG_BYTES / 2, &mut || true).unwrap();
        let renewed: Vec<_> = lengths(&disk).into_iter().rev().take(checkpoint::CHECKPOINTS_KEPT).collect();
        assert!(renewed.iter().all(|length| *length < LONG_BYTES / 10), "{folder}: {renewed:?}");
    }
}

#[test]
fn a_caller_waits_for_no_checkpoint_that_cannot_be_taken() {
    for folder in ["checkpoint", "journal"] {
        let (disk, faults, meta) = with_long_checkpoints_on_faulty();
        let before = checkpoints(&disk);
        delete_most(&meta);
        faults.fail(Operation::Create, folder, Errno::NOSPC);
        meta.renew_checkpoints(0, 0, &mut || true).unwrap();
        assert_eq!(checkpoints(&disk), before, "{folder}");
        // A later try succeeds, and no row was lost.
        meta.renew_checkpoints(0, 0, &mut || true).unwrap();
        assert!(lengths(&disk).iter().all(|length| *length < LONG_BYTES / 10), "{folder}");
        drop(meta);
        assert!(tags(&open_rotating(&disk, u64::MAX, 0), "app").is_empty());
    }
}
