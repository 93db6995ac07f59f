//! Replaying the journal into an index and a new file.

use crate::disk::Disk;
use crate::meta::error::OpenError;
use crate::meta::index::{Change, Index};
use crate::meta::journal::{Journal, NewFile, RawLine, Record, Sum, encode};
use crate::meta::recovery::base::Base;
use crate::meta::recovery::segments::Segment;
use crate::meta::recovery::survey::{Place, Survey, for_each_line};

/// How many changes go into the index at once.
const LOAD_CHANGES_MAX: usize = 10_000;

/// Writes the valid lines to a new file, replays them into `index`, and returns the journal that goes on there.
pub(super) fn replay(
    disk: &dyn Disk,
    index: &dyn Index,
    segments: &[Segment],
    survey: &Survey,
    base: &Base,
    number: u64,
) -> Result<Journal, OpenError> {
    let durable = base.begin - 1 + survey.valid;
    let new = NewFile::create(disk, number, (base.begin - 1, base.prev.clone()), durable)?;
    let mut replay = Replay { index, new, pending: Vec::new() };
    for segment in segments {
        for_each_line(disk, segment, base.begin, |line, found| {
            let place = Place { file: segment.number, line: line.number };
            match found {
                Some((record, sum)) if survey.cut().is_none_or(|cut| place < cut) => {
                    replay.take(&line, record, sum)
                }
                _ => Ok(()),
            }
        })?;
    }
    replay.finish()
}

struct Replay<'a> {
    index: &'a dyn Index,
    new: NewFile<'a>,
    pending: Vec<Change>,
}

impl Replay<'_> {
    fn take(&mut self, line: &RawLine, record: Record, sum: Sum) -> Result<(), OpenError> {
        for fact in &record.facts {
            fact.changes(&mut self.pending).map_err(unreadable)?;
        }
        if self.pending.len() >= LOAD_CHANGES_MAX {
            self.index.load(&std::mem::take(&mut self.pending))?;
        }
        let (before, prev) = self.new.head();
        if record.seq == before + 1 && record.prev == prev {
            return Ok(self.new.push(&line.bytes, record.seq, sum)?);
        }
        // Lines are missing before this one: it gets a place in the new chain.
        let moved = Record { seq: before + 1, prev, durable: before, ..record };
        let (bytes, sum) = encode(&moved).map_err(unreadable)?;
        Ok(self.new.push(bytes.strip_suffix(b"\n").unwrap_or(&bytes), moved.seq, sum)?)
    }

    fn finish(self) -> Result<Journal, OpenError> {
        self.index.load(&self.pending)?;
        self.index.finish_load()?;
        let journal = self.new.publish()?;
        let nothing: &[Change] = &[];
        self.index.apply(journal.head(), nothing)?;
        Ok(journal)
    }
}

fn unreadable(error: serde_json::Error) -> OpenError {
    OpenError::Damaged(error.to_string())
}
