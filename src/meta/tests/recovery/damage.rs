//! Salvage of a journal whose medium was damaged: never silently less than can be read.

use super::*;
use crate::disk::RealDisk;
use crate::meta::journal::{journal_path, list};

const TAGS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Makes the journal of a store of five tags, each put by its own line and acknowledged before the next.
fn journal() -> Vec<Vec<u8>> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = open(&disk);
    for name in TAGS {
        run(&meta, put_manifest("app", name, &[name])).unwrap();
    }
    let bytes = packed(lines_of(disk.as_ref(), 1));
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn disk_with(bytes: &[u8]) -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    disk.create_folder(Path::new("journal")).unwrap();
    write(disk.as_ref(), &journal_path(1), bytes);
    disk
}

/// Opens a store with this journal, and checks that the damaged file is kept and that work can continue.
fn salvaged(bytes: &[u8]) -> Vec<String> {
    let disk = disk_with(bytes);
    let meta = open(&disk);
    let found = tags(&meta, "app");
    assert_eq!(journal_files(disk.as_ref()), ["000000000001.damaged", "000000000002.log"]);
    assert_eq!(read(disk.as_ref(), Path::new("journal/000000000001.damaged")), bytes);
    run(&meta, put_manifest("new", "new", &["new"])).unwrap();
    let expected = rows(meta.index());
    drop(meta);
    // The salvaged journal is sound: it has no damage left.
    let again = open(&disk);
    assert_eq!(rows(again.index()), expected);
    assert_eq!(journal_files(disk.as_ref()), ["000000000001.damaged", "000000000003.log"]);
    found
}

#[test]
fn a_flipped_byte_costs_its_own_line_and_no_other() {
    let lines = journal();
    for line in 1..lines.len() - 1 {
        for at in [0, 1, lines[line].len() / 2, lines[line].len() - 2] {
            let mut damaged = lines.clone();
            damaged[line][at] ^= 1;
            let expected: Vec<&str> =
                TAGS.iter().enumerate().filter(|(at, _)| at + 1 != line).map(|(_, tag)| *tag).collect();
            assert_eq!(salvaged(&damaged.concat()), expected, "byte {at} of line {}", line + 1);
        }
    }
}

#[test]
fn damage_between_two_batches_is_noticed_and_costs_no_line() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = open(&disk);
    for name in TAGS {
        run(&meta, put_manifest("app", name, &[name])).unwrap();
    }
    let bytes = lines_of(disk.as_ref(), 1);
    let starts = (1..=TAGS.len()).map(|block| block * 4096).collect::<Vec<_>>();
    assert!(starts.iter().all(|start| bytes[start - 1] == 0 && bytes[*start] == b'{'), "a batch, a block");
    for damage in [&b"\x01"[..], b"{\0", b"\n", b"\n\n", b"x\ny"] {
        for place in [starts[2] - 1000, starts[2] - damage.len()] {
            let mut damaged = bytes.clone();
            damaged[place..place + damage.len()].copy_from_slice(damage);
            assert_eq!(salvaged(&damaged), TAGS, "{damage:?} at {place}");
        }
    }
}

#[test]
fn a_garbled_block_costs_the_batch_in_it_and_no_other() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = open(&disk);
    for name in TAGS {
        run(&meta, put_manifest("app", name, &[name])).unwrap();
    }
    let mut bytes = lines_of(disk.as_ref(), 1);
    bytes[3 * 4096..4 * 4096].fill(0x80);
    assert_eq!(salvaged(&bytes), ["a", "b", "d", "e"]);
}

#[test]
fn a_line_feed_that_is_gone_costs_the_two_lines_it_stood_between() {
    let mut lines = journal();
    *lines[2].last_mut().unwrap() = b' ';
    assert_eq!(salvaged(&lines.concat()), ["a", "d", "e"]);
}

#[test]
fn a_line_that_became_zeroes_does_not_hide_the_one_behind_it() {
    let mut lines = journal();
    // Including its line feed; the lines after it prove that it was durable.
    lines[4].fill(0);
    assert_eq!(salvaged(&lines.concat()), ["a", "b", "c", "e"]);
}

#[test]
fn a_lost_line_is_noticed_and_the_others_stay() {
    let mut lines = journal();
    lines.remove(2);
    assert_eq!(salvaged(&lines.concat()), ["a", "c", "d", "e"]);
}

#[test]
fn a_damaged_header_costs_no_line() {
    for damage in [&b"garbage\n"[..], b"\n", b""] {
        let mut lines = journal();
        lines[0] = damage.to_vec();
        assert_eq!(salvaged(&lines.concat()), TAGS);
    }
}

#[test]
fn a_block_of_zeroes_in_the_middle_costs_what_it_covers() {
    let lines = journal();
    let mut bytes = lines.concat();
    let begin = lines[0].len() + lines[1].len() + 5;
    bytes[begin..begin + lines[2].len()].fill(0);
    assert_eq!(salvaged(&bytes), ["a", "d", "e"]);
}

#[test]
fn a_line_that_is_too_long_is_no_line_and_costs_no_other() {
    let mut lines = journal();
    lines.insert(2, [vec![b'x'; 3_000_000], b"\n".to_vec()].concat());
    assert_eq!(salvaged(&lines.concat()), TAGS);
}

#[test]
fn a_valid_line_twice_is_noticed_and_harms_nothing() {
    let mut lines = journal();
    let again = lines[3].clone();
    lines.insert(4, again);
    assert_eq!(salvaged(&lines.concat()), TAGS);
}

#[test]
fn what_a_recovery_made_durable_is_known_to_have_been_there() {
    let disk = disk_with(&journal().concat());
    drop(open(&disk));
    let path = journal_path(2);
    let bytes = lines_of(disk.as_ref(), 2);
    // The last line was published whole with the file; a crash can't have cut it off.
    let cut = &bytes[..bytes.len() - 9];
    write(disk.as_ref(), &path, cut);
    assert_eq!(tags(&open(&disk), "app"), ["a", "b", "c", "d"]);
    assert_eq!(journal_files(disk.as_ref()), ["000000000002.damaged", "000000000003.log"]);
    // A lost end is noticed at a line's end as well.
    let disk = disk_with(&journal().concat());
    drop(open(&disk));
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    write(disk.as_ref(), &path, &lines[..lines.len() - 1].concat());
    assert_eq!(tags(&open(&disk), "app"), ["a", "b", "c", "d"]);
    assert_eq!(journal_files(disk.as_ref()), ["000000000002.damaged", "000000000003.log"]);
}

#[test]
fn damage_that_happened_after_a_clean_stop_is_noticed() {
    for cut in [1, 40] {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
        let kind = IndexKind::Sled(folder.path().to_owned());
        let meta = Meta::open(Arc::clone(&disk), MetaOptions::new(kind.clone())).unwrap();
        run(&meta, put_manifest("app", "one", &["one"])).unwrap();
        run(&meta, put_manifest("app", "two", &["two"])).unwrap();
        meta.close().unwrap();
        let path = journal_path(list(disk.as_ref()).unwrap().finished[0]);
        let bytes = lines_of(disk.as_ref(), 1);
        write(disk.as_ref(), &path, &bytes[..bytes.len() - cut]);
        let meta = Meta::open(Arc::clone(&disk), MetaOptions::new(kind)).unwrap();
        assert_eq!(tags(&meta, "app"), ["one"]);
        assert_eq!(journal_files(disk.as_ref()), ["000000000001.damaged", "000000000002.log"]);
    }
}
