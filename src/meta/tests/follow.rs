//! Following the journal: what a follower sees, and when it learns that it fell behind.

use std::time::Duration;

use rustix::io::Errno;

use super::*;
use crate::disk::faulty::{FaultyDisk, Operation};
use crate::meta::journal::{JournalCursor, LogKind};
use crate::meta::{FollowEnd, FollowFrom, Follower, read_closed_journal};

/// Opens a store with journal files so short that a few commands fill one.
fn open_short(disk: &Arc<dyn Disk>, history_max_bytes: u64) -> Meta {
    let options =
        MetaOptions { journal_min_bytes: 2000, history_max_bytes, ..MetaOptions::new(IndexKind::Map) };
    Meta::open(Arc::clone(disk), options).unwrap()
}

fn memory_disk() -> Arc<dyn Disk> {
    Arc::new(MemoryDisk::new())
}

fn follow(meta: &Meta, from: FollowFrom) -> Follower {
    meta.follow(from, Box::new(|| {})).unwrap()
}

/// Reads on, and returns the numbers of the transactions.
fn read_on(follower: &mut Follower) -> (Vec<u64>, FollowEnd) {
    let mut numbers = Vec::new();
    let end = follower
        .read(&mut |transaction| {
            numbers.push(transaction.seq);
            true
        })
        .unwrap();
    (numbers, end)
}

fn caught_up(follower: &mut Follower) -> Vec<u64> {
    let (numbers, end) = read_on(follower);
    assert_eq!(end, FollowEnd::CaughtUp);
    numbers
}

fn push(meta: &Meta, content: &str) {
    run(meta, put_manifest("app", content, &["latest"])).unwrap();
}

/// Pushes until the journal has rotated `times` more times.
fn rotate(disk: &Arc<dyn Disk>, meta: &Meta, times: usize) {
    let newest = || journal_files(disk.as_ref()).into_iter().filter(|name| name.ends_with(".log")).max();
    for round in 0..times {
        let before = newest();
        let mut pushed = 0;
        eventually("the journal rotates", || {
            push(meta, &format!("rotation {round} {pushed}"));
            pushed += 1;
            newest() > before
        });
    }
}

/// Writes a cursor down and reads it again, as a consumer that survives a restart does.
fn stored(cursor: &JournalCursor) -> FollowFrom {
    let text = serde_json::to_string(cursor).unwrap();
    FollowFrom::Cursor(serde_json::from_str(&text).unwrap())
}

#[test]
fn a_cursor_keeps_its_place_across_rotations_checkpoints_and_restarts() {
    let disk = memory_disk();
    let meta = open_short(&disk, u64::MAX);
    let mut follower = follow(&meta, FollowFrom::Oldest);
    let mut numbers = Vec::new();
    for _ in 0..3 {
        rotate(&disk, &meta, 2);
        numbers.extend(caught_up(&mut follower));
    }
    let cursor = follower.cursor();
    push(&meta, "not read before the stop");
    meta.close().unwrap();
    for _ in 0..2 {
        let meta = open_short(&disk, u64::MAX);
        push(&meta, "after a start");
        numbers.extend(caught_up(&mut follow(&meta, stored(&cursor))));
        let missed = numbers.iter().zip(1..).find(|(number, expected)| *number != expected);
        assert_eq!(missed, None);
        numbers.truncate(usize::try_from(cursor.seq()).unwrap());
    }
}

#[test]
fn a_follower_stops_and_goes_on_as_its_visitor_says() {
    let disk = memory_disk();
    let meta = open_short(&disk, u64::MAX);
    rotate(&disk, &meta, 2);
    let mut follower = follow(&meta, FollowFrom::Oldest);
    let mut numbers = Vec::new();
    loop {
        let end = follower.read(&mut |transaction| {
            numbers.push(transaction.seq);
            false
        });
        match end.unwrap() {
            FollowEnd::Stopped => assert_eq!(follower.cursor().seq(), *numbers.last().unwrap()),
            end => break assert_eq!(end, FollowEnd::CaughtUp),
        }
    }
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(numbers.len() > 3);
}

#[test]
fn a_follower_whose_history_is_gone_learns_that_and_can_go_on() {
    let disk = memory_disk();
    let meta = open_short(&disk, 0);
    push(&meta, "the first");
    let mut follower = follow(&meta, FollowFrom::Oldest);
    let first = journal_files(disk.as_ref()).into_iter().min();
    // Checkpoints are taken, and files removed, by another thread.
    let mut pushed = 0;
    eventually("the first file is removed", || {
        push(&meta, &format!("{pushed}"));
        pushed += 1;
        journal_files(disk.as_ref()).into_iter().min() > first
    });
    assert_eq!(read_on(&mut follower), (Vec::new(), FollowEnd::FellBehind));
    assert_eq!(read_on(&mut follower), (Vec::new(), FollowEnd::FellBehind));
    let lost = follower.cursor();
    assert!(follower.skip_gap().unwrap());
    let numbers = caught_up(&mut follower);
    let durable = follower.cursor().seq();
    let expected: Vec<u64> = (durable + 1 - numbers.len() as u64..=durable).collect();
    assert_eq!(numbers, expected);
    assert!(!numbers.is_empty() && numbers[0] > 1);
    // A consumer with state of its own reads all rows instead, and follows from there.
    let mut other = follow(&meta, stored(&lost));
    assert_eq!(read_on(&mut other).1, FollowEnd::FellBehind);
    assert_eq!(other.start_over().unwrap(), follower.cursor());
    push(&meta, "afterwards");
    assert_eq!(caught_up(&mut other), [durable + 1]);
}

#[test]
fn history_is_kept_for_followers_up_to_its_limit() {
    let disk = memory_disk();
    let meta = open_short(&disk, u64::MAX);
    let mut follower = follow(&meta, FollowFrom::Oldest);
    rotate(&disk, &meta, 8);
    let numbers = caught_up(&mut follower);
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_follower_whose_line_was_lost_in_a_recovery_learns_that() {
    let disk = memory_disk();
    let meta = open_short(&disk, u64::MAX);
    push(&meta, "kept");
    let before = copy(disk.as_ref());
    let kept = follow(&meta, FollowFrom::End).cursor();
    push(&meta, "lost");
    let lost = follow(&meta, FollowFrom::End).cursor();
    assert_eq!((kept.seq() + 1, kept.seq() > 0), (lost.seq(), true));
    // The disk goes back to what it had before the last push.
    let meta = open_short(&before, u64::MAX);
    for round in 0..3 {
        let mut follower = follow(&meta, stored(&lost));
        assert_eq!(read_on(&mut follower), (Vec::new(), FollowEnd::FellBehind), "round {round}");
        // Now another transaction has the number of the lost one, or a higher one.
        push(&meta, &format!("other {round}"));
    }
    assert_eq!(caught_up(&mut follow(&meta, stored(&kept))), [2, 3, 4]);
}

#[test]
fn a_follower_sees_only_what_is_durable() {
    let disk = memory_disk();
    let faulty = FaultyDisk::new(Arc::clone(&disk));
    let faults = faulty.faults();
    let options = MetaOptions { reopen_pause: Duration::from_millis(1), ..MetaOptions::new(IndexKind::Map) };
    let meta = Meta::open(Arc::new(faulty), options).unwrap();
    push(&meta, "durable");
    let mut follower = follow(&meta, FollowFrom::Oldest);
    assert_eq!(caught_up(&mut follower), [1]);
    faults.fail(Operation::Sync, "journal", Errno::IO);
    run(&meta, put_manifest("app", "not durable", &["lost"])).unwrap_err();
    assert_eq!(caught_up(&mut follower), [0; 0]);
    eventually("the store is reopened", || meta.reopened() == 1 && meta.poisoned().is_none());
    run(&meta, put_manifest("app", "durable again", &["found"])).unwrap();
    let mut tags = Vec::new();
    let end = follower.read(&mut |transaction| {
        tags.extend(transaction.facts.iter().filter_map(|fact| match fact {
            Fact::Tag { tag, .. } => Some(tag.to_string()),
            _ => None,
        }));
        true
    });
    assert_eq!((end.unwrap(), tags), (FollowEnd::CaughtUp, vec!["found".to_owned()]));
    assert_eq!(follower.cursor().seq(), 2);
}

#[test]
fn each_commit_wakes_a_follower_and_none_wakes_one_that_left() {
    for log in [LogKind::Files, LogKind::Memory] {
        let meta =
            Meta::open(memory_disk(), MetaOptions { log, ..MetaOptions::new(IndexKind::Map) }).unwrap();
        let (sender, woken) = channel();
        let wake = Box::new(move || sender.send(()).unwrap_or_default());
        let mut follower = meta.follow(FollowFrom::End, wake).unwrap();
        for expected in 1..4 {
            push(&meta, &format!("{expected}"));
            woken.recv_timeout(PATIENCE).unwrap();
            assert_eq!(caught_up(&mut follower), [expected]);
        }
        assert!(follower.start_over().unwrap() == follower.cursor());
        drop(follower);
        push(&meta, "unheard");
        assert!(woken.recv().is_err());
    }
}

#[test]
fn a_log_in_memory_is_followed_as_files_are() {
    let options = MetaOptions { log: LogKind::Memory, ..MetaOptions::new(IndexKind::Map) };
    let meta = Meta::open(memory_disk(), options).unwrap();
    let mut first = follow(&meta, FollowFrom::Oldest);
    push(&meta, "one");
    let cursor = follow(&meta, FollowFrom::End).cursor();
    push(&meta, "two");
    assert_eq!(caught_up(&mut first), [1, 2]);
    assert_eq!(caught_up(&mut follow(&meta, stored(&cursor))), [2]);
    assert!(!first.skip_gap().unwrap());
}

#[test]
fn the_journal_of_a_stopped_store_is_read_to_its_end() {
    let disk = memory_disk();
    let meta = open_short(&disk, u64::MAX);
    rotate(&disk, &meta, 3);
    let (live, unclosed) = (caught_up(&mut follow(&meta, FollowFrom::Oldest)), copy(disk.as_ref()));
    meta.close().unwrap();
    for disk in [disk, unclosed] {
        let mut closed = read_closed_journal(Arc::clone(&disk)).unwrap();
        assert_eq!(caught_up(&mut closed), live);
        assert_eq!(caught_up(&mut closed), [0; 0]);
        assert_eq!(closed.start_over().unwrap(), closed.cursor());
        // A damaged line in an old file costs the rest of that file.
        let path = crate::meta::journal::journal_path(2);
        let mut bytes = read(disk.as_ref(), &path);
        let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 20;
        bytes[second] ^= 1;
        write(disk.as_ref(), &path, &bytes);
        let mut closed = read_closed_journal(disk).unwrap();
        let (mut numbers, end) = read_on(&mut closed);
        assert_eq!(end, FollowEnd::FellBehind);
        assert!(closed.skip_gap().unwrap());
        let rest = caught_up(&mut closed);
        assert!(!numbers.is_empty() && rest[0] > numbers.last().unwrap() + 1);
        numbers.extend(&rest);
        assert_eq!(numbers.last(), live.last());
    }
}
