//! A plain model of the registry: what may be found after a crash.

use std::collections::{BTreeMap, BTreeSet};

use crate::crash_tests::histories::client::{Key, Op, Upload, Value};
use crate::crash_tests::histories::content::blob;
use crate::disk::BLOCK_SIZE_BYTES;

/// An operation of a client.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) op: Op,
    pub(crate) effects: Vec<(Key, Value)>,
    /// The offset of the upload before, for an operation that sends bytes.
    pub(crate) from: u64,
    /// How often the registry had been opened by then.
    pub(crate) starts: usize,
    /// Whether the registry acknowledged it; before the answer, and after an error, it may be done or not.
    pub(crate) done: bool,
}

/// When operations began and ended, as far as the trace has come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    times: Vec<Times>,
    now: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Times {
    began: Option<usize>,
    ended: Option<usize>,
    /// Whether a reader saw the effects before the end.
    was_read: bool,
}

/// Returns the mark of a record's begin.
pub(crate) fn began(record: usize) -> usize {
    record * 3
}

/// Returns the mark of a record's end.
pub(crate) fn ended(record: usize) -> usize {
    record * 3 + 1
}

/// Returns the mark of a reader's first look at a record's effects before its end.
pub(crate) fn was_read(record: usize) -> usize {
    record * 3 + 2
}

/// Returns the record that a mark is about.
pub(crate) fn record_of(mark: usize) -> usize {
    mark / 3
}

impl Seen {
    /// Notes that a mark has been passed.
    pub(crate) fn pass(&mut self, mark: usize) {
        self.now += 1;
        let record = record_of(mark);
        if self.times.len() <= record {
            self.times.resize(record + 1, Times::default());
        }
        let times = &mut self.times[record];
        if mark == was_read(record) {
            times.was_read = true;
        } else if mark == ended(record) {
            times.ended = Some(self.now);
        } else {
            times.began = Some(self.now);
        }
    }

    fn times(&self, record: usize) -> Times {
        self.times.get(record).copied().unwrap_or_default()
    }

    fn has_begun(&self, record: usize) -> bool {
        self.times(record).began.is_some()
    }

    /// Tells whether a client knows that a record's effects are there: by the answer, or by reading them.
    fn is_acknowledged(&self, records: &[Record], record: usize) -> bool {
        let times = self.times(record);
        times.was_read || times.ended.is_some() && records[record].done
    }
}

/// The content that was found.
pub(crate) type Found = BTreeMap<Key, Value>;

/// The model at one moment of a history.
#[derive(Clone, Copy)]
pub(crate) struct Model<'a> {
    pub(crate) records: &'a [Record],
    pub(crate) seen: &'a Seen,
}

impl Model<'_> {
    /// Returns the values that a key may have: the last acknowledged one, or any that was in progress then.
    ///
    /// A value is impossible once another was acknowledged that began only after the first one's end.
    pub(crate) fn possible(&self, key: &Key, without: Option<usize>) -> BTreeSet<Value> {
        let writes: Vec<(usize, Value)> = self
            .records
            .iter()
            .enumerate()
            .filter(|(number, _)| self.seen.has_begun(*number) && Some(*number) != without)
            .flat_map(|(number, record)| {
                record.effects.iter().filter(|(touched, _)| touched == key).map(move |(_, to)| (number, *to))
            })
            .collect();
        let certain = |number: usize| self.seen.is_acknowledged(self.records, number);
        let mut possible = BTreeSet::new();
        if !writes.iter().any(|(number, _)| certain(*number)) {
            possible.insert(None);
        }
        for (number, value) in &writes {
            let end = self.seen.times(*number).ended;
            let replaced = end.is_some_and(|end| {
                writes.iter().any(|(later, _)| {
                    certain(*later) && self.seen.times(*later).began.is_some_and(|began| began > end)
                })
            });
            if !replaced {
                possible.insert(*value);
            }
        }
        possible
    }

    /// Compares the content that was found.
    pub(crate) fn check(&self, found: &Found) -> Result<(), String> {
        self.check_with(found, &[])
    }

    /// Compares the content that was found, except for the keys in `changed`.
    pub(crate) fn check_with(&self, found: &Found, changed: &[Key]) -> Result<(), String> {
        for (key, value) in found.iter().filter(|(key, _)| !changed.contains(key)) {
            let possible = self.possible(key, None);
            if !possible.contains(value) {
                return Err(format!("{key:?} is {value:?}, and may only be one of {possible:?}"));
            }
        }
        for number in 0..self.records.len() {
            if self.seen.has_begun(number) && !self.seen.is_acknowledged(self.records, number) {
                self.check_whole(found, number)?;
            }
        }
        Ok(())
    }

    /// Checks that an operation in progress took effect as a whole or not at all.
    fn check_whole(&self, found: &Found, number: usize) -> Result<(), String> {
        // Of concurrent operations on a key, the last one wins.
        let began = self.seen.times(number).began;
        let contested = |key: &Key| {
            self.records.iter().enumerate().any(|(other, record)| {
                let times = self.seen.times(other);
                let at_once = times.began.is_some() && (times.ended.is_none() || times.ended > began);
                let same = |(touched, to): &(Key, Value)| {
                    touched == key && !self.records[number].effects.contains(&(key.clone(), *to))
                };
                other != number && at_once && record.effects.iter().any(same)
            })
        };
        let telling = self.records[number]
            .effects
            .iter()
            .filter(|(key, value)| !contested(key) && !self.possible(key, Some(number)).contains(value));
        let (done, missing): (Vec<_>, Vec<_>) =
            telling.partition(|(key, value)| found.get(key).is_none_or(|there| there == value));
        if done.is_empty() || missing.is_empty() {
            return Ok(());
        }
        Err(format!("{:?} is half done: {done:?}, but not {missing:?}", self.records[number].op))
    }

    /// Returns those effects of a record by which a reader recognizes that it took effect.
    pub(crate) fn telling(&self, number: usize) -> Vec<(Key, Value)> {
        let effects = self.records[number].effects.iter();
        effects.filter(|(key, value)| !self.possible(key, Some(number)).contains(value)).cloned().collect()
    }

    /// Returns the records that were never acknowledged, and whose effects a reader found.
    pub(crate) fn read_unacknowledged(&self, found: &Found) -> Vec<usize> {
        let unacknowledged = |number: &usize| {
            self.seen.has_begun(*number) && !self.seen.is_acknowledged(self.records, *number)
        };
        let was_found =
            |number: &usize| self.telling(*number).iter().any(|(key, value)| found.get(key) == Some(value));
        (0..self.records.len()).filter(unacknowledged).filter(was_found).collect()
    }

    /// Tells whether a client has begun to delete something.
    pub(crate) fn may_be_deleted(&self, key: &Key) -> bool {
        self.records.iter().enumerate().any(|(number, record)| {
            self.seen.has_begun(number)
                && record.effects.iter().any(|(touched, to)| touched == key && to.is_none())
        })
    }

    /// Returns the least and the greatest offset that an upload may have. `None` as the lower bound means
    /// that it may be gone, as the upper bound that it must be.
    pub(crate) fn upload(&self, slot: usize, upload: &Upload) -> Option<(Option<u64>, Option<u64>)> {
        let steps: Vec<usize> = (0..self.records.len())
            .filter(|number| self.records[*number].op.slot() == Some(slot) && self.seen.has_begun(*number))
            .collect();
        upload.id?;
        let begun = *steps.first()?;
        if !self.seen.is_acknowledged(self.records, begun) {
            return None;
        }
        let (mut most, mut ending) = (0, false);
        for number in &steps {
            match self.records[*number].op {
                Op::Append { to, .. } => most = most.max(to as u64),
                Op::Finish { .. } | Op::Cancel { .. } => {
                    if self.seen.is_acknowledged(self.records, *number) {
                        return Some((None, None));
                    }
                    most = blob(upload.blob).bytes.len() as u64;
                    ending = true;
                }
                _ => {}
            }
        }
        let least = if ending { None } else { self.promised(&steps) };
        Some((least, Some(most)))
    }

    /// Returns how much of an upload was made durable before a later acknowledgement promised it.
    fn promised(&self, steps: &[usize]) -> Option<u64> {
        let (mut durable, mut promised, mut starts) = (0, None, None);
        for number in steps {
            let record = &self.records[*number];
            let Op::Append { to, .. } = record.op else { continue };
            if !self.seen.is_acknowledged(self.records, *number) {
                continue;
            }
            if starts.replace(record.starts).is_some_and(|before| before != record.starts) {
                durable = record.from;
            }
            if to as u64 - durable < crate::crash_tests::DURABLE_STEP_BYTES {
                continue;
            }
            durable = to as u64;
            let end = self.seen.times(*number).ended;
            let said = (0..self.records.len()).any(|later| {
                self.records[later].op.waits_for_the_journal()
                    && self.seen.is_acknowledged(self.records, later)
                    && self.seen.times(later).began > end
            });
            if said {
                // A later write may garble the bytes of its block that were durable.
                promised = Some(durable / BLOCK_SIZE_BYTES * BLOCK_SIZE_BYTES);
            }
        }
        promised
    }
}
