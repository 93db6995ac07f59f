//! Compaction of an index that is far too large for its rows, while it is in use.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::disk::RealDisk;
use crate::meta::index::{CompactionOutcome, CompactionPacing, SledIndex};
use crate::meta::recovery::Inspection;

/// Enough rows for several steps of a copy.
const ROWS: usize = 500;

const MIB: u64 = 1 << 20;

/// Copies regardless of the files' size, and calls `between` between any two steps. It stops once `between`
/// returns false.
fn copy_while(index: &dyn Index, mut between: impl FnMut() -> bool) -> CompactionOutcome {
    let mut pacing = CompactionPacing { pause: &mut between, has_room: &|_| true, worthwhile_bytes: 0 };
    index.compact(&mut pacing).unwrap()
}

fn is_done(compacted: &CompactionOutcome) -> bool {
    matches!(compacted, CompactionOutcome::Done { .. })
}

fn row(tree: Tree, number: usize, value: Option<Vec<u8>>) -> RowChange {
    RowChange { tree, key: format!("key{number:05}").into_bytes(), value }
}

fn all(index: &dyn Index) -> Vec<(Tree, Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    for tree in Tree::ALL {
        let mut visit = |key: &[u8], value: &[u8]| {
            found.push((tree, key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        };
        index.scan(tree, &[], None, &mut visit).unwrap();
    }
    found
}

/// An index in sled, and one in memory with the same changes.
struct Pair {
    folder: tempfile::TempDir,
    sled: SledIndex,
    map: MapIndex,
}

impl Pair {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sled = SledIndex::open(folder.path()).unwrap();
        Self { folder, sled, map: MapIndex::new() }
    }

    /// Makes a pair with some rows in three trees.
    fn with_rows() -> Self {
        let pair = Self::new();
        for tree in [Tree::Repositories, Tree::Tags, Tree::Uploads] {
            for first in (0..ROWS).step_by(100) {
                pair.apply(
                    &(first..first + 100).map(|at| row(tree, at, Some(vec![1; 20]))).collect::<Vec<_>>(),
                );
            }
        }
        pair
    }

    fn apply(&self, changes: &[RowChange]) {
        let seq = self.map.applied().unwrap() + 1;
        self.map.apply(seq, changes).unwrap();
        self.sled.apply(seq, changes).unwrap();
    }

    fn check(&self) {
        assert!(all(&self.sled) == all(&self.map), "the rows differ");
        assert_eq!(self.sled.applied().unwrap(), self.map.applied().unwrap());
    }

    fn entries(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Closes it, and opens it as a start after a clean stop does.
    fn reopen(mut self) -> Self {
        self.sled.close().unwrap();
        let generation = self.sled.generation();
        self.sled = SledIndex::open_generation(self.folder.path(), generation).unwrap();
        self
    }
}

/// Returns the files below a folder that this process has open although they are unlinked.
fn unlinked(folder: &Path) -> Vec<PathBuf> {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let paths = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    paths.filter(|path| path.starts_with(folder) && path.to_string_lossy().ends_with("(deleted)")).collect()
}

#[test]
fn the_space_of_rows_that_are_gone_comes_back_and_those_that_stay_are_there() {
    let pair = Pair::new();
    let mut rows = 0;
    while pair.sled.size_bytes().unwrap() < 8 * MIB {
        assert!(rows < 20_000, "it takes nothing");
        pair.apply(
            &(rows..rows + 100).map(|at| row(Tree::Links, at, Some(vec![7; 1000]))).collect::<Vec<_>>(),
        );
        rows += 100;
    }
    let mut never = || panic!("nothing to do");
    let mut pacing = CompactionPacing { pause: &mut || true, has_room: &|_| true, worthwhile_bytes: MIB };
    let size = pair.sled.size_bytes().unwrap();
    // While the rows exist, its size is about what they need.
    assert_eq!(pair.sled.compact(&mut pacing).unwrap(), CompactionOutcome::NotNeeded);

    let most: Vec<_> = (0..rows - 10).map(|at| row(Tree::Links, at, None)).collect();
    pair.apply(&most);
    let mut small = CompactionPacing { pause: &mut never, has_room: &|_| true, worthwhile_bytes: 1024 * MIB };
    assert_eq!(pair.sled.compact(&mut small).unwrap(), CompactionOutcome::NotNeeded);
    let compacted = pair.sled.compact(&mut pacing).unwrap();
    let CompactionOutcome::Done { before_bytes, after_bytes } = compacted else { panic!("{compacted:?}") };
    assert!(before_bytes >= size && after_bytes < 2 * MIB, "{before_bytes}, {after_bytes}");
    assert_eq!(pair.sled.size_bytes().unwrap(), after_bytes);
    assert_eq!(pair.entries(), ["generation-1"]);
    for _ in 0..10_000 {
        if unlinked(pair.folder.path()).is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(unlinked(pair.folder.path()), Vec::<PathBuf>::new());
    pair.check();
    assert_eq!(pair.sled.compact(&mut pacing).unwrap(), CompactionOutcome::NotNeeded);
    let pair = pair.reopen();
    pair.check();
    assert_eq!(pair.sled.size_bytes().unwrap() / MIB, after_bytes / MIB);
}

#[test]
fn what_changes_while_it_is_copied_is_in_the_copy_wherever_the_copy_has_got_to() {
    let pair = Pair::with_rows();
    let mut step = 0;
    let compacted = copy_while(&pair.sled, || {
        step += 1;
        for tree in [Tree::Repositories, Tree::Manifests, Tree::Tags, Tree::Uploads, Tree::Blobs] {
            let number = |factor: usize| (step * factor) % (ROWS + 50);
            let changed = row(tree, number(97), Some(vec![2; step % 50]));
            let changes = [changed, row(tree, number(61), None), row(tree, number(389), Some(Vec::new()))];
            pair.apply(&changes);
            pair.apply(&[row(tree, number(131), None)]);
        }
        true
    });
    assert!(is_done(&compacted), "{compacted:?}");
    assert!(step > 15, "{step}");
    pair.check();
    pair.apply(&[row(Tree::Tags, 7, Some(vec![3]))]);
    let pair = pair.reopen();
    pair.check();
}

#[test]
fn many_copies_beside_a_writer_lose_nothing() {
    let pair = Pair::with_rows();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut seq = 0;
            while !ended.load(Ordering::SeqCst) {
                seq += 1;
                // The same rows each time, so that a step reads what is being written.
                let changes: Vec<_> =
                    (0..ROWS).step_by(4).map(|at| row(Tree::Tags, at, Some(vec![0; seq % 40]))).collect();
                pair.apply(&changes);
            }
            seq
        });
        let copies = (0..12).map(|_| copy_while(&pair.sled, || true)).filter(is_done).count();
        ended.store(true, Ordering::SeqCst);
        assert_eq!(copies, 12);
        assert!(writer.join().unwrap() > 0);
    });
    pair.check();
    assert_eq!(pair.entries(), ["generation-12"]);
}

#[test]
fn a_scan_misses_no_row_when_the_index_gets_other_files_meanwhile() {
    let pair = Pair::new();
    let keys: Vec<usize> = (0..20).collect();
    let (even, odd): (Vec<usize>, Vec<usize>) = keys.iter().partition(|at| *at % 2 == 0);
    let others = |from: usize| -> Vec<RowChange> {
        (from..from + ROWS).map(|at| row(Tree::Links, at, Some(Vec::new()))).collect()
    };
    let rows = |keys: &[usize]| -> Vec<RowChange> {
        keys.iter().map(|at| row(Tree::Tags, *at, Some(Vec::new()))).collect()
    };
    pair.apply(&rows(&even));
    pair.apply(&others(0));
    pair.apply(&rows(&odd));
    let mut seen = Vec::new();
    let mut visit = |key: &[u8], _: &[u8]| {
        if seen.is_empty() {
            assert!(is_done(&copy_while(&pair.sled, || true)));
            // Only the new files get these, including the odd ones.
            pair.apply(&others(ROWS));
        }
        seen.push(String::from_utf8(key.to_vec()).unwrap());
        ControlFlow::Continue(())
    };
    pair.sled.scan(Tree::Tags, b"key", None, &mut visit).unwrap();
    assert_eq!(seen, keys.iter().map(|at| format!("key{at:05}")).collect::<Vec<_>>());
    pair.check();
}

#[test]
fn a_copy_that_is_given_up_or_fails_leaves_everything_as_it_was() {
    for at in [0, 1, 9, 18, 30] {
        for fails in [false, true] {
            let pair = Pair::with_rows();
            let before = pair.entries();
            let mut step = 0;
            let compacted = copy_while(&pair.sled, || {
                step += 1;
                pair.apply(&[row(Tree::Tags, step, None), row(Tree::Uploads, step, None)]);
                let copies = pair.entries().iter().any(|name| name == "generation-1");
                if step > at && copies && fails {
                    pair.sled.fail_copy();
                }
                step <= at || fails
            });
            let expected = if fails { CompactionOutcome::NoSpace } else { CompactionOutcome::Stopped };
            assert_eq!(compacted, expected, "{at}");
            assert_eq!(pair.entries(), before);
            pair.check();
            assert!(is_done(&copy_while(&pair.sled, || true)));
            pair.check();
            pair.reopen().check();
        }
    }
}

#[test]
fn without_room_nothing_is_copied_and_with_too_little_nothing_is_kept_of_it() {
    for enough in [0, 1, 5] {
        let pair = Pair::with_rows();
        let before = pair.entries();
        let asked = std::cell::Cell::new(0);
        let has_room = |bytes: u64| {
            assert!(bytes > 0);
            asked.set(asked.get() + 1);
            asked.get() <= enough
        };
        let mut pacing = CompactionPacing { pause: &mut || true, has_room: &has_room, worthwhile_bytes: 0 };
        assert_eq!(pair.sled.compact(&mut pacing).unwrap(), CompactionOutcome::NoSpace);
        assert_eq!((asked.get(), pair.entries()), (enough + 1, before));
        pair.check();
    }
}

#[test]
fn an_index_that_is_closed_while_it_is_copied_is_as_it_was() {
    let pair = Pair::with_rows();
    let mut step = 0;
    let mut pause = || {
        step += 1;
        if step == 30 {
            pair.sled.close().unwrap();
        }
        true
    };
    let mut pacing = CompactionPacing { pause: &mut pause, has_room: &|_| true, worthwhile_bytes: 0 };
    pair.sled.compact(&mut pacing).unwrap_err();
    assert!(!pair.entries().iter().any(|name| name.starts_with("generation")));
    pair.reopen().check();
}

/// A store with its index in sled on a real disk.
struct Store {
    folder: tempfile::TempDir,
    meta: Option<Meta>,
}

impl Store {
    fn new() -> Self {
        let mut store = Self { folder: tempfile::tempdir().unwrap(), meta: None };
        store.start();
        for name in ["one", "two"] {
            run(store.meta(), put_manifest("app", name, &[name])).unwrap();
        }
        store
    }

    fn start(&mut self) {
        let disk = Arc::new(RealDisk::open(self.folder.path()).unwrap());
        let kind = IndexKind::Sled(self.folder.path().to_owned());
        self.meta = Some(Meta::open(disk, MetaOptions::new(kind)).unwrap());
    }

    fn meta(&self) -> &Meta {
        self.meta.as_ref().unwrap()
    }

    fn stop(&mut self) {
        self.meta.take().unwrap().close().unwrap();
    }

    /// Adds a row that is not in the journal: it shows whether the index was kept.
    fn leave_a_trace(&self) {
        let trace = RowChange { tree: Tree::Links, key: b"trace".into(), value: Some(Vec::new()) };
        let index = self.meta().index();
        index.apply(index.applied().unwrap(), &[trace]).unwrap();
    }

    fn has_trace(&self) -> bool {
        self.meta().index().get(Tree::Links, b"trace").unwrap().is_some()
    }

    fn generations(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("index")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("generation")).collect()
    }
}

#[test]
fn after_a_clean_stop_the_new_files_are_the_index() {
    let mut store = Store::new();
    store.leave_a_trace();
    for generation in 1..4 {
        assert!(is_done(&copy_while(store.meta().index(), || true)));
        run(store.meta(), put_manifest("app", &format!("{generation}"), &["latest"])).unwrap();
        store.stop();
        assert_eq!(store.generations(), [format!("generation-{generation}")]);
        // What an unfinished compaction left.
        fs::create_dir(store.folder.path().join("index/generation-7")).unwrap();
        store.start();
        assert_eq!(store.generations(), [format!("generation-{generation}")]);
        assert!(store.has_trace());
        assert_eq!(tags(store.meta(), "app"), ["latest", "one", "two"]);
    }
}

#[test]
fn check_and_rebuild_look_at_the_new_files_too() {
    let mut store = Store::new();
    assert!(is_done(&copy_while(store.meta().index(), || true)));
    run(store.meta(), put_manifest("app", "three", &["three"])).unwrap();
    store.stop();
    let root = store.folder.path();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(root).unwrap());
    let mut found = Inspection::of(&disk).unwrap();
    found.compare_index(root).unwrap();
    assert!(found.faults.is_empty() && found.notes.is_empty(), "{:?} {:?}", found.faults, found.notes);
    assert!(crate::meta::recovery::rebuild_from_index(&disk, root).unwrap());
    fs::remove_dir_all(root.join("index")).unwrap();
    store.start();
    assert_eq!(tags(store.meta(), "app"), ["one", "three", "two"]);
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_start_after_dying_amid_a_copy_or_after_it_makes_the_index_anew_and_leaves_nothing() {
    let store = Store::new();
    store.leave_a_trace();
    let mut deaths = Vec::new();
    let die = |deaths: &mut Vec<_>| {
        let left = tempfile::tempdir().unwrap();
        copy_folder(store.folder.path(), left.path());
        deaths.push(left);
    };
    assert!(is_done(&copy_while(store.meta().index(), || {
        die(&mut deaths);
        true
    })));
    die(&mut deaths);
    assert!(deaths.len() > 8, "{}", deaths.len());
    for folder in deaths {
        let mut store = Store { folder, meta: None };
        store.start();
        assert!(!store.has_trace() && store.generations().is_empty());
        assert_eq!(tags(store.meta(), "app"), ["one", "two"]);
        store.stop();
        assert!(store.folder.path().join("clean").exists());
    }
}

#[test]
fn an_index_that_fails_while_it_is_copied_is_made_anew_and_can_be_copied_again() {
    let store = Store::new();
    let mut step = 0;
    let mut pause = || {
        step += 1;
        if step == 10 {
            store.meta().break_index();
        }
        true
    };
    let mut pacing = CompactionPacing { pause: &mut pause, has_room: &|_| true, worthwhile_bytes: 0 };
    store.meta().compact_index(&mut pacing).unwrap_err();
    for _ in 0..10_000 {
        if store.meta().rebuilding().is_none() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(tags(store.meta(), "app"), ["one", "two"]);
    assert!(is_done(&copy_while(store.meta().index(), || true)));
    assert_eq!(tags(store.meta(), "app"), ["one", "two"]);
}
