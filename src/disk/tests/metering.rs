//! The counts of a metered disk.

use std::path::Path;

use super::super::Disk;
use super::super::metered::DiskSnapshot;
use super::metered;

#[test]
fn every_operation_is_counted_under_its_kind() {
    let (_, disk) = metered();
    let counters = disk.counters();
    assert_eq!(counters.snapshot(), DiskSnapshot::default());
    disk.create_folder(Path::new("f")).unwrap();
    let file = disk.create(Path::new("f/a")).unwrap();
    file.write_at(b"12345", 0).unwrap();
    file.write_at(b"678", 5).unwrap();
    for _ in 0..3 {
        file.sync().unwrap();
    }
    (&disk as &dyn Disk).sync_folder(Path::new("f")).unwrap();
    assert!(disk.syncs_filesystem(Path::new("f")));
    (&disk as &dyn Disk).sync_filesystem(Path::new("f")).unwrap();
    disk.rename(Path::new("f/a"), Path::new("f/b")).unwrap();
    let opened = disk.open(Path::new("f/b")).unwrap();
    assert_eq!(opened.read_at(&mut [0; 100], 2).unwrap(), 6);
    assert_eq!(opened.read_at(&mut [0; 100], 8).unwrap(), 0);
    disk.remove(Path::new("f/b")).unwrap();
    let counted = counters.snapshot();
    let expected = DiskSnapshot {
        file_syncs: 3,
        file_sync_nanoseconds: counted.file_sync_nanoseconds,
        folder_syncs: 1,
        folder_sync_nanoseconds: counted.folder_sync_nanoseconds,
        filesystem_syncs: 1,
        filesystem_sync_nanoseconds: counted.filesystem_sync_nanoseconds,
        reads: 2,
        bytes_read: 6,
        writes: 2,
        bytes_written: 8,
        creates: 2,
        renames: 1,
        removes: 1,
    };
    assert_eq!(counted, expected);
}

#[test]
fn files_opened_for_writing_are_counted_too() {
    let (_, disk) = metered();
    disk.create(Path::new("a")).unwrap();
    disk.open_writable(Path::new("a")).unwrap().write_at(b"123", 0).unwrap();
    assert_eq!(disk.counters().snapshot().bytes_written, 3);
}

#[test]
fn a_failed_call_counts_but_moves_no_bytes() {
    let (_, disk) = metered();
    disk.create(Path::new("a")).unwrap();
    disk.open(Path::new("a")).unwrap().write_at(b"123", 0).unwrap_err();
    disk.remove(Path::new("b")).unwrap_err();
    (&disk as &dyn Disk).sync_folder(Path::new("f")).unwrap_err();
    let counted = disk.counters().snapshot();
    assert_eq!((counted.writes, counted.bytes_written), (1, 0));
    assert_eq!((counted.removes, counted.folder_syncs), (1, 1));
}

#[test]
fn the_time_of_syncs_adds_up() {
    let (_folder, real) = super::real();
    let disk = super::MeteredDisk::new(std::sync::Arc::new(real));
    let file = super::create(&disk, "a", b"bytes");
    file.sync().unwrap();
    let once = disk.counters().snapshot();
    assert!(once.file_sync_nanoseconds > 0);
    assert_eq!(once.folder_sync_nanoseconds, 0);
    file.sync().unwrap();
    (&disk as &dyn Disk).sync_folder(Path::new("")).unwrap();
    let then = disk.counters().snapshot();
    assert!(then.file_sync_nanoseconds > once.file_sync_nanoseconds);
    assert!(then.folder_sync_nanoseconds > 0);
}
