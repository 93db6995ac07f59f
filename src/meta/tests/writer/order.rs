//! The order in which tags were set, and the times: across restarts, regardless of the clock.

use super::*;
use crate::disk::RealDisk;
use crate::meta::clock::{DAY_MS, SetClock, TODAY_MS};
use crate::meta::model::TagRow;

fn open_by(disk: &Arc<dyn Disk>, index: &IndexKind, clock: &SetClock) -> Meta {
    let options = MetaOptions { clock: clock.clock(), ..MetaOptions::new(index.clone()) };
    Meta::open(Arc::clone(disk), options).unwrap()
}

fn row(meta: &Meta, name: &str) -> TagRow {
    meta.view().tag(&repo("app"), &tag(name)).unwrap().unwrap()
}

fn push(meta: &Meta, name: &str) -> TagRow {
    run(meta, put_manifest("app", name, &[name])).unwrap();
    row(meta, name)
}

/// Calls `work` with a disk and an index in memory, which every start rebuilds, and with sled on a real disk,
/// which a start trusts.
fn on_both(work: impl Fn(&Arc<dyn Disk>, &IndexKind)) {
    work(&(Arc::new(MemoryDisk::new()) as Arc<dyn Disk>), &IndexKind::Map);
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
    work(&disk, &IndexKind::Sled(folder.path().to_owned()));
}

#[test]
fn each_push_comes_behind_all_before_it_whatever_the_clock_says() {
    on_both(|disk, index| {
        let clock = SetClock::new(TODAY_MS);
        let meta = open_by(disk, index, &clock);
        let mut orders = vec![push(&meta, "b").order];
        clock.set(TODAY_MS - 90 * DAY_MS);
        orders.push(push(&meta, "c").order);
        meta.close().unwrap();
        for (started, name) in [(0, "a"), (TODAY_MS * 2, "e"), (TODAY_MS, "d")] {
            let meta = open_by(disk, index, &SetClock::new(started));
            orders.push(push(&meta, name).order);
            meta.close().unwrap();
        }
        assert!(orders.is_sorted_by(|one, next| one.is_some() && one < next), "{orders:?}");
    });
}

#[test]
fn store_time_goes_on_after_a_stop_and_after_a_power_cut() {
    on_both(|disk, index| {
        let clock = SetClock::new(1000);
        let mut before = 0;
        for stops in [true, false, true, false] {
            let meta = open_by(disk, index, &clock);
            clock.pass(DAY_MS);
            let noted = push(&meta, "a").noted;
            assert!((DAY_MS..DAY_MS + 1000).contains(&(noted - before)), "{noted} {before}");
            before = noted;
            if stops {
                meta.close().unwrap();
            } else {
                std::mem::forget(meta);
            }
        }
    });
}

#[test]
fn what_is_known_of_time_is_in_the_marker_of_a_stop_and_in_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
    let (index, clock) = (IndexKind::Sled(folder.path().to_owned()), SetClock::new(TODAY_MS));
    let meta = open_by(&disk, &index, &clock);
    clock.pass(DAY_MS);
    let noted = push(&meta, "a").noted;
    clock.pass(DAY_MS);
    meta.close().unwrap();
    // A day by `clean`, and 30 by the wall clock, which only a checkpoint and `clean` record: no line
    // follows.
    clock.pass(30 * DAY_MS);
    let meta = open_by(&disk, &index, &clock);
    clock.pass(DAY_MS);
    assert_eq!(meta.clock().ages().of(noted) / DAY_MS, 32);
    meta.renew_checkpoints(0, 0, &mut || true).unwrap();
    meta.close().unwrap();
    let meta = open_by(&disk, &index, &clock);
    assert_eq!(meta.clock().ages().of(noted) / DAY_MS, 32);
    // The first line of a run has the order and time of `clean`.
    push(&meta, "b");
    std::mem::forget(meta);
    let meta = open_by(&disk, &index, &clock);
    assert_eq!(meta.clock().ages().of(noted) / DAY_MS, 32);
}

#[test]
fn a_tag_that_is_gone_gives_its_place_to_none_that_was_set_before() {
    on_both(|disk, index| {
        let clock = SetClock::new(TODAY_MS);
        let meta = open_by(disk, index, &clock);
        let first = push(&meta, "a").order;
        push(&meta, "b");
        run(&meta, Command::DeleteTag { repo: repo("app"), tag: tag("b") }).unwrap();
        meta.close().unwrap();
        let meta = open_by(disk, index, &clock);
        assert!(push(&meta, "c").order > first);
        assert_eq!(row(&meta, "a").order, first);
    });
}

#[test]
fn what_came_by_a_clock_that_was_never_set_counts_as_new() {
    on_both(|disk, index| {
        for (name, at) in [("old", TODAY_MS - 90 * DAY_MS), ("unset", 1000), ("new", TODAY_MS)] {
            let meta = open_by(disk, index, &SetClock::new(at));
            push(&meta, name);
            meta.close().unwrap();
        }
        let meta = open_by(disk, index, &SetClock::new(TODAY_MS));
        let mut named = Vec::new();
        meta.named_since(TODAY_MS - DAY_MS, |_, digest| named.push(*digest)).unwrap();
        assert_eq!(named, ["unset", "new"].map(digest));
    });
}

/// `pulk rebuild` takes no index, and what the clean stop knew of time all the same.
#[test]
fn the_store_time_of_a_clean_stop_is_known_also_where_its_index_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
    let (index, clock) = (IndexKind::Sled(folder.path().to_owned()), SetClock::new(TODAY_MS));
    let meta = open_by(&disk, &index, &clock);
    run(&meta, put_manifest("app", "one", &["v1"])).unwrap();
    clock.pass(DAY_MS);
    let stopped = meta.clock().store_time().0;
    meta.close().unwrap();
    let options = MetaOptions { clock: clock.clock(), distrust_index: true, ..MetaOptions::new(index) };
    let meta = Meta::open(disk, options).unwrap();
    assert!(meta.clock().store_time().1 > stopped);
}
