//! The marker of a clean stop: when the index is trusted, and when it is rebuilt.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::disk::RealDisk;
use crate::disk::faulty::{FaultyDisk, Operation};
use crate::meta::Start;
use crate::meta::index::SledIndex;
use crate::meta::journal::journal_path;
use crate::meta::model::key;
use crate::meta::recovery::open::in_memory;
use crate::meta::recovery::{OpenedMeta, make_folders};
use crate::meta::tests::hooked::{IndexCall, hooked};
use rustix::io::Errno;

pub(super) struct Store {
    pub(super) folder: tempfile::TempDir,
    pub(super) disk: Arc<dyn Disk>,
}

impl Store {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(RealDisk::open(folder.path()).unwrap());
        Self { folder, disk }
    }

    /// Makes a store that was stopped cleanly with one tag.
    pub(super) fn stopped() -> Self {
        let store = Self::new();
        let meta = store.open();
        run(&meta, put_manifest("app", "one", &["latest"])).unwrap();
        meta.close().unwrap();
        store
    }

    pub(super) fn open(&self) -> Meta {
        self.open_on(Arc::clone(&self.disk))
    }

    fn open_on(&self, disk: Arc<dyn Disk>) -> Meta {
        Meta::open(disk, MetaOptions::new(IndexKind::Sled(self.folder.path().to_owned()))).unwrap()
    }

    pub(super) fn has_marker(&self) -> bool {
        self.folder.path().join("clean").exists()
    }

    /// Adds a row to the index that is not in the journal.
    fn leave_a_trace(&self) {
        self.change_index(&[RowChange { tree: Tree::Links, key: b"trace".into(), value: Some(vec![]) }]);
    }

    /// Changes the index behind the store's back.
    pub(super) fn change_index(&self, changes: &[RowChange]) {
        let index = SledIndex::open(&self.folder.path().join("index")).unwrap();
        index.apply(index.applied().unwrap(), changes).unwrap();
        index.close().unwrap();
    }

    /// Opens the store, checks that it is complete, and tells whether the index was kept.
    fn kept_its_index(&self) -> bool {
        let meta = self.open();
        settle(&meta);
        assert_eq!(tags(&meta, "app"), ["latest"]);
        assert_eq!(meta.totals().blobs, 1);
        assert!(!self.has_marker(), "a marker must not outlive the start");
        assert!(meta.index().get(Tree::Links, b"trace").unwrap().is_none());
        // A rebuilt index is one of a later generation, or the start says so.
        let kept = meta.start() == Start::Clean && meta.index().generation() == Some(0);
        std::mem::forget(meta);
        kept
    }
}

#[test]
fn after_a_clean_stop_the_index_is_kept_and_the_same_file_appended_to() {
    let store = Store::stopped();
    let before = read(store.disk.as_ref(), &journal_path(1));
    assert!(store.has_marker());
    let meta = store.open();
    assert!(!store.has_marker());
    settle(&meta);
    assert_eq!((meta.start(), meta.index().generation()), (Start::Clean, Some(0)));
    assert_eq!(meta.totals().blobs, 1);
    run(&meta, put_manifest("app", "two", &["next"])).unwrap();
    meta.close().unwrap();
    assert_eq!(journal_files(store.disk.as_ref()), ["000000000001.log"]);
    let after = read(store.disk.as_ref(), &journal_path(1));
    assert!(after.starts_with(&before) && after.len() > before.len());
    let meta = store.open();
    assert_eq!(tags(&meta, "app"), ["latest", "next"]);
}

#[test]
fn without_the_marker_the_index_is_rebuilt() {
    let store = Store::stopped();
    store.leave_a_trace();
    store.disk.remove(Path::new("clean")).unwrap();
    assert!(!store.kept_its_index());
    assert_eq!(journal_files(store.disk.as_ref()), ["000000000002.log"]);
}

#[test]
fn a_marker_counts_for_one_start_only() {
    let store = Store::stopped();
    assert!(store.kept_its_index());
    // That store was never closed.
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("journal")).unwrap();
    for name in journal_files(store.disk.as_ref()) {
        let path = Path::new("journal").join(name);
        std::fs::copy(store.folder.path().join(&path), copy.path().join(&path)).unwrap();
    }
    let disk = Arc::new(RealDisk::open(copy.path()).unwrap());
    let store = Store { folder: copy, disk };
    assert!(!store.kept_its_index());
}

#[test]
fn a_marker_that_cannot_be_read_is_none() {
    for garbage in [&b""[..], b"\n", b"{}\n", b"{\"seq\":1}\n", &[0; 5000]] {
        let store = Store::stopped();
        store.leave_a_trace();
        write(store.disk.as_ref(), Path::new("clean"), garbage);
        assert!(!store.kept_its_index());
    }
    let store = Store::stopped();
    store.leave_a_trace();
    let mut flipped = read(store.disk.as_ref(), Path::new("clean"));
    flipped[7] ^= 1;
    write(store.disk.as_ref(), Path::new("clean"), &flipped);
    assert!(!store.kept_its_index());
}

#[test]
fn a_marker_of_another_time_does_not_count() {
    let store = Store::stopped();
    let old = read(store.disk.as_ref(), Path::new("clean"));
    let meta = store.open();
    run(&meta, put_manifest("app", "one", &["next"])).unwrap();
    run(&meta, Command::DeleteTag { repo: repo("app"), tag: tag("next") }).unwrap();
    meta.close().unwrap();
    store.leave_a_trace();
    write(store.disk.as_ref(), Path::new("clean"), &old);
    assert!(!store.kept_its_index());
}

#[test]
fn an_index_that_is_elsewhere_than_the_marker_is_rebuilt() {
    let store = Store::stopped();
    store.leave_a_trace();
    let index = SledIndex::open(&store.folder.path().join("index")).unwrap();
    index.apply(77, &[]).unwrap();
    index.close().unwrap();
    assert!(!store.kept_its_index());
}

#[test]
fn an_index_that_is_gone_or_cannot_be_opened_is_rebuilt() {
    let store = Store::stopped();
    std::fs::remove_dir_all(store.folder.path().join("index")).unwrap();
    assert!(!store.kept_its_index());
    let store = Store::stopped();
    std::fs::write(store.folder.path().join("index/conf"), "garbage").unwrap();
    // sled may open it all the same, but must not lose anything.
    store.kept_its_index();
}

#[test]
fn a_store_with_nothing_in_it_stops_cleanly_too() {
    let store = Store::new();
    store.open().close().unwrap();
    assert!(store.has_marker());
    let meta = store.open();
    run(&meta, put_manifest("app", "one", &["latest"])).unwrap();
    assert_eq!(journal_files(store.disk.as_ref()), ["000000000001.log"]);
}

#[test]
fn dropping_a_store_stops_it_cleanly_and_closing_twice_does_nothing() {
    let store = Store::stopped();
    drop(store.open());
    assert!(store.has_marker());
    let meta = store.open();
    meta.close().unwrap();
    meta.close().unwrap();
    let refused = run(&meta, put_manifest("app", "two", &[]));
    assert!(matches!(refused, Err(MetaError::Stopped)), "{refused:?}");
    drop(meta);
    assert!(store.has_marker());
}

#[test]
fn what_rode_along_unsynced_is_part_of_a_clean_stop() {
    let store = Store::new();
    let faulty = FaultyDisk::new(Arc::clone(&store.disk));
    let faults = faulty.faults();
    let meta = store.open_on(Arc::new(faulty));
    let before = faults.count(Operation::Sync, "journal");
    run(&meta, Command::BeginUpload { id: upload_id(1), row: upload_row("app", 0) }).unwrap();
    assert_eq!(faults.count(Operation::Sync, "journal"), before);
    meta.close().unwrap();
    // And once more, without the zeroes after it.
    assert_eq!(faults.count(Operation::Sync, "journal"), before + 2);
    assert!(store.open().view().upload(upload_id(1)).unwrap().is_some());
}

#[test]
fn everything_the_marker_speaks_of_is_durable_before_it_is() {
    let store = Store::new();
    let faulty = FaultyDisk::new(Arc::clone(&store.disk));
    let faults = faulty.faults();
    let meta = store.open_on(Arc::new(faulty));
    run(&meta, put_manifest("app", "one", &["latest"])).unwrap();
    let begun = faults.done().len();
    meta.close().unwrap();
    let done = faults.done().split_off(begun);
    let at = |operation, path: &str| {
        let found = done.iter().position(|(other, at)| *other == operation && at == Path::new(path));
        found.unwrap_or_else(|| panic!("no {operation:?} of {path:?} in {done:?}"))
    };
    let written = at(Operation::Create, "clean.new");
    assert!(at(Operation::Sync, "index/db") < written);
    assert!(at(Operation::Sync, "index/conf") < written);
    assert!(at(Operation::SyncFolder, "index") < written);
    assert!(at(Operation::SyncFolder, "") < written);
    assert!(written < at(Operation::Sync, "clean.new"));
    assert!(at(Operation::Sync, "clean.new") < at(Operation::Rename, "clean"));
    assert_eq!(done.last(), Some(&(Operation::SyncFolder, "".into())));
}

#[test]
fn a_stop_that_could_not_sync_the_index_is_no_clean_one() {
    for (operation, path) in [
        (Operation::Sync, "index"),
        (Operation::SyncFolder, "index"),
        (Operation::Sync, "clean.new"),
        (Operation::Rename, "clean"),
    ] {
        let store = Store::new();
        let faulty = FaultyDisk::new(Arc::clone(&store.disk));
        let faults = faulty.faults();
        let meta = store.open_on(Arc::new(faulty));
        run(&meta, put_manifest("app", "one", &["latest"])).unwrap();
        faults.fail(operation, path, Errno::IO);
        meta.close().unwrap_err();
        assert!(!store.has_marker());
        store.leave_a_trace();
        assert!(!store.kept_its_index());
    }
}

#[test]
fn an_index_with_other_rows_than_the_stop_left_is_rebuilt_before_anything_is_decided() {
    let removed = |tree, parts: &[&str]| RowChange { tree, key: key(parts), value: None };
    let one = digest("one").to_string();
    let row = |value: &[u8]| RowChange {
        tree: Tree::Tags,
        key: key(&["app", "latest"]),
        value: Some(value.into()),
    };
    let other = format!(r#"{{"digest":"{}"}}"#, digest("other"));
    for change in [
        removed(Tree::Tags, &["app", "latest"]),
        removed(Tree::Manifests, &["app", &one]),
        removed(Tree::Tagged, &["app", &one, "latest"]),
        removed(Tree::Blobs, &[&one]),
        removed(Tree::Repositories, &["app"]),
        row(other.as_bytes()),
        row(b"no JSON"),
        RowChange { tree: Tree::Uploads, key: b"none".into(), value: Some(b"{}".into()) },
    ] {
        let store = Store::stopped();
        store.change_index(std::slice::from_ref(&change));
        let meta = store.open();
        // The uploads are verified before the start, since the files of unknown ones are removed.
        let expected = if change.tree == Tree::Uploads { Start::Recovered } else { Start::Clean };
        assert_eq!(meta.start(), expected);
        // The first decision sees the rows of the journal.
        let condition = Condition::Absent;
        let exists = Command::PutManifest(PutManifestCommand { condition, ..put("app", "two", &["latest"]) });
        let refused = run_patiently(&meta, &exists);
        assert!(
            matches!(refused, Err(MetaError::Refused(Refusal::ConditionFailed(_)))),
            "{change:?}: {refused:?}"
        );
        assert_eq!(tags(&meta, "app"), ["latest"]);
        assert_eq!(meta.view().tags_of(&repo("app"), &digest("one"), 2).unwrap().len(), 1);
        assert_eq!(stored(&meta), (1, 3, 0));
        meta.close().unwrap();
        let meta = store.open();
        settle(&meta);
        assert_eq!((meta.start(), meta.rebuilding()), (Start::Clean, None));
        assert_eq!(meta.index().generation(), Some(u64::from(expected == Start::Clean)));
    }
}

#[test]
fn a_stop_before_the_index_is_verified_leaves_that_to_the_next_start() {
    let store = Store::stopped();
    store.leave_a_trace();
    // A stop may also come after it: either way no wrong row is left at the end.
    for _ in 0..5 {
        store.open().close().unwrap();
        assert!(store.has_marker());
    }
    let meta = store.open();
    settle(&meta);
    assert!(meta.index().get(Tree::Links, b"trace").unwrap().is_none());
}

/// The collector and clients wait for the writer, and a stop waits for them before it ends the writer.
#[test]
fn a_coming_stop_ends_the_verification_and_whatever_waits_for_it() {
    const ROWS: usize = 20_000;
    let rows = MapIndex::new();
    let row = |number: usize| RowChange {
        tree: Tree::Repositories,
        key: key(&[&format!("app{number}")]),
        value: Some(br#"{"since":1}"#.into()),
    };
    rows.apply(0, &(0..ROWS).map(row).collect::<Vec<_>>()).unwrap();
    // The first row is returned when the test says so.
    let (read, (go_on, goes_on)) = (Arc::new(AtomicUsize::new(0)), channel());
    let (counter, goes_on) = (Arc::clone(&read), Mutex::new(goes_on));
    let index = hooked(rows, move |call| {
        if call == IndexCall::Row && counter.fetch_add(1, Ordering::SeqCst) == 0 {
            goes_on.lock().unwrap().recv().unwrap();
        }
        Ok(())
    });
    let left = OpenedMeta { index, start: Start::Clean, ..in_memory() };
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    make_folders(disk.as_ref()).unwrap();
    let meta = Meta::run(disk, MetaOptions::in_memory(), 0, left).unwrap();
    let pushing = submit(&meta, put_manifest("app", "one", &["latest"]));
    meta.end_verification();
    go_on.send(()).unwrap();
    let answer = pushing.recv().unwrap();
    assert!(matches!(answer, Err(MetaError::Stopped)), "{answer:?}");
    assert!(read.load(Ordering::SeqCst) < ROWS);
    // The writer may just be ending: then the answer is dropped.
    let refused = submit(&meta, put_manifest("app", "two", &[])).recv();
    assert!(matches!(refused, Err(_) | Ok(Err(MetaError::Stopped))), "{refused:?}");
    meta.close().unwrap();
}

#[test]
fn a_coming_stop_changes_nothing_once_the_index_is_verified() {
    let store = Store::stopped();
    let meta = store.open();
    settle(&meta);
    meta.end_verification();
    run(&meta, put_manifest("app", "two", &["next"])).unwrap();
    meta.close().unwrap();
    assert!(store.has_marker());
}

#[test]
fn a_rebuild_takes_no_index_that_lost_rows() {
    let (whole, lossy) = (Store::stopped(), Store::stopped());
    lossy.change_index(&[RowChange { tree: Tree::Tags, key: key(&["app", "latest"]), value: None }]);
    for (store, is_taken) in [(whole, true), (lossy, false)] {
        let taken = crate::meta::rebuild_from_index(&store.disk, store.folder.path()).unwrap();
        assert_eq!(taken, is_taken);
        let meta = store.open();
        settle(&meta);
        assert_eq!(tags(&meta, "app"), ["latest"]);
    }
}

/// A medium may report its damage instead of returning other bytes.
#[test]
fn a_marker_or_an_end_of_the_journal_that_cannot_be_read_costs_the_index_and_nothing_else() {
    // The first read of the journal is that of its header.
    for (path, errno, skip, reads) in [
        ("clean", Errno::IO, 0, u64::MAX),
        ("clean", Errno::BADMSG, 0, u64::MAX),
        ("journal", Errno::IO, 1, 1),
    ] {
        let store = Store::stopped();
        store.leave_a_trace();
        let faulty = FaultyDisk::new(Arc::clone(&store.disk));
        faulty.faults().fail_later_reads(path, skip, reads, errno);
        let meta = store.open_on(Arc::new(faulty));
        assert_eq!(tags(&meta, "app"), ["latest"], "{path}");
        assert_eq!(meta.start(), Start::Recovered, "{path}");
        assert!(meta.index().get(Tree::Links, b"trace").unwrap().is_none(), "{path}: the index was kept");
        run(&meta, put_manifest("app", "two", &["next"])).unwrap();
    }
}
