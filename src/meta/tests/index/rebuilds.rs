//! A failed index is rebuilt in place; a store without space can be read, and resumes writing once it has
//! space.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use rustix::io::Errno;

use super::*;
use crate::disk::faulty::{FaultyDisk, Operation};
use crate::meta::index::{IndexError, Made};
use crate::meta::recovery::open::{RecoverySources, recovered};
use crate::meta::tests::hooked::hooked;
use crate::meta::{RecoveryProgress, Start};

/// How an index fails from now on: at everything, as sled does.
#[derive(Default)]
struct Broken {
    storage: AtomicBool,
    panics: AtomicBool,
}

impl Broken {
    fn check(&self) -> Result<(), IndexError> {
        assert!(!self.panics.load(Ordering::SeqCst), "the test says so");
        match self.storage.load(Ordering::SeqCst) {
            true => Err(IndexError::Storage("the test says so".to_owned())),
            false => Ok(()),
        }
    }
}

/// Makes a store whose first index can be broken. Further ones come from `next`.
fn breaking(
    next: impl Fn() -> Result<Arc<dyn Index>, IndexError> + Send + Sync + 'static,
) -> (Meta, Arc<Broken>) {
    breaking_on(Arc::new(MemoryDisk::new()), next)
}

fn breaking_on(
    disk: Arc<dyn Disk>,
    next: impl Fn() -> Result<Arc<dyn Index>, IndexError> + Send + Sync + 'static,
) -> (Meta, Arc<Broken>) {
    let broken = Arc::new(Broken::default());
    let first = Arc::clone(&broken);
    let make = move |failed| -> Result<Arc<dyn Index>, IndexError> {
        match failed {
            0 => {
                let broken = Arc::clone(&first);
                Ok(hooked(MapIndex::new(), move |_| broken.check()))
            }
            _ => next(),
        }
    };
    let kind = IndexKind::Made(Made(Arc::new(make)));
    (Meta::open(disk, MetaOptions::new(kind)).unwrap(), broken)
}

fn in_memory() -> Result<Arc<dyn Index>, IndexError> {
    Ok(Arc::new(MapIndex::new()))
}

fn wait_for_the_index(meta: &Meta) {
    for _ in 0..10_000 {
        if meta.rebuilding().is_none() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("the index is never there again");
}

#[test]
fn a_write_that_the_index_fails_at_is_done_and_acknowledged_on_the_rebuilt_one() {
    for panics in [false, true] {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let (meta, broken) = breaking_on(Arc::clone(&disk), in_memory);
        run(&meta, put_manifest("app", "one", &["one"])).unwrap();
        if panics { &broken.panics } else { &broken.storage }.store(true, Ordering::SeqCst);
        run_patiently(&meta, &put_manifest("app", "two", &["two"])).unwrap();
        assert_eq!(tags(&meta, "app"), ["one", "two"]);
        assert_eq!(meta.totals().blobs, 2);
        assert_eq!((meta.poisoned(), meta.rebuilding()), (None, None));
        run(&meta, Command::DeleteTag { repo: repo("app"), tag: tag("one") }).unwrap();
        let reopened = open(&copy(disk.as_ref()));
        assert_eq!(rows(reopened.index()), rows(meta.index()));
        assert_eq!(stored(&reopened), stored(&meta));
        meta.close().unwrap();
    }
}

#[test]
fn a_read_that_the_index_fails_at_has_it_rebuilt() {
    let (meta, broken) = breaking(in_memory);
    run(&meta, put_manifest("app", "one", &["one"])).unwrap();
    broken.storage.store(true, Ordering::SeqCst);
    let failed = meta.view().tag(&repo("app"), &tag("one"));
    assert!(matches!(failed, Err(IndexError::Rebuilding)), "{failed:?}");
    wait_for_the_index(&meta);
    assert_eq!(tags(&meta, "app"), ["one"]);
}

#[test]
fn during_a_rebuild_reads_and_writes_fail_at_once_and_may_be_retried() {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let (meta, broken) = breaking(move || {
        wait.lock().unwrap().recv().unwrap();
        in_memory()
    });
    run(&meta, put_manifest("app", "one", &["one"])).unwrap();
    broken.storage.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let failed = meta.view().tag(&repo("app"), &tag("one"));
        assert!(matches!(failed, Err(IndexError::Rebuilding)), "{failed:?}");
        let refused = run(&meta, put_manifest("app", "two", &["two"]));
        assert!(matches!(refused, Err(MetaError::Index(IndexError::Rebuilding))), "{refused:?}");
        assert!(meta.rebuilding().unwrap().contains("rebuil"));
    }
    go.send(()).unwrap();
    wait_for_the_index(&meta);
    assert_eq!(tags(&meta, "app"), ["one"]);
    drop::<Sender<()>>(go);
}

#[test]
fn an_index_that_fails_again_is_kept_in_memory() {
    let (meta, broken) = breaking(|| Err(IndexError::NoSpace));
    run(&meta, put_manifest("app", "one", &["one"])).unwrap();
    broken.storage.store(true, Ordering::SeqCst);
    run_patiently(&meta, &put_manifest("app", "two", &["two"])).unwrap();
    assert_eq!(tags(&meta, "app"), ["one", "two"]);
}

#[test]
fn an_index_whose_journal_cannot_be_read_either_ends_all_writing() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (meta, broken) = breaking_on(Arc::clone(&disk), in_memory);
    run(&meta, put_manifest("app", "one", &["one"])).unwrap();
    write(disk.as_ref(), Path::new("journal/000000000001.log"), b"nonsense\n");
    broken.storage.store(true, Ordering::SeqCst);
    let failed = run(&meta, put_manifest("app", "two", &["two"]));
    assert!(matches!(failed, Err(MetaError::Poisoned(_))), "{failed:?}");
    assert!(meta.poisoned().unwrap().contains("index"));
    meta.close().unwrap_err();
}

#[test]
fn after_a_rebuild_in_place_sled_is_in_use_and_a_clean_stop_leaves_it_to_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(crate::disk::RealDisk::open(folder.path()).unwrap());
    let open = || {
        let kind = IndexKind::Sled(folder.path().to_owned());
        Meta::open(Arc::clone(&disk), MetaOptions::new(kind)).unwrap()
    };
    let meta = open();
    for round in 0..3 {
        let name = format!("round-{round}");
        run(&meta, put_manifest("app", &name, &[&name])).unwrap();
        meta.break_index();
        run_patiently(&meta, &put_manifest("app", "latest", &["latest"])).unwrap();
        assert_eq!(tags(&meta, "app").len(), round + 2);
    }
    // Only the last one is left.
    let entries: Vec<_> = std::fs::read_dir(folder.path().join("index")).unwrap().collect();
    assert_eq!(entries.len(), 1);
    meta.close().unwrap();
    let meta = open();
    assert_eq!(meta.start(), Start::Clean);
    assert_eq!(tags(&meta, "app").len(), 4);
    let from_journal = self::open(&copy(disk.as_ref()));
    assert_eq!(rows(meta.index()), rows(from_journal.index()));
    meta.close().unwrap();
}

#[test]
fn a_store_in_memory_rebuilds_its_index_from_its_log_and_writes_no_journal() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let options = MetaOptions { journal_min_bytes: 1, ..MetaOptions::in_memory() };
    let meta = Meta::open(Arc::clone(&disk), options).unwrap();
    for name in ["one", "two"] {
        run(&meta, put_manifest("app", name, &[name])).unwrap();
    }
    meta.break_index();
    run_patiently(&meta, &put_manifest("app", "three", &["three"])).unwrap();
    assert_eq!(tags(&meta, "app"), ["one", "three", "two"]);
    meta.close().unwrap();
    assert_eq!(journal_files(disk.as_ref()), Vec::<String>::new());
    assert!(disk.list(Path::new("checkpoint")).unwrap().is_empty());
}

#[test]
fn a_damaged_checkpoint_does_not_keep_a_failed_index_from_being_rebuilt() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let options = MetaOptions { journal_min_bytes: 2000, ..MetaOptions::new(IndexKind::Map) };
    let meta = Meta::open(Arc::clone(&disk), options).unwrap();
    let checkpoints = || disk.list(Path::new("checkpoint")).unwrap();
    let mut pushed = Vec::new();
    while checkpoints().iter().filter(|entry| entry.name.ends_with(".checkpoint")).count() < 2 {
        let name = format!("n{}", pushed.len());
        run(&meta, put_manifest("app", &name, &[&name])).unwrap();
        pushed.push(name);
    }
    let newest = checkpoints().into_iter().map(|entry| entry.name).max().unwrap();
    let file = disk.open_writable(&Path::new("checkpoint").join(newest)).unwrap();
    file.write_at(b"!", file.length().unwrap() / 2).unwrap();
    meta.break_index();
    run_patiently(&meta, &put_manifest("app", "latest", &["latest"])).unwrap();
    assert_eq!(tags(&meta, "app").len(), pushed.len() + 1);
    assert_eq!(meta.poisoned(), None);
}

#[test]
fn a_store_without_space_for_a_journal_can_be_read_and_goes_on_when_there_is_some() {
    for (operation, path) in
        [(Operation::Create, "journal"), (Operation::Write, "journal"), (Operation::Sync, "journal")]
    {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        run(&open(&disk), put_manifest("app", "one", &["one"])).unwrap();
        let faulty = FaultyDisk::new(Arc::clone(&disk));
        let faults = faulty.faults();
        faults.fail(operation, path, Errno::NOSPC);
        faults.set_free_bytes(10);
        let before = journal_files(disk.as_ref());
        let meta = Meta::open(Arc::new(faulty), MetaOptions::new(IndexKind::Map)).unwrap();
        assert!(meta.is_without_journal());
        assert_eq!(journal_files(disk.as_ref()), before);
        assert_eq!(tags(&meta, "app"), ["one"]);
        assert_eq!(meta.totals().blobs, 1);
        for command in
            [put_manifest("app", "two", &["two"]), Command::DeleteTag { repo: repo("app"), tag: tag("one") }]
        {
            let refused = run(&meta, command);
            assert!(matches!(refused, Err(MetaError::NoSpace)), "{refused:?}");
        }
        faults.set_free_bytes(1_000_000_000);
        for _ in 0..10_000 {
            if run(&meta, put_manifest("app", "two", &["two"])).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(!meta.is_without_journal());
        assert_eq!(tags(&meta, "app"), ["one", "two"]);
        meta.close().unwrap();
        assert_eq!(tags(&open(&copy(disk.as_ref())), "app"), ["one", "two"]);
    }
}

#[test]
fn a_store_without_space_can_be_stopped_and_is_as_it_was() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    run(&open(&disk), put_manifest("app", "one", &["one"])).unwrap();
    let before = journal_files(disk.as_ref());
    let faulty = FaultyDisk::new(Arc::clone(&disk));
    faulty.faults().fail(Operation::Write, "journal", Errno::NOSPC);
    Meta::open(Arc::new(faulty), MetaOptions::new(IndexKind::Map)).unwrap().close().unwrap();
    assert_eq!(journal_files(disk.as_ref()), before);
    assert_eq!(tags(&open(&disk), "app"), ["one"]);
}

#[test]
fn an_index_without_space_at_the_start_leaves_it_to_the_journal() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    run(&open(&disk), put_manifest("app", "one", &["one"])).unwrap();
    let kind = IndexKind::Made(Made(Arc::new(|_| Err(IndexError::NoSpace))));
    let meta = Meta::open(Arc::clone(&disk), MetaOptions::new(kind)).unwrap();
    assert!(!meta.is_without_journal());
    run(&meta, put_manifest("app", "two", &["two"])).unwrap();
    assert_eq!(tags(&open(&copy(disk.as_ref())), "app"), ["one", "two"]);
}

/// Nothing waits for a rebuild at a stop: the next start recovers.
#[test]
fn a_stop_ends_a_rebuild_at_its_next_step_and_the_next_start_has_everything() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (meta, broken) = breaking_on(Arc::clone(&disk), in_memory);
    run(&meta, put_manifest("app", "one", &["one"])).unwrap();
    meta.end_verification();
    broken.storage.store(true, Ordering::SeqCst);
    let failed = meta.view().tag(&repo("app"), &tag("one"));
    assert!(matches!(failed, Err(IndexError::Rebuilding)), "{failed:?}");
    let closed = meta.close();
    assert!(matches!(closed, Err(crate::meta::error::MetaOpenError::Poisoned(_))), "{closed:?}");
    let reopened = open(&disk);
    assert_eq!(reopened.start(), Start::Recovered);
    assert_eq!(tags(&reopened, "app"), ["one"]);
}

#[test]
fn a_stop_ends_the_recovery_that_had_no_space_before() {
    let progress = RecoveryProgress::default();
    progress.interrupt();
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    run(&open(&disk), put_manifest("app", "one", &["one"])).unwrap();
    let before = journal_files(disk.as_ref());
    let found = RecoverySources { durable: 0, content: None, progress: &progress };
    for kind in [IndexKind::Map, IndexKind::Made(Made(Arc::new(|_| in_memory())))] {
        let ended = recovered(&disk, &kind, &found).map(drop);
        let is_ended = matches!(ended, Err(crate::meta::error::MetaOpenError::Index(IndexError::Closed)));
        assert!(is_ended, "{ended:?}");
        assert_eq!(journal_files(disk.as_ref()), before);
    }
    assert_eq!(tags(&open(&disk), "app"), ["one"]);
}
