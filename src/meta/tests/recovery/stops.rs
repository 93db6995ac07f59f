//! The state after a store ended abruptly.

use super::*;
use crate::disk::faulty::FaultyDisk;
use crate::meta::journal::{Record, decode, journal_path};

/// Makes a store of three tags and returns the disk as a crash would leave it, with the journal's bytes.
fn crashed() -> (Arc<dyn Disk>, Vec<u8>) {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = open(&disk);
    for name in ["a", "b", "c"] {
        run(&meta, put_manifest("app", name, &[name])).unwrap();
    }
    let left = copy(disk.as_ref());
    let bytes = packed(lines_of(left.as_ref(), 1));
    (left, bytes)
}

fn ends_of_lines(bytes: &[u8]) -> Vec<usize> {
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect()
}

#[test]
fn what_was_acknowledged_is_there_without_a_stop() {
    let (disk, bytes) = crashed();
    assert_eq!(ends_of_lines(&bytes).len(), 1 + 3);
    let meta = open(&disk);
    assert_eq!(tags(&meta, "app"), ["a", "b", "c"]);
    assert_eq!(meta.totals().blobs, 3);
    // Recovery never appends to an old file: what the page cache shows of it may not be on the medium.
    assert_eq!(journal_files(disk.as_ref()), ["000000000002.log"]);
}

/// A recovery reads twice: what it read once and cannot read again must not be left out.
#[test]
fn a_medium_that_cannot_be_read_at_times_costs_nothing() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let options = || MetaOptions { journal_min_bytes: 2048, ..MetaOptions::new(IndexKind::Map) };
    let meta = Meta::open(Arc::clone(&disk), options()).unwrap();
    let mut pushed = Vec::new();
    let mut push = || {
        let name = format!("t{:0>4}", pushed.len());
        run(&meta, put_manifest("app", &name, &[&name])).unwrap();
        pushed.push(name);
    };
    eventually("a checkpoint is taken", || {
        push();
        disk.list(Path::new("checkpoint")).unwrap().iter().any(|entry| entry.name.ends_with(".checkpoint"))
    });
    push();
    let left = copy(disk.as_ref());
    let mut failed = 0;
    for path in ["journal", "checkpoint"] {
        for skip in 0..30 {
            let store = copy(left.as_ref());
            let faulty = FaultyDisk::new(Arc::clone(&store));
            faulty.faults().fail_later_reads(path, skip, 3, rustix::io::Errno::IO);
            let opened = Meta::open(Arc::new(faulty), options()).map(|meta| tags(&meta, "app"));
            failed += usize::from(opened.is_err());
            assert_eq!(opened.unwrap_or_else(|_| pushed.clone()), pushed, "{path}, after {skip} reads");
            let again = Meta::open(store, options()).unwrap();
            assert_eq!(tags(&again, "app"), pushed, "{path}, after {skip} reads, at the next start");
        }
    }
    assert!(failed > 0);
}

/// No line after it says that it was acknowledged, and it has a read of its own.
#[test]
fn the_last_line_is_not_taken_for_a_torn_one_where_it_cannot_be_read() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = open(&disk);
    run(&meta, put_manifest("app", "one", &["latest"])).unwrap();
    let left = copy(disk.as_ref());
    for skip in 0..10 {
        let store = copy(left.as_ref());
        let faulty = FaultyDisk::new(Arc::clone(&store));
        faulty.faults().fail_later_reads("journal", skip, 3, rustix::io::Errno::IO);
        if let Ok(meta) = Meta::open(Arc::new(faulty), MetaOptions::new(IndexKind::Map)) {
            assert_eq!(tags(&meta, "app"), ["latest"], "after {skip} reads");
        }
        assert_eq!(tags(&open(&store), "app"), ["latest"], "after {skip} reads, at the next start");
    }
}

#[test]
fn a_leaked_store_has_lost_nothing_when_it_is_opened_again() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = open(&disk);
    run(&meta, put_manifest("app", "one", &["latest"])).unwrap();
    std::mem::forget(meta);
    for _ in 0..3 {
        let again = open(&disk);
        assert_eq!(tags(&again, "app"), ["latest"]);
        std::mem::forget(again);
    }
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off_and_the_rest_stays() {
    let (_, bytes) = crashed();
    let ends = ends_of_lines(&bytes);
    // The header was published whole with the file's name. The tear is in the last line, or in several.
    let several = (ends[0]..ends[2]).step_by(31);
    for length in several.chain(ends[2]..=bytes.len()) {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        disk.create_folder(Path::new("journal")).unwrap();
        write(disk.as_ref(), &journal_path(1), &bytes[..length]);
        let meta = open(&disk);
        let whole = ends.iter().filter(|end| **end <= length).count() - 1;
        assert_eq!(tags(&meta, "app"), ["a", "b", "c"][..whole], "length {length}");
        assert_eq!(journal_files(disk.as_ref()), ["000000000002.log"]);
        run(&meta, put_manifest("app", "d", &["d"])).unwrap();
        assert_eq!(tags(&meta, "app").len(), whole + 1);
    }
}

#[test]
fn a_tail_of_zeroes_is_cut_off() {
    let (_, bytes) = crashed();
    let ends = ends_of_lines(&bytes);
    for (length, zeroes) in
        [(bytes.len(), 1), (bytes.len(), 3_000_000), (bytes.len() - 1, 4096), (ends[2] + 9, 700)]
    {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        disk.create_folder(Path::new("journal")).unwrap();
        write(disk.as_ref(), &journal_path(1), &[&bytes[..length], &vec![0; zeroes]].concat());
        let whole = ends.iter().filter(|end| **end <= length).count() - 1;
        assert_eq!(tags(&open(&disk), "app"), ["a", "b", "c"][..whole], "{zeroes} zeroes at {length}");
        assert_eq!(journal_files(disk.as_ref()), ["000000000002.log"]);
    }
}

#[test]
fn lines_after_a_gap_that_were_never_acknowledged_are_not_taken() {
    // Two lines were written before either was synced; the first one's pages never reached the medium.
    let (_, bytes) = crashed();
    let ends = ends_of_lines(&bytes);
    let last: Record = decode(&bytes[ends[2]..bytes.len() - 1]).unwrap().0;
    let unsynced = Record { durable: 1, ..last };
    let (line, _) = crate::meta::journal::encode(&unsynced).unwrap();
    let gap = vec![0; ends[2] - ends[1] - 1];
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    disk.create_folder(Path::new("journal")).unwrap();
    write(disk.as_ref(), &journal_path(1), &[&bytes[..ends[1]], &gap, b"\n", &line].concat());
    assert_eq!(tags(&open(&disk), "app"), ["a"]);
    assert_eq!(journal_files(disk.as_ref()), ["000000000002.log"]);
}

#[test]
fn an_unfinished_file_counts_for_nothing_and_goes() {
    let (disk, bytes) = crashed();
    write(disk.as_ref(), Path::new("journal/000000000002.new"), &bytes[..bytes.len() / 2]);
    let meta = open(&disk);
    assert_eq!(tags(&meta, "app"), ["a", "b", "c"]);
    assert_eq!(journal_files(disk.as_ref()), ["000000000003.log"]);
}

#[test]
fn of_two_finished_files_the_newer_counts() {
    let (disk, bytes) = crashed();
    let ends = ends_of_lines(&bytes);
    // As after a crash between publishing the new file and removing the old one.
    write(disk.as_ref(), &journal_path(2), &bytes);
    write(disk.as_ref(), &journal_path(1), &bytes[..ends[1] + 7]);
    let meta = open(&disk);
    assert_eq!(tags(&meta, "app"), ["a", "b", "c"]);
    assert_eq!(journal_files(disk.as_ref()), ["000000000003.log"]);
}

#[test]
fn foreign_names_in_the_journals_folder_are_left_alone() {
    let (disk, _) = crashed();
    for name in ["notes.txt", "000000000009.log.bak", "log"] {
        write(disk.as_ref(), &Path::new("journal").join(name), b"mine");
    }
    assert_eq!(tags(&open(&disk), "app"), ["a", "b", "c"]);
    let files = journal_files(disk.as_ref());
    for name in ["notes.txt", "000000000009.log.bak", "log"] {
        assert!(files.iter().any(|file| file == name), "{files:?}");
    }
}

/// Opens stores on a disk that dies after each number of operations, until one is opened, and checks that the
/// next start finds everything.
fn dies_at_every_step(make: impl Fn() -> Arc<dyn Disk>, check: impl Fn(&Meta, &dyn Disk)) {
    for count in 0..200 {
        let disk = make();
        let dying = FaultyDisk::new(Arc::clone(&disk));
        dying.faults().die_after(count);
        let opened = Meta::open(Arc::new(dying), MetaOptions::new(IndexKind::Map));
        let is_open = opened.is_ok();
        std::mem::forget(opened);
        let meta = open(&disk);
        check(&meta, disk.as_ref());
        run(&meta, put_manifest("later", "later", &["later"])).unwrap();
        drop(meta);
        let meta = open(&disk);
        check(&meta, disk.as_ref());
        assert_eq!(tags(&meta, "later"), ["later"]);
        if is_open {
            assert!(count > 5, "there were too few steps to die at");
            return;
        }
    }
    panic!("it never opens");
}

#[test]
fn a_crash_between_any_two_steps_of_recovery_loses_nothing() {
    let make = || crashed().0;
    dies_at_every_step(make, |meta, _| assert_eq!(tags(meta, "app"), ["a", "b", "c"]));
}

#[test]
fn a_crash_between_any_two_steps_of_the_first_start_leaves_a_store_that_opens() {
    let make = || -> Arc<dyn Disk> { Arc::new(MemoryDisk::new()) };
    dies_at_every_step(make, |meta, _| assert_eq!(tags(meta, "app"), [""; 0]));
}

#[test]
fn a_crash_between_any_two_steps_of_salvaging_keeps_the_damaged_file() {
    let (_, mut bytes) = crashed();
    let ends = ends_of_lines(&bytes);
    bytes[ends[0] + 20] ^= 1;
    let make = || -> Arc<dyn Disk> {
        let disk = MemoryDisk::new();
        disk.create_folder(Path::new("journal")).unwrap();
        write(&disk, &journal_path(1), &bytes);
        Arc::new(disk)
    };
    dies_at_every_step(make, |meta, disk| {
        assert_eq!(tags(meta, "app"), ["b", "c"]);
        assert_eq!(read(disk, Path::new("journal/000000000001.damaged")), bytes);
    });
}
