//! The zeroes that a journal file has ahead of its lines.

use rustix::io::Errno;

use super::*;
use crate::disk::faulty::{FaultyDisk, Operation};
use crate::meta::journal::journal_path;

fn length(disk: &dyn Disk, number: u64) -> usize {
    read(disk, &journal_path(number)).len()
}

#[test]
fn a_line_replaces_bytes_that_the_file_has_already() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = open(&disk);
    let (mut grown, mut lines) = (0, 0);
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let before = length(disk.as_ref(), 1);
        run(&meta, put_manifest("app", name, &[name])).unwrap();
        let (after, end) = (length(disk.as_ref(), 1), lines_of(disk.as_ref(), 1).len());
        assert!(end > lines && after > end);
        grown += u32::from(after != before);
        lines = end;
    }
    assert_eq!(grown, 1, "in {lines} bytes of lines");
}

#[test]
fn a_clean_stop_leaves_nothing_behind_the_last_line() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = open(&disk);
    run(&meta, put_manifest("app", "one", &["latest"])).unwrap();
    let lines = lines_of(disk.as_ref(), 1);
    assert!(length(disk.as_ref(), 1) > lines.len());
    meta.close().unwrap();
    assert_eq!(length(disk.as_ref(), 1), lines.len().next_multiple_of(4096));
    assert_eq!(lines_of(disk.as_ref(), 1), lines);
}

#[test]
fn zeroes_that_find_no_space_are_left_out_and_the_line_is_taken() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let faulty = FaultyDisk::new(Arc::clone(&disk));
    let faults = faulty.faults();
    let meta = open(&(Arc::new(faulty) as Arc<dyn Disk>));
    let cuts = faults.count(Operation::Truncate, "journal");
    faults.cut_write_short("journal", 100, Errno::NOSPC);
    run(&meta, put_manifest("app", "one", &["latest"])).unwrap();
    assert_eq!(length(disk.as_ref(), 1), lines_of(disk.as_ref(), 1).len().next_multiple_of(4096));
    assert_eq!(faults.count(Operation::Truncate, "journal"), cuts + 1);
    run(&meta, put_manifest("app", "two", &["next"])).unwrap();
    assert!(length(disk.as_ref(), 1) > lines_of(disk.as_ref(), 1).len());
    std::mem::forget(meta);
    assert_eq!(tags(&open(&disk), "app"), ["latest", "next"]);
}

#[test]
fn a_line_that_was_overwritten_in_part_counts_for_nothing() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = open(&disk);
    run(&meta, put_manifest("app", "one", &["latest"])).unwrap();
    let kept = lines_of(disk.as_ref(), 1).len().next_multiple_of(4096);
    run(&meta, put_manifest("app", "two", &["next"])).unwrap();
    let file = read(disk.as_ref(), &journal_path(1));
    let end = lines_of(disk.as_ref(), 1).len();
    std::mem::forget(meta);
    // The pages of one line reach the medium in any order: its front, its back, or its middle may be missing.
    let middle = kept.midpoint(end);
    for (lost, left) in
        [(kept..middle, 0), (middle..end, 0), (kept + 9..end - 9, 0), (kept..kept + 4096, 0x80)]
    {
        let mut torn = file.clone();
        torn[lost.clone()].fill(left);
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        disk.create_folder(Path::new("journal")).unwrap();
        write(disk.as_ref(), &journal_path(1), &torn);
        assert_eq!(tags(&open(&disk), "app"), ["latest"], "without bytes {lost:?}");
        assert_eq!(journal_files(disk.as_ref()), ["000000000002.log"]);
    }
}
