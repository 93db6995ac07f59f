//! Replaying the journal into an index and a new file.

use std::sync::Arc;

use crate::base::now_ms;
use crate::blobs::ContentStore;
use crate::disk::Disk;
use crate::meta::clock::StoreTime;
use crate::meta::error::MetaOpenError;
use crate::meta::index::{Index, guarded};
use crate::meta::journal::{FileLog, Log, LogPosition, NewFile, RawLine, Record, Sum, encode};
use crate::meta::model::{Fact, Optional, Origin, RowChange, changes_of};
use crate::meta::reconcile::{FactSink, Reconciler};
use crate::meta::recovery::carried::CarriedContent;
use crate::meta::recovery::progress::RecoveryProgress;
use crate::meta::recovery::segments::Segment;
use crate::meta::recovery::starting_point::StartingPoint;
use crate::meta::recovery::survey::{JournalSurvey, LinePlace, for_each_line};

/// Writes the valid lines to a new file, replays them into `index`, and returns the journal that continues
/// there, and the store time. Content that the lines carry and that has no durable file goes to its store;
/// the new file carries it, too. If `reconciles` is set, then reconciles the index with the content in the
/// same new file: a crash at any moment leaves either all of it or the damage as it was.
pub(super) fn replay(
    disk: &Arc<dyn Disk>,
    index: &dyn Index,
    segments: &[Segment],
    survey: &JournalSurvey,
    base: &StartingPoint,
    (number, content, reconciles): (u64, Option<&dyn ContentStore>, bool),
    progress: &RecoveryProgress,
) -> Result<(FileLog, StoreTime), MetaOpenError> {
    let durable = base.begin - 1 + survey.valid;
    let new = NewFile::create(disk, number, base.position(), durable)?;
    // After damage, lines get other numbers, and only one file replaces all of it at once.
    let new = if reconciles || survey.damaged || base.damaged { new } else { new.or_several() };
    let now = now_ms();
    let carried = CarriedContent::default();
    let mut replay = Replay { index, new, now, time: base.time.clone(), carried, progress };
    for_each_valid(disk.as_ref(), segments, survey, base, progress, |line, record, sum| {
        replay.line(&line, record, sum)
    })?;
    index.finish_load(&mut || progress.note(0))?;
    if let Some(blobs) = content {
        std::mem::take(&mut replay.carried).restore(blobs, replay.new.head().seq);
    }
    if let Some(blobs) = content.filter(|_| reconciles) {
        let noted = replay.time.next_ms();
        Reconciler::new(index, blobs, &mut replay, now, noted).run()?;
        replay.close_off(durable)?;
    }
    replay.finish()
}

/// Fills an empty index as a recovery would, changes nothing on the disk, and returns the store time and the
/// content that need not have durable files.
pub(super) fn rehearse(
    disk: &dyn Disk,
    index: &dyn Index,
    segments: &[Segment],
    survey: &JournalSurvey,
    base: &StartingPoint,
    progress: &RecoveryProgress,
) -> Result<(StoreTime, CarriedContent), MetaOpenError> {
    base.load(disk, index, &mut |bytes| progress.note(bytes))?;
    let (mut time, mut last) = (base.time.clone(), base.position().seq);
    let mut carried = CarriedContent::default();
    for_each_valid(disk, segments, survey, base, progress, |_, record, _| {
        time.learn(&record.time);
        carried.learn(&record);
        last = record.seq;
        Ok(index.load(&changes_of(&record.facts).map_err(unreadable)?)?)
    })?;
    guarded(|| {
        index.finish_load(&mut || Ok(()))?;
        index.apply(last, &[])
    })?;
    Ok((time, carried))
}

fn for_each_valid(
    disk: &dyn Disk,
    segments: &[Segment],
    survey: &JournalSurvey,
    base: &StartingPoint,
    progress: &RecoveryProgress,
    mut visit: impl FnMut(RawLine, Record, Sum) -> Result<(), MetaOpenError>,
) -> Result<(), MetaOpenError> {
    let mut visited = 0;
    for segment in segments {
        for_each_line(disk, segment, base.begin, progress, |line, found| {
            let place = LinePlace { file: segment.number, line: line.number };
            match found {
                Some((record, sum)) if survey.cut().is_none_or(|cut| place < cut) => {
                    visited += 1;
                    visit(line, record, sum)
                }
                _ => Ok(()),
            }
        })?;
    }
    // INVARIANT: a medium that reads a line once and not again costs no transaction: the files go after this.
    let unlike = || MetaOpenError::Damaged("the journal can be read only at times".to_owned());
    (visited >= survey.valid).then_some(()).ok_or_else(unlike)
}

struct Replay<'a> {
    index: &'a dyn Index,
    new: NewFile,
    now: u64,
    /// The store time after the lines so far.
    time: StoreTime,
    carried: CarriedContent,
    progress: &'a RecoveryProgress,
}

impl Replay<'_> {
    fn line(&mut self, line: &RawLine, record: Record, sum: Sum) -> Result<(), MetaOpenError> {
        self.time.learn(&record.time);
        self.carried.learn(&record);
        self.index.load(&changes_of(&record.facts).map_err(unreadable)?)?;
        let LogPosition { seq: before, sum: prev } = self.new.head().clone();
        if record.seq == before + 1 && record.prev == prev {
            return Ok(self.new.push(&line.bytes, LogPosition { seq: record.seq, sum })?);
        }
        // Lines before this one are missing: renumber it, so that it continues the new chain.
        // It gets another number, and so do the lines that it says to be filed.
        self.push(&Record { seq: before + 1, prev, durable: before, filed: None, ..record })
    }

    /// Adds a line that the recovery itself writes.
    fn note(&mut self, facts: Vec<Fact>) -> Result<(), MetaOpenError> {
        let LogPosition { seq: before, sum: prev } = self.new.head().clone();
        let (at, time) = (self.now, self.time.clone());
        let by = (!facts.is_empty()).then(|| Arc::new(Origin::default().rule("recovery")));
        let optional = Optional::default();
        self.push(&Record {
            seq: before + 1,
            prev,
            durable: before,
            at,
            time,
            by,
            filed: None,
            optional,
            facts,
        })
    }

    fn push(&mut self, record: &Record) -> Result<(), MetaOpenError> {
        let (bytes, sum) = encode(record).map_err(unreadable)?;
        let head = LogPosition { seq: record.seq, sum };
        Ok(self.new.push(bytes.strip_suffix(b"\n").unwrap_or(&bytes), head)?)
    }

    /// Adds a line without facts if the file has more lines than its header names as durable. The header is
    /// older than those lines: if the last of them is damaged one day, this line proves that it existed.
    fn close_off(&mut self, said: u64) -> Result<(), MetaOpenError> {
        if self.new.head().seq == said {
            return Ok(());
        }
        self.note(Vec::new())
    }

    fn finish(self) -> Result<(FileLog, StoreTime), MetaOpenError> {
        self.index.finish_load(&mut || Ok(()))?;
        let journal = self.new.publish()?;
        let nothing: &[RowChange] = &[];
        self.index.apply(journal.head().seq, nothing)?;
        Ok((journal, self.time))
    }
}

impl FactSink for Replay<'_> {
    fn take(&mut self, facts: Vec<Fact>) -> Result<(), MetaOpenError> {
        self.progress.note(0)?;
        self.index.load(&changes_of(&facts).map_err(unreadable)?)?;
        self.index.finish_load(&mut || Ok(()))?;
        self.note(facts)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is called by map_err")]
pub(super) fn unreadable(error: serde_json::Error) -> MetaOpenError {
    MetaOpenError::Damaged(error.to_string())
}
