//! Policies while the clock is wrong, and tags that somebody counts on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use smol::block_on;

use super::clients::{push_all, repo, tag};
use super::{collect, in_memory, pass};
use crate::disk::{Disk, MemoryDisk};
use crate::maintenance::collector::options::CollectOptions;
use crate::maintenance::collector::report::CollectReport;
use crate::meta::{Clock, DAY_MS, IndexKind, MetaOptions, Policies, Policy, SetClock, TODAY_MS, Untagged};
use crate::registry::{Backing, Registry, RegistryOptions, Storage};
use crate::spec::Reference;

const HOUR: Duration = Duration::from_secs(60 * 60);
const HOUR_MS: u64 = 60 * 60 * 1000;

fn policy() -> Policy {
    Policy { repositories: vec!["*".parse().unwrap()], ..Policy::default() }
}

fn last(count: usize) -> Policy {
    Policy { keep_last: Some(count), ..policy() }
}

fn young(days: u64) -> Policy {
    let untagged = Untagged::RemoveAfter(Duration::from_millis(7 * DAY_MS));
    Policy { keep_younger_than: Some(Duration::from_millis(days * DAY_MS)), untagged, ..policy() }
}

/// Starts a registry with a clock, which knows nothing of leases from before, and knows that.
fn start(disk: &Arc<dyn Disk>, clock: Arc<Clock>, policy: &Policy) -> Registry {
    let mut options = RegistryOptions::new(Storage::Memory);
    (options.lease, options.grace) = (HOUR, HOUR);
    options.policies = Policies::new(vec![policy.clone()]);
    let meta = MetaOptions { clock, ..MetaOptions::new(IndexKind::Map) };
    let registry = Registry::open_on(options, Backing { disk: Arc::clone(disk), lock: None, meta }).unwrap();
    registry.upkeep().complete_now();
    registry
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(MemoryDisk::new())
}

fn push(registry: &Registry, number: usize, named: &str) {
    block_on(push_all(registry, "a", number, Some(named))).unwrap();
}

fn stop(registry: Registry) {
    block_on(registry.close()).unwrap();
    drop(registry);
}

fn tags(registry: &Registry) -> Vec<String> {
    let rows = registry.view().tags(&repo("a"), None, 100).unwrap();
    rows.iter().map(|tag| tag.as_str().to_owned()).collect()
}

fn run(registry: &Registry) -> CollectReport {
    collect(registry, &CollectOptions::default())
}

/// Each start but the first one is at a time that is wrong: before 1971, or years ahead, or behind.
#[test]
fn the_last_tags_stay_whatever_the_clock_said_when_they_were_set() {
    for wrong in [1000, TODAY_MS * 2, TODAY_MS - 400 * DAY_MS] {
        let disk = disk();
        let registry = start(&disk, SetClock::new(TODAY_MS).clock(), &last(2));
        push(&registry, 0, "v3");
        push(&registry, 2, "v2");
        stop(registry);
        let registry = start(&disk, SetClock::new(wrong).clock(), &last(2));
        push(&registry, 3, "v1");
        stop(registry);
        for now in [wrong, TODAY_MS] {
            let registry = start(&disk, SetClock::new(now).clock(), &last(2));
            run(&registry);
            assert_eq!(tags(&registry), ["v1", "v2"], "{wrong} {now}");
            stop(registry);
        }
    }
}

#[test]
fn what_was_pushed_before_the_clock_was_ever_set_is_as_old_as_that() {
    let (disk, set) = (disk(), SetClock::new(1000));
    let clock = set.clock();
    let registry = start(&disk, Arc::clone(&clock), &young(30));
    push(&registry, 0, "v1");
    block_on(push_all(&registry, "a", 2, None)).unwrap();
    stop(registry);
    // Nobody counts on anything any more.
    let registry = start(&disk, Arc::clone(&clock), &young(30));
    set.set(TODAY_MS);
    for passed in [0, 2 * HOUR_MS, 6 * DAY_MS] {
        set.pass(passed);
        let report = run(&registry);
        assert_eq!((tags(&registry).len(), report.manifests.removed.count), (1, 0), "{passed}");
    }
    stop(registry);
    // It was noted when the clock was right.
    let registry = start(&disk, set.clock(), &young(30));
    set.pass(DAY_MS);
    assert_eq!(run(&registry).manifests.removed.count, 1);
    set.pass(22 * DAY_MS);
    assert_eq!(run(&registry).tags.removed.count, 0);
    set.pass(DAY_MS);
    assert_eq!(run(&registry).tags.removed.count, 1);
}

/// A clock that goes wrong a little, and is set forward by some minutes after days.
#[test]
fn a_time_is_corrected_once_however_many_passes_there_are() {
    let (disk, set) = (disk(), SetClock::new(TODAY_MS));
    let registry = start(&disk, set.clock(), &young(30));
    push(&registry, 0, "v1");
    block_on(push_all(&registry, "a", 2, None)).unwrap();
    let noted = || {
        let view = registry.view();
        let manifests = view.manifests(&repo("a"), None, 9).unwrap();
        let since: Vec<_> = manifests.iter().filter_map(|(_, row)| row.since).collect();
        (view.tag(&repo("a"), &tag("v1")).unwrap().unwrap().at.unwrap(), since)
    };
    let before = noted();
    assert_eq!(before.1.len(), 2);
    set.pass(2 * DAY_MS);
    registry.upkeep().clock().stamp();
    let ahead = HOUR_MS / 10;
    set.set(TODAY_MS + 2 * DAY_MS + ahead);
    for passes in 0..20 {
        run(&registry);
        let (at, since) = noted();
        let expected = if passes == 0 { 0 } else { ahead };
        assert_eq!(at - before.0, expected, "{passes}");
        assert!(since.iter().all(|since| *since <= before.1[0] + ahead), "{passes}: {since:?}");
        set.pass(HOUR_MS);
    }
}

#[test]
fn a_dry_run_notes_no_time() {
    let (disk, set) = (disk(), SetClock::new(1000));
    let registry = start(&disk, set.clock(), &young(30));
    push(&registry, 0, "v1");
    block_on(push_all(&registry, "a", 2, None)).unwrap();
    set.set(TODAY_MS);
    // Somebody notices that it was set; then it rests for a while.
    run(&registry);
    set.pass(2 * HOUR_MS);
    let noted = || {
        let view = registry.view();
        let row = view.tag(&repo("a"), &tag("v1")).unwrap().unwrap();
        let manifests = view.manifests(&repo("a"), None, 9).unwrap();
        (row.at, manifests.iter().filter_map(|(_, row)| row.since).count())
    };
    assert_eq!(noted(), (None, 0));
    let dry = CollectOptions { dry_run: true, ..CollectOptions::default() };
    pass(&registry, &dry, &mut || {}, &mut |_| {});
    assert_eq!(noted(), (None, 0));
    run(&registry);
    assert!(noted().0.is_some() && noted().1 > 0);
}

#[test]
fn what_was_pushed_before_the_clock_was_set_forward_is_no_older_for_that() {
    let disk = disk();
    let set = SetClock::new(TODAY_MS - 90 * DAY_MS);
    let clock = set.clock();
    let registry = start(&disk, Arc::clone(&clock), &young(30));
    push(&registry, 0, "v1");
    stop(registry);
    set.set(TODAY_MS);
    let registry = start(&disk, clock, &young(30));
    set.pass(2 * HOUR_MS);
    assert_eq!(run(&registry).tags.removed.count, 0);
    stop(registry);
    // The next start knows nothing of the clock that was wrong, and need not.
    let registry = start(&disk, set.clock(), &young(30));
    set.pass(29 * DAY_MS);
    assert_eq!(run(&registry).tags.removed.count, 0);
    set.pass(DAY_MS);
    assert_eq!(run(&registry).tags.removed.count, 1);
}

#[test]
fn nothing_is_old_while_the_clock_is_ahead_for_a_while() {
    let (disk, set) = (disk(), SetClock::new(TODAY_MS));
    let registry = start(&disk, set.clock(), &young(30));
    push(&registry, 0, "v1");
    stop(registry);
    let registry = start(&disk, set.clock(), &young(30));
    set.pass(DAY_MS);
    for wall in [TODAY_MS + 90 * DAY_MS, TODAY_MS + DAY_MS] {
        set.set(wall);
        let report = run(&registry);
        assert_eq!(tags(&registry), ["v1"]);
        assert!(report.notes.iter().any(|note| note.starts_with("nothing counts as old")), "{report:?}");
    }
    set.pass(29 * DAY_MS);
    assert_eq!(run(&registry).tags.removed.count, 1);
}

#[test]
fn a_tag_of_the_future_keeps_no_other_and_a_push_corrects_it() {
    let (disk, set) = (disk(), SetClock::new(TODAY_MS * 2));
    let clock = set.clock();
    let registry = start(&disk, Arc::clone(&clock), &young(30));
    push(&registry, 0, "future");
    set.set(TODAY_MS);
    push(&registry, 2, "old");
    set.pass(31 * DAY_MS);
    stop(registry);
    let registry = start(&disk, clock, &young(30));
    run(&registry);
    assert_eq!(tags(&registry), ["future"]);
    push(&registry, 0, "future");
    let row = registry.view().tag(&repo("a"), &tag("future")).unwrap().unwrap();
    assert_eq!(row.at, Some(TODAY_MS + 31 * DAY_MS));
}

#[test]
fn a_tag_stays_while_what_it_names_is_leased() {
    let disk = disk();
    let clock = || SetClock::new(TODAY_MS).clock();
    let registry = start(&disk, clock(), &last(2));
    for (number, named) in [(0, "stable"), (2, "t1"), (3, "t2"), (0, "stable")] {
        push(&registry, number, named);
    }
    let report = run(&registry);
    assert_eq!((tags(&registry).len(), report.tags.held.count), (3, 1), "all were pushed just now");
    stop(registry);

    let registry = start(&disk, clock(), &last(2));
    let asked = Reference::Tag(tag("t1"));
    block_on(registry.manifest_info(&repo("a"), &asked)).unwrap();
    run(&registry);
    assert_eq!(tags(&registry).len(), 3, "somebody was told of it");
    stop(registry);

    let registry = start(&disk, clock(), &last(2));
    run(&registry);
    assert_eq!(tags(&registry), ["stable", "t2"], "pushed again, it was set last");
}

/// Whenever somebody asks for a tag while a pass runs, it is there afterwards if that was the answer.
#[test]
fn a_tag_that_somebody_is_told_of_during_a_pass_stays() {
    let mut told = 0;
    for step in 0..20 {
        let disk = disk();
        let registry = start(&disk, SetClock::new(TODAY_MS).clock(), &last(1));
        push(&registry, 0, "a");
        push(&registry, 2, "b");
        stop(registry);
        let registry = start(&disk, SetClock::new(TODAY_MS).clock(), &last(1));
        let (mut steps, mut found) = (0, false);
        let mut ask = || {
            if steps == step {
                found = block_on(registry.manifest_info(&repo("a"), &Reference::Tag(tag("a")))).is_ok();
            }
            steps += 1;
        };
        pass(&registry, &CollectOptions::default(), &mut ask, &mut |_| {});
        assert_eq!(tags(&registry).len(), 1 + usize::from(found), "step {step}");
        told += usize::from(found);
    }
    assert!((1..20).contains(&told), "{told}");
}

/// Somebody removes the two newest tags at any step: of the others none goes after that.
#[test]
fn tags_that_somebody_removes_during_a_pass_leave_as_many_as_are_to_stay() {
    let mut in_time = 0;
    for step in 0..20 {
        let registry = in_memory(Some(last(2)));
        for (number, named) in [(0, "a"), (2, "b"), (3, "c"), (4, "d")] {
            push(&registry, number, named);
        }
        let (mut steps, mut before) = (0, 0);
        let mut remove = || {
            if steps == step {
                before = tags(&registry).len();
                for named in ["c", "d"] {
                    block_on(registry.delete_tag(&repo("a"), &tag(named))).unwrap();
                }
            }
            steps += 1;
        };
        pass(&registry, &CollectOptions::default(), &mut remove, &mut |_| {});
        if before == 4 {
            in_time += 1;
            assert_eq!(tags(&registry), ["a", "b"], "step {step}");
        }
    }
    assert!((2..20).contains(&in_time), "{in_time}");
}

#[test]
fn the_last_tags_are_the_same_after_damage_to_the_journal() {
    let disk = disk();
    let clock = || SetClock::new(TODAY_MS).clock();
    let registry = start(&disk, clock(), &last(2));
    for (number, named) in [(0, "v4"), (2, "v3"), (3, "v2"), (4, "v1")] {
        push(&registry, number, named);
    }
    // As a power cut leaves it, with a byte changed in the line that made the repository.
    let path = Path::new("journal/000000000001.log");
    let file = disk.open_writable(path).unwrap();
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    let place = bytes.windows(12).position(|some| some == b"\"repository\"").unwrap();
    file.write_at(b"R", place as u64 + 1).unwrap();
    std::mem::forget(registry);

    stop(start(&disk, clock(), &last(2)));
    for entry in disk.list(Path::new("journal")).unwrap() {
        if entry.name.ends_with(".damaged") {
            disk.remove(&Path::new("journal").join(entry.name)).unwrap();
        }
    }
    let registry = start(&disk, clock(), &last(2));
    assert_eq!(tags(&registry), ["v1", "v2", "v3", "v4"]);
    run(&registry);
    assert_eq!(tags(&registry), ["v1", "v2"]);
    push(&registry, 2, "v5");
    run(&registry);
    assert_eq!(tags(&registry), ["v1", "v5"]);
}
