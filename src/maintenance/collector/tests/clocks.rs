//! Policies while the clock is wrong.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use smol::block_on;

use super::clients::{push_all, repo};
use super::collect;
use crate::disk::{Disk, MemoryDisk, RealDisk};
use crate::maintenance::collector::options::CollectOptions;
use crate::maintenance::collector::report::CollectReport;
use crate::meta::{
    Clock, DAY_MS, IndexKind, KeepRule, MetaOptions, Policies, Policy, SetClock, TODAY_MS, Untagged,
};
use crate::registry::{Backing, Registry, RegistryOptions, Storage};

pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(super) const HOUR_MS: u64 = 60 * 60 * 1000;

pub(super) fn policy() -> Policy {
    Policy { repositories: vec!["*".parse().unwrap()], ..Policy::default() }
}

pub(super) fn last(count: usize) -> Policy {
    Policy { keep: vec![KeepRule::newest(count)], ..policy() }
}

fn young(days: u64) -> Policy {
    let untagged = Some(Untagged::RemoveAfter(Duration::from_millis(7 * DAY_MS)));
    let pushed_within = Some(Duration::from_millis(days * DAY_MS));
    Policy { keep: vec![KeepRule { pushed_within, ..KeepRule::default() }], untagged, ..policy() }
}

/// Opens a registry with a clock.
fn open(store: &Store, clock: Arc<Clock>, policy: &Policy) -> Registry {
    let mut options = RegistryOptions::new(Storage::Memory);
    (options.lease, options.grace) = (HOUR, HOUR);
    options.policies = Policies::new(vec![policy.clone()]);
    let meta = MetaOptions { clock, ..MetaOptions::new(store.index.clone()) };
    let disk = Arc::clone(&store.disk);
    Registry::open_on(options, Backing { disk, lock: None, meta }).unwrap()
}

/// Starts a registry with a clock, as if no lease from before could be in force any more.
pub(super) fn start(store: &Store, clock: Arc<Clock>, policy: &Policy) -> Registry {
    let registry = open(store, clock, policy);
    registry.upkeep().complete_now();
    registry
}

/// What a registry is kept in.
pub(super) struct Store {
    disk: Arc<dyn Disk>,
    index: IndexKind,
    _folder: Option<tempfile::TempDir>,
}

/// A store whose starts rebuild the index from the journal, as after a power cut.
pub(super) fn store() -> Store {
    Store { disk: Arc::new(MemoryDisk::new()), index: IndexKind::Map, _folder: None }
}

/// A store whose starts trust what a clean stop left.
pub(super) fn store_on_disk() -> Store {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::open(folder.path()).unwrap());
    Store { disk, index: IndexKind::Sled(folder.path().to_owned()), _folder: Some(folder) }
}

pub(super) fn push(registry: &Registry, number: usize, named: &str) {
    block_on(push_all(registry, "a", number, Some(named))).unwrap();
}

/// Pushes an image without a tag.
fn push_untagged(registry: &Registry, number: usize) {
    block_on(push_all(registry, "a", number, None)).unwrap();
}

pub(super) fn stop(registry: Registry) {
    block_on(registry.close()).unwrap();
    drop(registry);
}

pub(super) fn tags(registry: &Registry) -> Vec<String> {
    let rows = registry.view().tags(&repo("a"), None, 100).unwrap();
    rows.iter().map(|tag| tag.as_str().to_owned()).collect()
}

pub(super) fn run(registry: &Registry) -> CollectReport {
    collect(registry, &CollectOptions::default())
}

/// Runs a pass when no lease holds anything any more, so that only ages do.
pub(super) fn run_later(registry: &Registry) -> CollectReport {
    registry.upkeep().grow_older(2 * HOUR);
    run(registry)
}

fn read(disk: &dyn Disk, path: &Path) -> Vec<u8> {
    let file = disk.open(path).unwrap();
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

/// Each start but the first one is at a wrong time: before 1971, years ahead, or years back.
#[test]
fn the_last_tags_stay_whatever_the_clock_said_when_they_were_set() {
    for wrong in [1000, TODAY_MS * 2, TODAY_MS - 400 * DAY_MS] {
        let store = store();
        let registry = start(&store, SetClock::new(TODAY_MS).clock(), &last(2));
        push(&registry, 0, "v3");
        push(&registry, 2, "v2");
        stop(registry);
        let registry = start(&store, SetClock::new(wrong).clock(), &last(2));
        push(&registry, 3, "v1");
        stop(registry);
        for now in [wrong, TODAY_MS] {
            let registry = start(&store, SetClock::new(now).clock(), &last(2));
            run(&registry);
            assert_eq!(tags(&registry), ["v1", "v2"], "{wrong} {now}");
            stop(registry);
        }
    }
}

#[test]
fn a_clock_that_was_never_set_ages_things_by_the_time_that_the_store_is_open() {
    let (store, set) = (store_on_disk(), SetClock::new(1000));
    let registry = start(&store, set.clock(), &young(30));
    push(&registry, 0, "v1");
    push_untagged(&registry, 2);
    stop(registry);
    for day in 1..=31 {
        // Each day the machine starts, once with a clock that was set.
        set.boot(if day == 5 { TODAY_MS } else { 1000 });
        let registry = start(&store, set.clock(), &young(30));
        set.pass(DAY_MS);
        let report = run_later(&registry);
        let removed = (report.manifests.removed.count > 0, report.tags.removed.count > 0);
        // The image goes with its tag.
        assert_eq!(removed, (day == 7 || day == 30, day == 30), "{day}");
        stop(registry);
    }
}

#[test]
fn a_clock_that_is_set_changes_no_age() {
    for step in [HOUR_MS / 10, 90 * DAY_MS] {
        let (store, set) = (store(), SetClock::new(TODAY_MS));
        let registry = start(&store, set.clock(), &young(30));
        push(&registry, 0, "v1");
        push_untagged(&registry, 2);
        for hours in 1..=30 * 24 {
            set.pass(HOUR_MS);
            match hours {
                30 => set.set(TODAY_MS + step),
                60 => set.set(TODAY_MS - step),
                _ => {}
            }
            let report = run_later(&registry);
            let removed = (report.manifests.removed.count > 0, report.tags.removed.count > 0);
            let both = hours == 30 * 24;
            assert_eq!(removed, (hours == 7 * 24 || both, both), "{step} {hours}");
        }
    }
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_would_go() {
    let (store, set) = (store(), SetClock::new(TODAY_MS));
    let registry = start(&store, set.clock(), &young(30));
    set.pass(DAY_MS);
    push(&registry, 0, "v1");
    push_untagged(&registry, 2);
    stop(registry);
    set.boot(TODAY_MS + 40 * DAY_MS);
    let registry = start(&store, set.clock(), &young(30));
    set.pass(2 * HOUR_MS);
    let journal = || {
        let names = store.disk.list(Path::new("journal")).unwrap().into_iter();
        names.map(|entry| read(&*store.disk, &Path::new("journal").join(entry.name))).collect::<Vec<_>>()
    };
    registry.upkeep().grow_older(2 * HOUR);
    let before = journal();
    let dry = CollectOptions { dry_run: true, ..CollectOptions::default() };
    let report = collect(&registry, &dry);
    assert_eq!((report.tags.removed.count, report.manifests.removed.count), (1, 2));
    assert_eq!(journal(), before);
    let report = run_later(&registry);
    assert_eq!((report.tags.removed.count, report.manifests.removed.count), (1, 2));
}

#[test]
fn what_was_pushed_before_the_clock_was_set_forward_is_no_older_for_that() {
    let store = store();
    let set = SetClock::new(TODAY_MS - 90 * DAY_MS);
    let registry = start(&store, set.clock(), &young(30));
    push(&registry, 0, "v1");
    stop(registry);
    set.set(TODAY_MS);
    let registry = start(&store, set.clock(), &young(30));
    set.pass(2 * HOUR_MS);
    assert_eq!(run_later(&registry).tags.removed.count, 0);
    set.pass(28 * DAY_MS);
    assert_eq!(run_later(&registry).tags.removed.count, 0);
    set.pass(2 * DAY_MS);
    assert_eq!(run_later(&registry).tags.removed.count, 1);
}

/// A Pi starts with the time of its last stop, and a time server sets its clock after a push.
#[test]
fn a_push_before_the_time_server_sets_the_clock_stays_as_long_as_it_is_to() {
    let policy = young(365);
    for store in [store(), store_on_disk()] {
        let set = SetClock::new(TODAY_MS);
        let registry = start(&store, set.clock(), &policy);
        set.pass(2 * HOUR_MS);
        push(&registry, 0, "latest");
        stop(registry);
        // Off for 30 days.
        set.boot(TODAY_MS + 2 * HOUR_MS);
        let registry = start(&store, set.clock(), &policy);
        set.pass(HOUR_MS / 60);
        push(&registry, 2, "latest");
        push_untagged(&registry, 1);
        set.set(TODAY_MS + 30 * DAY_MS);
        // The old image is untagged since just now, as the new ones are here since just now.
        let (mut registry, mut removed) = (Some(registry), 0);
        for hours in 1..=9 * 24 {
            set.pass(HOUR_MS);
            let report = run_later(registry.as_ref().unwrap());
            removed += report.manifests.removed.count;
            assert!(hours >= 7 * 24 || removed == 0, "{hours}");
            if hours == 1 || hours == 30 {
                stop(registry.take().unwrap());
                registry = Some(start(&store, set.clock(), &policy));
            }
        }
        // After a power cut, a day of store time may be missing.
        assert_eq!((removed, tags(registry.as_ref().unwrap())), (2, vec!["latest".to_owned()]));
    }
}

#[test]
fn a_machine_that_is_off_half_of_the_time_ages_things_by_both() {
    for store in [store(), store_on_disk()] {
        let set = SetClock::new(TODAY_MS);
        let registry = start(&store, set.clock(), &young(30));
        set.pass(2 * HOUR_MS);
        push(&registry, 0, "v1");
        push_untagged(&registry, 2);
        stop(registry);
        for day in 1..=31 {
            set.boot(TODAY_MS + (24 * day - 10) * HOUR_MS);
            let registry = start(&store, set.clock(), &young(30));
            // A push of each day, of which the last line tells little.
            push(&registry, 3, "daily");
            set.pass(12 * HOUR_MS + 1000);
            let report = run_later(&registry);
            let removed = (report.manifests.removed.count > 0, report.tags.removed.count > 0);
            // The image of that tag is a child of another one.
            assert_eq!(removed, (day == 7, day == 30), "{day}");
            stop(registry);
        }
    }
}

#[test]
fn a_clock_that_is_ahead_for_a_while_makes_nothing_old() {
    let (store, set) = (store(), SetClock::new(TODAY_MS));
    let registry = start(&store, set.clock(), &young(30));
    set.pass(2 * HOUR_MS);
    push(&registry, 0, "v1");
    stop(registry);
    let registry = start(&store, set.clock(), &young(30));
    set.pass(DAY_MS);
    run_later(&registry);
    for wall in [TODAY_MS + 90 * DAY_MS, TODAY_MS + DAY_MS] {
        set.set(wall);
        run_later(&registry);
        set.pass(2 * HOUR_MS);
        run_later(&registry);
        assert_eq!(tags(&registry), ["v1"]);
    }
    set.pass(29 * DAY_MS);
    assert_eq!(run_later(&registry).tags.removed.count, 1);
}

#[test]
fn a_clock_that_is_years_ahead_at_the_start_and_is_set_within_the_rest_makes_nothing_old() {
    let (store, set) = (store(), SetClock::new(TODAY_MS));
    let registry = start(&store, set.clock(), &young(30));
    set.pass(2 * HOUR_MS);
    push(&registry, 0, "v1");
    stop(registry);
    set.boot(TODAY_MS * 2);
    let registry = start(&store, set.clock(), &young(30));
    set.pass(HOUR_MS / 2);
    push(&registry, 2, "v2");
    let report = run_later(&registry);
    assert!(report.notes.iter().any(|note| note.starts_with("ages leave out the time")), "{report:?}");
    set.set(TODAY_MS + DAY_MS + 3 * HOUR_MS);
    for _ in 0..29 {
        assert_eq!(run_later(&registry).tags.removed.count, 0);
        set.pass(DAY_MS);
    }
    assert_eq!(
        run_later(&registry).tags.removed.count,
        1,
        "it is 30 days old, by a day that the machine was off"
    );
    assert_eq!(tags(&registry), ["v2"]);
}

/// A power cut then loses the store time of a day at most.
#[test]
fn passes_over_an_idle_store_write_one_line_a_day_where_policies_need_ages() {
    for (policy, expected) in [(young(365), 7), (last(2), 0)] {
        let (store, set) = (store(), SetClock::new(1000));
        let registry = start(&store, set.clock(), &policy);
        push(&registry, 0, "v1");
        let lines =
            || read(&*store.disk, Path::new("journal/000000000001.log")).split(|byte| *byte == b'\n').count();
        let before = lines();
        for _ in 0..7 * 24 {
            set.pass(HOUR_MS);
            run_later(&registry);
        }
        assert_eq!(lines() - before, expected);
    }
}

/// `pulk gc` without a server.
#[test]
fn a_pass_over_a_stopped_store_counts_at_once_what_a_clock_that_is_right_tells() {
    let alone = CollectOptions { alone: true, ..CollectOptions::default() };
    for (wall, removed) in [(1000, 0), (TODAY_MS - DAY_MS, 0), (TODAY_MS + 40 * DAY_MS, 3)] {
        let (store, set) = (store(), SetClock::new(TODAY_MS));
        let registry = start(&store, set.clock(), &young(30));
        set.pass(2 * HOUR_MS);
        push(&registry, 0, "v1");
        push_untagged(&registry, 2);
        stop(registry);
        set.set(wall);
        let registry = open(&store, set.clock(), &young(30));
        let report = collect(&registry, &CollectOptions { now: true, ..alone.clone() });
        assert_eq!(report.tags.removed.count + report.manifests.removed.count, removed, "{wall} {report:?}");
        let says = report.notes.iter().any(|note| note.starts_with("ages leave out the time"));
        assert_eq!(says, removed == 0, "{report:?}");
    }
}

#[test]
fn the_last_tags_are_the_same_after_damage_to_the_journal() {
    let store = store();
    let clock = || SetClock::new(TODAY_MS).clock();
    let registry = start(&store, clock(), &last(2));
    for (number, named) in [(0, "v4"), (2, "v3"), (3, "v2"), (4, "v1")] {
        push(&registry, number, named);
    }
    // As a power cut leaves it, with a byte changed in the line that made the repository.
    let path = Path::new("journal/000000000001.log");
    let bytes = read(&*store.disk, path);
    let file = store.disk.open_writable(path).unwrap();
    let place = bytes.windows(12).position(|some| some == b"\"repository\"").unwrap();
    file.write_at(b"R", place as u64 + 1).unwrap();
    std::mem::forget(registry);

    stop(start(&store, clock(), &last(2)));
    for entry in store.disk.list(Path::new("journal")).unwrap() {
        if entry.name.ends_with(".damaged") {
            store.disk.remove(&Path::new("journal").join(entry.name)).unwrap();
        }
    }
    let registry = start(&store, clock(), &last(2));
    assert_eq!(tags(&registry), ["v1", "v2", "v3", "v4"]);
    run(&registry);
    assert_eq!(tags(&registry), ["v1", "v2"]);
    push(&registry, 2, "v5");
    run(&registry);
    assert_eq!(tags(&registry), ["v1", "v5"]);
}
