//! A log in memory: gone with the process, so everything in it is as durable as it gets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::base::lock;
use crate::disk::DiskError;
use crate::meta::error::MetaOpenError;
use crate::meta::journal::file::line::{Record, Sum, decode};
use crate::meta::journal::log::{
    JournalError, LineNote, Log, LogPosition, LogTail, Poison, TransactionVisitor,
};
use crate::meta::model::Fact;

/// The most bytes of lines that are kept for readers: no start ever needs them.
const KEPT_MAX_BYTES: usize = 4 * 1024 * 1024;

/// A log in memory.
#[derive(Debug)]
pub(in crate::meta) struct MemoryLog {
    head: LogPosition,
    lines: Arc<Mutex<KeptLines>>,
    poison: Poison,
}

/// The newest lines.
#[derive(Debug, Default)]
struct KeptLines {
    lines: VecDeque<Arc<[u8]>>,
    bytes: usize,
    /// The number of transactions that are no longer kept.
    forgotten: u64,
}

impl MemoryLog {
    /// Makes an empty log.
    pub(in crate::meta) fn new() -> Self {
        Self { head: LogPosition::start(), lines: Arc::default(), poison: Poison::default() }
    }
}

impl KeptLines {
    fn push(&mut self, line: Vec<u8>) {
        self.bytes += line.len();
        self.lines.push_back(line.into());
        while self.bytes > KEPT_MAX_BYTES
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len();
            self.forgotten += 1;
        }
    }

    /// Returns the line of a transaction.
    fn get(&self, seq: u64) -> Option<Arc<[u8]>> {
        let at = seq.checked_sub(self.forgotten + 1)?;
        self.lines.get(usize::try_from(at).ok()?).cloned()
    }

    /// Returns a transaction and the sum of its line.
    fn record(&self, seq: u64) -> Option<(Record, Sum)> {
        self.get(seq).as_deref().and_then(decoded)
    }
}

/// Reads a line as it is kept.
fn decoded(line: &[u8]) -> Option<(Record, Sum)> {
    decode(line.strip_suffix(b"\n")?).ok()
}

impl Log for MemoryLog {
    fn append(&mut self, note: LineNote, facts: Vec<Fact>) -> Result<u64, JournalError> {
        self.poison.check()?;
        let (line, head) = self.head.next_line(self.head.seq, note, facts)?;
        lock(&self.lines).push(line);
        self.head = head;
        Ok(self.head.seq)
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.poison.check()
    }

    fn head(&self) -> &LogPosition {
        &self.head
    }

    fn synced(&self) -> u64 {
        self.head.seq
    }

    fn read_from(&self, after: LogPosition) -> Box<dyn LogTail> {
        Box::new(MemoryTail { lines: Arc::clone(&self.lines), at: after })
    }

    fn length(&self) -> u64 {
        0
    }

    fn rotate(&mut self) -> Result<(), JournalError> {
        self.poison.check()
    }

    fn end(&mut self) -> Result<(), DiskError> {
        Ok(())
    }

    fn poisoned(&self) -> Option<&str> {
        self.poison.get()
    }

    fn poison(&mut self, why: String) -> JournalError {
        self.poison.set(why)
    }

    fn reopen(&mut self) -> Result<(), DiskError> {
        self.poison = Poison::default();
        Ok(())
    }
}

/// A reader of a log in memory.
struct MemoryTail {
    lines: Arc<Mutex<KeptLines>>,
    at: LogPosition,
}

impl LogTail for MemoryTail {
    fn bytes_left(&self) -> Result<u64, MetaOpenError> {
        Ok(lock(&self.lines).bytes as u64)
    }

    fn read(&mut self, until: u64, visit: &mut TransactionVisitor<'_>) -> Result<u64, MetaOpenError> {
        while self.at.seq < until {
            let seq = self.at.seq + 1;
            let line = lock(&self.lines).get(seq);
            let found = line.as_deref().and_then(decoded);
            let Some((record, sum)) = found.filter(|(record, _)| record.prev == self.at.sum) else {
                return Err(MetaOpenError::Damaged(format!("transaction {seq} is no longer kept")));
            };
            let length = line.map_or(0, |line| line.len() as u64);
            self.at = LogPosition { seq, sum };
            if !visit(&record, length)? {
                break;
            }
        }
        Ok(self.at.seq)
    }

    fn place(&self) -> &LogPosition {
        &self.at
    }

    fn go_to(&mut self, place: LogPosition) {
        self.at = place;
    }

    fn place_of(&self, seq: u64) -> Result<Option<LogPosition>, MetaOpenError> {
        if seq == 0 {
            return Ok(Some(LogPosition::start()));
        }
        let lines = lock(&self.lines);
        let sum = lines.record(seq).map(|(_, sum)| sum);
        Ok(sum.or_else(|| Some(lines.record(seq + 1)?.0.prev)).map(|sum| LogPosition { seq, sum }))
    }

    fn next_begin(&self, after: Option<u64>) -> Result<Option<LogPosition>, MetaOpenError> {
        let lines = lock(&self.lines);
        let seq = lines.forgotten;
        let sum = lines.record(seq + 1).map_or_else(Sum::zero, |(oldest, _)| oldest.prev);
        Ok(Some(LogPosition { seq, sum }).filter(|place| after.is_none_or(|after| place.seq > after)))
    }
}
