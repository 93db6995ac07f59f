//! What every log does: each behaviour is a test for each implementation.

use std::sync::Arc;

use rustix::io::Errno;

use super::log::LogTail;
use super::*;
use crate::disk::faulty::{Faults, FaultyDisk, Operation};
use crate::disk::{Disk, MemoryDisk};
use crate::meta::error::MetaOpenError;
use crate::meta::model::{FACTS_MAX, Fact};
use crate::spec::ContentDigest;

fn files_on(disk: &Arc<dyn Disk>) -> Box<dyn Log> {
    disk.create_folder(std::path::Path::new(JOURNAL_FOLDER)).unwrap();
    Box::new(NewFile::create(disk, 1, LogPosition::start(), 0).unwrap().publish().unwrap())
}

fn files() -> Box<dyn Log> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    files_on(&disk)
}

fn memory() -> Box<dyn Log> {
    Box::new(MemoryLog::new())
}

/// Makes each function a test of its name in a module for each implementation.
macro_rules! suite {
    ($($behaviour:ident)+) => {
        suite!(@of files: $($behaviour)+);
        suite!(@of memory: $($behaviour)+);
    };
    (@of $make:ident: $($behaviour:ident)+) => {
        mod $make {
            use crate::meta::journal::tests as suite;

            $(#[test]
            fn $behaviour() {
                suite::$behaviour(suite::$make());
            })+
        }
    };
}

suite! {
    an_empty_log_is_at_its_start
    transactions_come_back_in_order
    a_reader_begins_at_any_transaction
    a_reader_sees_what_is_not_synced
    a_reader_reads_no_further_than_it_should
    a_reader_continues_where_it_stopped
    a_reader_keeps_its_place_across_rotations
    a_reader_needs_no_log
    a_reader_refuses_what_does_not_follow_its_place
    a_reader_refuses_what_was_not_appended
    a_transaction_that_is_too_large_leaves_nothing
    a_poisoned_log_takes_nothing_and_can_be_read
    the_first_reason_for_poison_stays
    an_ended_log_can_be_read
}

fn fact(number: u64) -> Fact {
    Fact::Blob { digest: ContentDigest::sha256_of(&number.to_be_bytes()), row: None, content: None }
}

/// Appends the transactions up to a number, each with a fact of its own.
fn append_up_to(log: &mut dyn Log, last: u64) {
    for seq in log.head().seq + 1..=last {
        assert_eq!(log.append(noted(seq), vec![fact(seq)]).unwrap(), seq);
    }
}

fn noted(at: u64) -> LineNote {
    LineNote { at, ..LineNote::default() }
}

/// Reads up to a transaction, and returns the numbers of those that were read.
fn read(tail: &mut dyn LogTail, until: u64) -> Result<Vec<u64>, MetaOpenError> {
    let mut numbers = Vec::new();
    let last = tail.read(until, &mut |record, length| {
        assert_eq!(record.facts, [fact(record.seq)]);
        assert_eq!(record.at, record.seq);
        assert!(length > 0);
        numbers.push(record.seq);
        Ok(true)
    })?;
    assert_eq!(last, until);
    Ok(numbers)
}

fn read_all(log: &dyn Log) -> Vec<u64> {
    read(log.read_from(LogPosition::start()).as_mut(), log.head().seq).unwrap()
}

fn an_empty_log_is_at_its_start(mut log: Box<dyn Log>) {
    assert_eq!(*log.head(), LogPosition::start());
    log.sync().unwrap();
    assert_eq!(read_all(log.as_ref()), [0; 0]);
}

fn transactions_come_back_in_order(mut log: Box<dyn Log>) {
    append_up_to(log.as_mut(), 100);
    log.sync().unwrap();
    assert_eq!(log.head().seq, 100);
    assert_eq!(read_all(log.as_ref()), (1..=100).collect::<Vec<_>>());
}

fn a_reader_begins_at_any_transaction(mut log: Box<dyn Log>) {
    append_up_to(log.as_mut(), 3);
    let third = log.head().clone();
    append_up_to(log.as_mut(), 6);
    log.rotate().unwrap();
    let sixth = log.head().clone();
    append_up_to(log.as_mut(), 8);
    assert_eq!(read(log.read_from(third).as_mut(), 8).unwrap(), [4, 5, 6, 7, 8]);
    assert_eq!(read(log.read_from(sixth).as_mut(), 8).unwrap(), [7, 8]);
    assert_eq!(read(log.read_from(log.head().clone()).as_mut(), 8).unwrap(), [0; 0]);
}

fn a_reader_sees_what_is_not_synced(mut log: Box<dyn Log>) {
    append_up_to(log.as_mut(), 2);
    assert_eq!(read_all(log.as_ref()), [1, 2]);
}

fn a_reader_reads_no_further_than_it_should(mut log: Box<dyn Log>) {
    append_up_to(log.as_mut(), 5);
    let mut tail = log.read_from(LogPosition::start());
    assert_eq!(read(tail.as_mut(), 2).unwrap(), [1, 2]);
    assert_eq!(read(tail.as_mut(), 2).unwrap(), [0; 0]);
}

fn a_reader_continues_where_it_stopped(mut log: Box<dyn Log>) {
    append_up_to(log.as_mut(), 4);
    let mut tail = log.read_from(LogPosition::start());
    assert_eq!(tail.read(4, &mut |record, _| Ok(record.seq < 2)).unwrap(), 2);
    append_up_to(log.as_mut(), 6);
    assert_eq!(read(tail.as_mut(), 6).unwrap(), [3, 4, 5, 6]);
    assert!(tail.bytes_left().unwrap() > 0);
}

fn a_reader_keeps_its_place_across_rotations(mut log: Box<dyn Log>) {
    let mut tail = log.read_from(LogPosition::start());
    for round in 1..=4 {
        append_up_to(log.as_mut(), round * 10);
        if round % 2 == 0 {
            log.rotate().unwrap();
        }
        let expected: Vec<_> = (round * 10 - 9..=round * 10).collect();
        assert_eq!(read(tail.as_mut(), round * 10).unwrap(), expected);
    }
}

fn a_reader_needs_no_log(mut log: Box<dyn Log>) {
    append_up_to(log.as_mut(), 3);
    let mut tail = log.read_from(LogPosition::start());
    drop(log);
    assert_eq!(read(tail.as_mut(), 3).unwrap(), [1, 2, 3]);
}

fn a_reader_refuses_what_does_not_follow_its_place(mut log: Box<dyn Log>) {
    append_up_to(log.as_mut(), 3);
    let other = LogPosition { seq: 2, sum: LogPosition::start().sum };
    assert!(read(log.read_from(other).as_mut(), 3).is_err());
}

fn a_reader_refuses_what_was_not_appended(mut log: Box<dyn Log>) {
    append_up_to(log.as_mut(), 3);
    let mut tail = log.read_from(LogPosition::start());
    assert!(read(tail.as_mut(), 4).is_err());
}

fn a_transaction_that_is_too_large_leaves_nothing(mut log: Box<dyn Log>) {
    append_up_to(log.as_mut(), 1);
    let before = log.head().clone();
    let facts: Vec<_> = (0..=FACTS_MAX as u64).map(fact).collect();
    let refused = log.append(noted(2), facts);
    assert!(matches!(refused, Err(JournalError::TooLarge { .. })));
    assert_eq!(*log.head(), before);
    append_up_to(log.as_mut(), 2);
    assert_eq!(read_all(log.as_ref()), [1, 2]);
}

fn assert_refuses_writes(log: &mut dyn Log, why: &str) {
    let head = log.head().clone();
    let refused = [log.append(noted(9), vec![fact(9)]).map(drop), log.sync(), log.rotate()];
    for refused in refused {
        assert!(matches!(refused, Err(JournalError::Poisoned(reason)) if reason == why));
    }
    assert_eq!(log.poisoned(), Some(why));
    assert_eq!(*log.head(), head);
}

fn a_poisoned_log_takes_nothing_and_can_be_read(mut log: Box<dyn Log>) {
    append_up_to(log.as_mut(), 3);
    assert_eq!(log.poisoned(), None);
    drop(log.poison("a test".to_owned()));
    assert_refuses_writes(log.as_mut(), "a test");
    assert_eq!(read_all(log.as_ref()), [1, 2, 3]);
}

fn the_first_reason_for_poison_stays(mut log: Box<dyn Log>) {
    drop(log.poison("first".to_owned()));
    drop(log.poison("second".to_owned()));
    assert_refuses_writes(log.as_mut(), "first");
}

fn an_ended_log_can_be_read(mut log: Box<dyn Log>) {
    append_up_to(log.as_mut(), 3);
    log.sync().unwrap();
    log.end().unwrap();
    assert_eq!(read_all(log.as_ref()), [1, 2, 3]);
}

/// Makes a log in files on a disk that can fail.
fn failing() -> (Arc<Faults>, Box<dyn Log>) {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let faults = disk.faults();
    let disk: Arc<dyn Disk> = Arc::new(disk);
    (faults, files_on(&disk))
}

#[test]
fn a_failed_sync_of_a_file_poisons_the_log() {
    let (faults, mut log) = failing();
    append_up_to(log.as_mut(), 2);
    log.sync().unwrap();
    append_up_to(log.as_mut(), 3);
    faults.fail(Operation::Sync, "journal", Errno::IO);
    assert!(matches!(log.sync(), Err(JournalError::Poisoned(_))));
    let why = log.poisoned().unwrap().to_owned();
    assert_refuses_writes(log.as_mut(), &why);
    assert_eq!(read_all(log.as_ref()), [1, 2, 3]);
}

#[test]
fn an_append_that_fails_leaves_nothing_to_readers() {
    let (faults, mut log) = failing();
    append_up_to(log.as_mut(), 2);
    let head = log.head().clone();
    faults.fail(Operation::Write, "journal", Errno::NOSPC);
    assert!(matches!(log.append(noted(3), vec![fact(9)]), Err(JournalError::Append(_))));
    assert_eq!(*log.head(), head);
    append_up_to(log.as_mut(), 3);
    assert_eq!(read_all(log.as_ref()), [1, 2, 3]);
}

#[test]
fn memory_keeps_the_newest_lines_within_its_limit() {
    let mut log = memory();
    let mut positions = vec![log.head().clone()];
    let mut bytes = 0;
    while bytes < 3 * 4 * 1024 * 1024 {
        let facts: Vec<_> = (0..1000).map(fact).collect();
        log.append(noted(1), facts).unwrap();
        let mut tail = log.read_from(positions.last().unwrap().clone());
        tail.read(log.head().seq, &mut |_, length| {
            bytes += length;
            Ok(true)
        })
        .unwrap();
        positions.push(log.head().clone());
    }
    let mut first = log.read_from(positions[0].clone());
    assert!(first.read(1, &mut |_, _| Ok(true)).is_err(), "the oldest are forgotten");
    assert!(first.bytes_left().unwrap() <= 4 * 1024 * 1024);
    let mut newest = log.read_from(positions[positions.len() - 2].clone());
    newest.read(log.head().seq, &mut |_, _| Ok(true)).unwrap();
}
