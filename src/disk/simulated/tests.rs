//! What the simulated disk keeps and loses.

use std::path::Path;

use super::*;
use crate::disk::tests::{create, list, read};

fn disk() -> SimulatedDisk {
    SimulatedDisk::new(Medium::new())
}

/// Returns the disk after a power cut that keeps all pending changes, or none of them.
fn cut(disk: &SimulatedDisk, keeps_pending: bool) -> SimulatedDisk {
    let medium = disk.medium();
    let choices = medium.choices();
    let pick = |choice: &Choice| if keeps_pending { choice.everything() } else { 0 };
    SimulatedDisk::new(medium.after_power_cut(&choices, &choices.iter().map(pick).collect::<Vec<_>>()))
}

fn sync_root(disk: &SimulatedDisk) {
    (disk as &dyn Disk).sync_folder(Path::new("")).unwrap();
}

#[test]
fn nothing_is_durable_without_a_sync() {
    let disk = disk();
    create(&disk, "a", b"bytes");
    assert_eq!(list(&cut(&disk, false), ""), []);
    assert_eq!(read(&cut(&disk, true), "a"), b"bytes");
}

#[test]
fn a_name_without_its_bytes_can_stay() {
    let disk = disk();
    create(&disk, "a", b"bytes");
    sync_root(&disk);
    assert_eq!(read(&cut(&disk, false), "a"), b"");
}

#[test]
fn what_was_synced_stays() {
    let disk = disk();
    create(&disk, "a", b"bytes").sync().unwrap();
    sync_root(&disk);
    disk.open_writable(Path::new("a")).unwrap().write_at(b"other bytes", 0).unwrap();
    assert_eq!(read(&cut(&disk, false), "a"), b"bytes");
    assert_eq!(read(&cut(&disk, true), "a"), b"other bytes");
}

#[test]
fn a_rename_is_lost_or_done_or_half_done_with_both_names_or_none() {
    let disk = disk();
    create(&disk, "a", b"bytes").sync().unwrap();
    sync_root(&disk);
    disk.rename(Path::new("a"), Path::new("b")).unwrap();
    let medium = disk.medium();
    let choices = medium.choices();
    let left = |picks: [Pick; 2]| {
        let names = list(&SimulatedDisk::new(medium.after_power_cut(&choices, &picks)), "");
        names.into_iter().map(|(name, ..)| name).collect::<Vec<_>>()
    };
    let mut all = [left([0, 0]), left([0, 1]), left([1, 0]), left([1, 1])];
    all.sort();
    let [a, b] = ["a", "b"].map(str::to_owned);
    assert_eq!(all, [vec![], vec![a.clone()], vec![a, b.clone()], vec![b]]);
}

#[test]
fn a_folder_whose_name_is_lost_takes_its_files_along() {
    let disk = disk();
    disk.create_folder(Path::new("f")).unwrap();
    create(&disk, "f/a", b"bytes").sync().unwrap();
    (&disk as &dyn Disk).sync_folder(Path::new("f")).unwrap();
    assert_eq!(list(&cut(&disk, false), ""), []);
    assert_eq!(read(&cut(&disk, true), "f/a"), b"bytes");
}

#[test]
fn a_write_can_be_torn_or_leave_zeroes() {
    let disk = disk();
    create(&disk, "a", b"bytes");
    sync_root(&disk);
    let medium = disk.medium();
    let choices = medium.choices();
    let write = choices.iter().position(Choice::tears).unwrap();
    let left = |pick: Pick, length: Pick| {
        let picks: Vec<Pick> = (0..choices.len()).map(|at| if at == write { pick } else { length }).collect();
        read(&SimulatedDisk::new(medium.after_power_cut(&choices, &picks)), "a")
    };
    assert_eq!(left(2, 0), b"by");
    assert_eq!(left(2, 2), b"by\0\0\0");
    assert_eq!(left(4, 0), b"\0\0\0\0\0");
    assert_eq!(left(1, 1), b"");
    assert_eq!(left(100 + 4, 0), b"byte");
}

#[test]
fn what_a_sync_failed_to_write_is_not_tried_again() {
    let disk = disk();
    let file = create(&disk, "a", b"bytes");
    sync_root(&disk);
    disk.set_fault(Some(Fault { kind: FaultKind::Io, at: 0, sticky: false }));
    file.sync().unwrap_err();
    file.write_at(b"!", 5).unwrap();
    file.sync().unwrap();
    assert_eq!(read(&disk, "a"), b"bytes!");
    assert_eq!(read(&cut(&disk, false), "a"), b"\0\0\0\0\0!");
    assert_eq!(read(&cut(&disk, true), "a"), b"bytes!");
}

#[test]
fn a_removed_name_can_come_back() {
    let disk = disk();
    create(&disk, "a", b"bytes").sync().unwrap();
    sync_root(&disk);
    disk.remove(Path::new("a")).unwrap();
    assert_eq!(read(&cut(&disk, false), "a"), b"bytes");
    assert_eq!(list(&cut(&disk, true), ""), []);
    sync_root(&disk);
    assert_eq!(list(&cut(&disk, false), ""), []);
}

#[test]
fn the_syncs_of_an_ignored_place_do_nothing() {
    let disk = disk();
    create(&disk, "a", b"bytes").sync().unwrap();
    sync_root(&disk);
    let steps = disk.steps();
    let places: Vec<Place> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Sync { place, .. } | Step::SyncFolder { place, .. } => Some(*place),
            _ => None,
        })
        .collect();
    assert_eq!(places.len(), 2);
    let left = |ignored: Option<Place>| {
        let mut medium = Medium::new().ignoring(ignored);
        for step in &steps {
            medium.replay(step);
        }
        cut(&SimulatedDisk::new(medium), false)
    };
    assert_eq!(read(&left(None), "a"), b"bytes");
    assert_eq!(read(&left(Some(places[0])), "a"), b"");
    assert_eq!(list(&left(Some(places[1])), ""), []);
}

#[test]
fn a_short_write_leaves_half_and_a_full_disk_can_be_read() {
    let disk = disk();
    let file = create(&disk, "a", b"");
    disk.set_fault(Some(Fault { kind: FaultKind::ShortWrite, at: 0, sticky: true }));
    assert!(file.write_at(b"bytes", 0).unwrap_err().is_full());
    assert!(disk.create(Path::new("b")).unwrap_err().is_full());
    assert_eq!(read(&disk, "a"), b"by");
}

#[test]
fn a_name_that_came_and_went_is_lost_or_comes_back() {
    let disk = disk();
    create(&disk, "a", b"bytes").sync().unwrap();
    disk.remove(Path::new("a")).unwrap();
    assert_eq!(list(&cut(&disk, false), ""), []);
    assert_eq!(list(&cut(&disk, true), ""), []);
    let medium = disk.medium();
    let choices = medium.choices();
    assert_eq!(read(&SimulatedDisk::new(medium.after_power_cut(&choices, &[1])), "a"), b"bytes");
}

#[test]
fn a_rename_whose_new_name_is_durable_may_leave_the_old_one_to_the_same_file() {
    let disk = disk();
    disk.create_folder(Path::new("f")).unwrap();
    create(&disk, "a", b"bytes").sync().unwrap();
    sync_root(&disk);
    disk.rename(Path::new("a"), Path::new("f/a")).unwrap();
    (&disk as &dyn Disk).sync_folder(Path::new("f")).unwrap();
    let left = cut(&disk, false);
    assert_eq!(list(&left, ""), [("a".to_owned(), false, 5), ("f".to_owned(), true, 0)]);
    let [old, new] = ["a", "f/a"].map(|name| left.open_writable(Path::new(name)).unwrap());
    assert_eq!([&old, &new].map(|file| file.has_other_names().unwrap()), [Some(true); 2]);
    old.write_at(b"B", 0).unwrap();
    assert_eq!(read(&left, "f/a"), b"Bytes");
    left.rename(Path::new("a"), Path::new("f/a")).unwrap();
    assert_eq!(old.has_other_names().unwrap(), Some(true), "both are the same: nothing happens");
    left.remove(Path::new("a")).unwrap();
    assert_eq!(new.has_other_names().unwrap(), Some(false));
    let uncounted = SimulatedDisk::new(left.medium().without_links());
    assert_eq!(uncounted.open(Path::new("f/a")).unwrap().has_other_names().unwrap(), None);
    assert_eq!(list(&cut(&disk, true), ""), [("f".to_owned(), true, 0)]);
}

fn lose_writes(disk: &SimulatedDisk) {
    disk.set_fault(Some(Fault { kind: FaultKind::WriteBack, at: 0, sticky: false }));
    disk.list(Path::new("")).unwrap();
}

#[test]
fn an_open_handle_reports_lost_writes_at_its_next_sync_once() {
    let disk = disk();
    let file = create(&disk, "a", b"bytes");
    sync_root(&disk);
    lose_writes(&disk);
    let later = disk.open_writable(Path::new("a")).unwrap();
    assert_eq!(read(&disk, "a"), b"bytes");
    file.sync().unwrap_err();
    file.sync().unwrap();
    later.sync().unwrap();
    drop((file, later));
    assert_eq!(read(&disk, "a"), b"\0\0\0\0\0");
}

#[test]
fn the_error_and_the_bytes_of_lost_writes_are_forgotten_with_a_closed_file() {
    for closed_first in [true, false] {
        let disk = disk();
        let file = create(&disk, "a", b"old bytes");
        file.sync().unwrap();
        sync_root(&disk);
        file.write_at(b"new bytes and more", 0).unwrap();
        if closed_first {
            drop(file);
            lose_writes(&disk);
        } else {
            lose_writes(&disk);
            drop(file);
        }
        let file = disk.open_writable(Path::new("a")).unwrap();
        assert_eq!(read(&disk, "a"), b"old bytes\0\0\0\0\0\0\0\0\0");
        file.write_at(b"end", 18).unwrap();
        file.sync().unwrap();
        assert_eq!(read(&cut(&disk, false), "a"), b"old bytes\0\0\0\0\0\0\0\0\0end");
    }
}

#[test]
fn lost_writes_of_an_earlier_moment_harm_no_later_ones() {
    let disk = disk();
    let file = create(&disk, "a", b"bytes");
    file.sync().unwrap();
    sync_root(&disk);
    lose_writes(&disk);
    file.write_at(b"B", 0).unwrap();
    file.sync().unwrap();
    drop(file);
    assert_eq!(read(&cut(&disk, false), "a"), b"Bytes");
}

#[test]
fn a_block_that_cannot_be_read_stays_so_until_it_is_written_as_a_whole() {
    let disk = disk();
    let file = create(&disk, "a", &[1; 10_000]);
    file.sync().unwrap();
    sync_root(&disk);
    disk.rot(Path::new("a"), 5000);
    let disk = cut(&disk, true);
    let file = disk.open_writable(Path::new("a")).unwrap();
    assert_eq!(file.read_at(&mut [0; 4096], 0).unwrap(), 4096);
    for (offset, length) in [(0, 4097), (4096, 1), (8191, 1), (8191, 2)] {
        file.read_at(&mut vec![0; length], offset).unwrap_err();
    }
    assert_eq!(file.read_at(&mut [0; 4096], 8192).unwrap(), 10_000 - 8192);
    file.write_at(&[2; 10], 5000).unwrap_err();
    file.write_at(&[2; 8192], 0).unwrap();
    assert_eq!(read(&disk, "a")[5000], 2);
    disk.rot(Path::new("a"), 9000);
    file.truncate(8192).unwrap();
    assert_eq!(read(&disk, "a").len(), 8192);
}

#[test]
fn a_torn_write_may_leave_a_stale_block_or_garble_the_durable_bytes_beside_it() {
    let disk = SimulatedDisk::new(Medium::new().garbling());
    let file = create(&disk, "a", &[1; 5000]);
    file.sync().unwrap();
    sync_root(&disk);
    file.write_at(&[2; 5000], 5000).unwrap();
    let medium = disk.medium();
    let choices = medium.choices();
    let write = choices.iter().position(Choice::tears).unwrap();
    let left = |pick: Pick| {
        let picks: Vec<Pick> = (0..choices.len()).map(|at| if at == write { pick } else { 0 }).collect();
        read(&SimulatedDisk::new(medium.after_power_cut(&choices, &picks)), "a")
    };
    let garbled = left(choices[write].garbled());
    assert_eq!(garbled.len(), 10_000);
    assert!(garbled[..4096].iter().all(|byte| *byte == 1), "a block that was not written");
    assert!(garbled[4096..].iter().all(|byte| ![0, 1, 2].contains(byte)));
    let stale = left(choices[write].garbled() - 1);
    assert_eq!(stale[..5000], [1; 5000]);
    assert_eq!(stale[5000..8192], [0; 3192]);
    assert_eq!(stale[8192..], [2; 1808]);
}

#[test]
fn a_cut_within_a_block_may_garble_it() {
    let disk = SimulatedDisk::new(Medium::new().garbling());
    let file = create(&disk, "a", &[1; 9000]);
    file.sync().unwrap();
    sync_root(&disk);
    file.truncate(4096).unwrap();
    assert_eq!(disk.medium().choices()[1].garbled(), disk.medium().choices()[1].everything());
    file.truncate(100).unwrap();
    let (medium, choices) = (disk.medium(), disk.medium().choices());
    let picks: Vec<Pick> = choices.iter().map(Choice::garbled).collect();
    assert_eq!(read(&SimulatedDisk::new(medium.after_power_cut(&choices, &picks)), "a"), [0x81; 100]);
}

#[test]
fn a_sync_of_the_filesystem_makes_all_of_it_durable_and_reports_what_was_lost() {
    let disk = disk();
    disk.create_folder(Path::new("f")).unwrap();
    create(&disk, "f/a", b"one");
    disk.rename(Path::new("f/a"), Path::new("b")).unwrap();
    let file = create(&disk, "c", b"two");
    (&disk as &dyn Disk).sync_filesystem(Path::new("f")).unwrap();
    let left = cut(&disk, false);
    assert_eq!((read(&left, "b"), read(&left, "c")), (b"one".to_vec(), b"two".to_vec()));
    assert_eq!(list(&left, "f"), []);

    // The file is closed before its bytes are lost, so no sync of a file would report that.
    create(&disk, "d", b"three");
    file.write_at(b"four", 0).unwrap();
    disk.set_fault(Some(Fault { kind: FaultKind::WriteBack, at: 0, sticky: false }));
    drop(list(&disk, ""));
    disk.set_fault(None);
    (&disk as &dyn Disk).sync_filesystem(Path::new("")).unwrap_err();
    file.sync().unwrap_err();
    (&disk as &dyn Disk).sync_filesystem(Path::new("")).unwrap();
    assert_eq!(read(&cut(&disk, false), "d"), [0; 5]);
}
