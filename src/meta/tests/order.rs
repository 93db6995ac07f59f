//! In which order tags were set, and when: over restarts, whatever the clock says.

use super::*;
use crate::disk::RealDisk;
use crate::meta::model::TagRow;
use crate::meta::set_clock::{DAY_MS, SetClock, TODAY_MS};

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

/// Calls `work` with a disk and an index in memory, which every start makes anew, and with sled on a real
/// disk, which a start trusts.
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
fn a_start_remembers_the_latest_time_and_believes_no_clock_that_is_behind_it() {
    on_both(|disk, index| {
        let meta = open_by(disk, index, &SetClock::new(TODAY_MS));
        assert_eq!(push(&meta, "a").at, Some(TODAY_MS));
        meta.close().unwrap();
        for (started, at) in
            [(TODAY_MS - 90 * DAY_MS, None), (1000, None), (TODAY_MS + 2, Some(TODAY_MS + 2))]
        {
            let meta = open_by(disk, index, &SetClock::new(started));
            assert_eq!(push(&meta, &format!("t{started}")).at, at, "{started}");
            meta.close().unwrap();
        }
    });
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
