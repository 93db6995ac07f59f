//! An index that is far too large for its rows is replaced by a new one while it is in use.

use std::cell::Cell;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::disk::RealDisk;
use crate::meta::Start;
use crate::meta::index::{CompactionOutcome, CompactionPacing, IndexError};
use crate::meta::recovery::{Build, Inspection};

const MIB: u64 = 1 << 20;

pub(super) fn is_done(compacted: &CompactionOutcome) -> bool {
    matches!(compacted, CompactionOutcome::Done { .. })
}

/// Replaces the index regardless of the files' size, and calls `between` between any two steps. It stops once
/// `between` returns false.
fn try_replace(
    meta: &Meta,
    may_renew_checkpoints: bool,
    mut between: impl FnMut() -> bool,
) -> Result<CompactionOutcome, IndexError> {
    let pause: &mut dyn FnMut() -> bool = &mut between;
    let mut pacing =
        CompactionPacing { pause, has_room: &|_| true, worthwhile_bytes: 0, may_renew_checkpoints };
    meta.compact_index(&mut pacing)
}

/// The same, where it cannot fail.
pub(super) fn replace_while(
    meta: &Meta,
    may_renew_checkpoints: bool,
    between: impl FnMut() -> bool,
) -> CompactionOutcome {
    try_replace(meta, may_renew_checkpoints, between).unwrap()
}

/// A store with its index in sled on a real disk.
pub(super) struct Store {
    pub(super) folder: tempfile::TempDir,
    pub(super) meta: Option<Meta>,
}

impl Store {
    fn new() -> Self {
        Self::with(|options| options)
    }

    fn with(change: impl FnOnce(MetaOptions) -> MetaOptions) -> Self {
        let mut store = Self { folder: tempfile::tempdir().unwrap(), meta: None };
        store.start_with(change);
        for name in ["one", "two"] {
            run(store.meta(), put_manifest("app", name, &[name])).unwrap();
        }
        store
    }

    fn start(&mut self) {
        self.start_with(|options| options);
    }

    fn start_with(&mut self, change: impl FnOnce(MetaOptions) -> MetaOptions) {
        let kind = IndexKind::Sled(self.folder.path().to_owned());
        self.meta = Some(Meta::open(self.disk(), change(MetaOptions::new(kind))).unwrap());
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(RealDisk::open(self.folder.path()).unwrap())
    }

    pub(super) fn meta(&self) -> &Meta {
        self.meta.as_ref().unwrap()
    }

    fn stop(&mut self) {
        self.meta.take().unwrap().close().unwrap();
    }

    /// Tags a manifest with a number of tags.
    pub(super) fn tag(&self, content: &str, prefix: &str, count: usize) {
        let names: Vec<String> = (0..count).map(|number| format!("{prefix}-{number:05}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        run(self.meta(), put_manifest("app", content, &names)).unwrap();
    }

    fn delete(&self, content: &str) {
        run(self.meta(), Command::DeleteManifest { repo: repo("app"), digest: digest(content) }).unwrap();
    }

    /// Compares the index with what the journal adds up to.
    pub(super) fn check(&self) {
        let from_journal = open(&copy(self.disk().as_ref()));
        assert!(rows(self.meta().index()) == rows(from_journal.index()), "the rows differ");
        assert_eq!(stored(self.meta()), stored(&from_journal));
    }

    /// Tells whether the start kept the index of a generation, as it is after its verification.
    fn kept(&self, generation: u64) -> bool {
        settle(self.meta());
        self.meta().start() == Start::Clean && self.meta().index().generation() == Some(generation)
    }

    pub(super) fn entries(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("index")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn generations(&self) -> Vec<String> {
        self.entries().into_iter().filter(|name| name.starts_with("generation")).collect()
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
    let mut store = Store::new();
    let mut rounds = 0;
    while store.meta().index_bytes() < 8 * MIB {
        assert!(rounds < 200, "it takes nothing");
        store.tag("many", &format!("{rounds:050}"), 1000);
        rounds += 1;
    }
    let mut pause = || true;
    let pause: &mut dyn FnMut() -> bool = &mut pause;
    let mut pacing =
        CompactionPacing { pause, has_room: &|_| true, worthwhile_bytes: MIB, may_renew_checkpoints: true };
    let size = store.meta().index_bytes();
    // While the rows exist, its size is about what they need.
    assert_eq!(store.meta().compact_index(&mut pacing).unwrap(), CompactionOutcome::NotNeeded);

    store.delete("many");
    forget_tag_changes(store.meta());
    pacing.worthwhile_bytes = 1024 * MIB;
    assert_eq!(store.meta().compact_index(&mut pacing).unwrap(), CompactionOutcome::NotNeeded);
    pacing.worthwhile_bytes = MIB;
    let compacted = store.meta().compact_index(&mut pacing).unwrap();
    let CompactionOutcome::Done { before_bytes, after_bytes } = compacted else { panic!("{compacted:?}") };
    assert!(before_bytes >= size && after_bytes < 2 * MIB, "{before_bytes}, {after_bytes}");
    assert_eq!(store.meta().index_bytes(), after_bytes);
    assert_eq!(store.entries(), ["generation-1"]);
    assert_eq!(unlinked(store.folder.path()), Vec::<PathBuf>::new());
    store.check();
    assert_eq!(store.meta().compact_index(&mut pacing).unwrap(), CompactionOutcome::NotNeeded);
    store.stop();
    store.start();
    assert_eq!(store.meta().start(), Start::Clean);
    assert_eq!(tags(store.meta(), "app"), ["one", "two"]);
    assert_eq!(store.meta().index_bytes() / MIB, after_bytes / MIB);
}

#[test]
fn what_changes_while_the_new_one_is_built_is_in_it_however_far_it_is() {
    for renews in [false, true] {
        let mut store = Store::new();
        store.tag("one", "a", 200);
        let mut step: u8 = 0;
        let compacted = replace_while(store.meta(), renews, || {
            step += 1;
            let (meta, content) = (store.meta(), format!("step {step}"));
            run(meta, put_manifest(&format!("app{}", step % 7), &content, &["latest", &format!("{step}")]))
                .unwrap();
            run(meta, Command::BeginUpload { id: upload_id(step), row: upload_row("app", 0) }).unwrap();
            run(meta, Command::DeleteTag { repo: repo("app"), tag: tag(&format!("a-{step:05}")) }).unwrap();
            true
        });
        assert!(is_done(&compacted), "{compacted:?}");
        assert!(step > 15, "{step}");
        store.check();
        run(store.meta(), put_manifest("app", "after", &["after"])).unwrap();
        store.check();
        store.stop();
        store.start();
        store.check();
    }
}

#[test]
fn many_replacements_beside_a_writer_that_rotates_lose_nothing() {
    // The rows are compared with those of the whole journal, so none of it may go.
    let kept = |options| MetaOptions { journal_min_bytes: 20_000, history_max_bytes: u64::MAX, ..options };
    let mut store = Store::with(kept);
    let (writes, ended) = (Barrier::new(2), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0.. {
                // The same rows each time, so that a step reads what is being written.
                store.tag(["one", "two"][turn % 2], "same", 20);
                if turn == 0 {
                    writes.wait();
                }
                if ended.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        writes.wait();
        let outcomes: Vec<_> = (0..12).map(|_| replace_while(store.meta(), true, || true)).collect();
        ended.store(true, Ordering::SeqCst);
        assert!(outcomes.iter().all(is_done), "{outcomes:?}");
    });
    // A checkpoint that is being taken may still read the old files.
    eventually("the old files are gone", || store.entries() == ["generation-12"]);
    // No rotation renames files while they are compared.
    store.stop();
    store.start_with(kept);
    assert_eq!(store.meta().start(), Start::Clean);
    store.check();
}

#[test]
fn catching_up_ends_at_its_limit_and_continues_from_there() {
    let store = Store::new();
    let disk = store.disk();
    let read_from = |place| Ok(store.meta().read_from(place));
    let mut build = Build::begin(disk.as_ref(), read_from, |_| Ok(Arc::new(MapIndex::new()))).unwrap();
    let head = || store.meta().index().applied().unwrap();
    build.fill(disk.as_ref(), head(), &mut |_| Ok(())).unwrap();
    for number in 0..20 {
        run(store.meta(), put_manifest("app", &format!("{number}"), &["latest"])).unwrap();
    }
    let mut rounds = 1;
    while !build.catch_up(head(), 1000).unwrap() {
        rounds += 1;
    }
    assert!((5..20).contains(&rounds), "{rounds}");
    // It does not wait for what was never appended.
    build.catch_up(head() + 1, u64::MAX).unwrap_err();
    let index = build.finish();
    assert!(rows(index.as_ref()) == rows(store.meta().index()));
    assert_eq!(index.applied().unwrap(), head());
}

#[test]
fn a_scan_misses_no_row_when_the_index_is_replaced_meanwhile() {
    let store = Store::new();
    store.tag("one", "a", 300);
    let before = tags(store.meta(), "app").len();
    let index = store.meta().index();
    let mut seen = Vec::new();
    let mut visit = |key: &[u8], _: &[u8]| {
        if seen.is_empty() {
            assert!(is_done(&replace_while(store.meta(), false, || true)));
            store.tag("two", "b", 300);
        }
        seen.push(key.to_vec());
        ControlFlow::Continue(())
    };
    index.scan(Tree::Tags, &[], None, &mut visit).unwrap();
    assert!(seen.len() >= before && seen.is_sorted(), "{}", seen.len());
    assert_eq!(store.generations(), ["generation-1"]);
    store.check();
}

#[test]
fn a_replacement_that_is_given_up_leaves_everything_as_it_was() {
    for at in [0, 1, 11, 22, 26] {
        for renews in [false, true] {
            let mut store = Store::new();
            store.tag("one", "a", 300);
            let before = store.entries();
            let mut step = 0;
            let compacted = replace_while(store.meta(), renews, || {
                step += 1;
                store.tag("two", &format!("{step}"), 2);
                step <= at
            });
            assert_eq!(compacted, CompactionOutcome::Stopped, "{at}");
            assert_eq!(store.entries(), before);
            store.check();
            assert!(is_done(&replace_while(store.meta(), renews, || true)));
            store.check();
            store.stop();
            store.start();
            store.check();
        }
    }
}

#[test]
fn without_room_nothing_is_built_and_with_too_little_nothing_is_kept_of_it() {
    for enough in [0, 1, 2, 5] {
        let store = Store::new();
        store.tag("one", "a", 300);
        let before = store.entries();
        let asked = Cell::new(0);
        let has_room = |bytes: u64| {
            assert!(bytes > 0);
            asked.set(asked.get() + 1);
            asked.get() <= enough
        };
        let pause: &mut dyn FnMut() -> bool = &mut || true;
        let mut pacing = CompactionPacing {
            pause,
            has_room: &has_room,
            worthwhile_bytes: 0,
            may_renew_checkpoints: false,
        };
        assert_eq!(store.meta().compact_index(&mut pacing).unwrap(), CompactionOutcome::NoSpace);
        assert_eq!((asked.get(), store.entries()), (enough + 1, before));
        store.check();
    }
}

#[test]
fn a_store_that_is_closed_meanwhile_keeps_its_index() {
    for at in [1, 11, 17, 24] {
        let mut store = Store::new();
        store.tag("one", "a", 300);
        let (mut step, meta) = (0, store.meta());
        let compacted = try_replace(meta, false, || {
            step += 1;
            if step == at {
                meta.close().unwrap();
            }
            true
        });
        assert!(!compacted.as_ref().is_ok_and(is_done), "{compacted:?}");
        store.meta = None;
        assert_eq!(store.generations(), Vec::<String>::new());
        store.start();
        assert!(store.kept(0));
        assert_eq!(tags(store.meta(), "app").len(), 302);
    }
}

#[test]
fn after_a_clean_stop_the_new_files_are_the_index() {
    let mut store = Store::new();
    for generation in 1..4 {
        assert!(is_done(&replace_while(store.meta(), true, || true)));
        run(store.meta(), put_manifest("app", &format!("{generation}"), &["latest"])).unwrap();
        store.stop();
        assert_eq!(store.generations(), [format!("generation-{generation}")]);
        // What an unfinished replacement left.
        fs::create_dir(store.folder.path().join("index/generation-7")).unwrap();
        store.start();
        assert_eq!(store.generations(), [format!("generation-{generation}")]);
        assert!(store.kept(generation));
        assert_eq!(tags(store.meta(), "app"), ["latest", "one", "two"]);
    }
}

#[test]
fn check_and_rebuild_look_at_the_new_files_too() {
    let mut store = Store::new();
    assert!(is_done(&replace_while(store.meta(), true, || true)));
    run(store.meta(), put_manifest("app", "three", &["three"])).unwrap();
    store.stop();
    let (root, disk) = (store.folder.path(), store.disk());
    let temporary = crate::meta::TemporaryFolder::create().unwrap();
    let mut found = Inspection::of(&disk, Some(&temporary)).unwrap();
    found.compare_index(root, true, Some(&temporary)).unwrap();
    assert!(found.faults.is_empty() && found.notes.is_empty(), "{:?} {:?}", found.faults, found.notes);
    assert!(crate::meta::recovery::rebuild_from_index(&disk, root).unwrap());
    fs::remove_dir_all(root.join("index")).unwrap();
    store.start();
    assert_eq!(tags(store.meta(), "app"), ["one", "three", "two"]);
}

#[test]
fn a_start_after_dying_amid_a_replacement_or_after_it_rebuilds_the_index_and_leaves_nothing() {
    let store = Store::new();
    let mut deaths = Vec::new();
    let die = |deaths: &mut Vec<_>| {
        let left = tempfile::tempdir().unwrap();
        copy_folder(store.folder.path(), left.path());
        deaths.push(left);
    };
    assert!(is_done(&replace_while(store.meta(), false, || {
        die(&mut deaths);
        true
    })));
    die(&mut deaths);
    assert!(deaths.len() > 8, "{}", deaths.len());
    for folder in deaths {
        let mut store = Store { folder, meta: None };
        store.start();
        assert!(!store.kept(0) && store.generations().is_empty());
        assert_eq!(tags(store.meta(), "app"), ["one", "two"]);
        store.stop();
        assert!(store.folder.path().join("clean").exists());
    }
}

#[test]
fn an_index_that_fails_while_its_successor_is_built_is_rebuilt_and_can_be_replaced_again() {
    for at in [1, 11, 12, 13] {
        let store = Store::new();
        let mut step = 0;
        let compacted = try_replace(store.meta(), false, || {
            step += 1;
            if step == at {
                store.meta().break_index();
            }
            true
        });
        // While the rows are counted, one that was rebuilt is as good.
        assert!(at == 1 || !compacted.as_ref().is_ok_and(is_done), "{compacted:?}");
        for _ in 0..10_000 {
            if store.meta().rebuilding().is_none() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        store.check();
        assert!(is_done(&replace_while(store.meta(), true, || true)));
        assert_eq!(store.entries().len(), 1);
        store.check();
    }
}
