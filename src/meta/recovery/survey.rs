//! A read-only survey of the journal: how far its chain reaches, and why it ends there.

use std::collections::BTreeSet;

use crate::disk::Disk;
use crate::meta::error::MetaOpenError;
use crate::meta::journal::{Header, LineReader, RawLine, Record, Sum, damaged_path, journal_path, read_line};
use crate::meta::recovery::progress::RecoveryProgress;
use crate::meta::recovery::segments::Segment;
use crate::meta::recovery::starting_point::StartingPoint;

/// A place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinePlace {
    /// The file's number.
    pub(super) file: u64,
    /// The line's number; the header is 1.
    pub(super) line: u64,
}

/// The result of a survey.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct JournalSurvey {
    /// The number of transactions to replay.
    pub(super) valid: u64,
    /// The first line that does not continue the chain.
    pub(super) first_bad: Option<LinePlace>,
    /// Whether the medium is damaged: a transaction from there on had been acknowledged, or may have been and
    /// cannot be read.
    pub(super) damaged: bool,
    /// The lines that cannot be read.
    bad_lines: Vec<LinePlace>,
    /// The files that have such lines.
    pub(super) damaged_files: BTreeSet<u64>,
}

/// The most unreadable lines that are named one by one.
const BAD_LINES_NAMED_MAX: usize = 20;

impl JournalSurvey {
    /// Returns where the journal is cut. A damaged journal has no cut: every line that verifies by itself is
    /// valid.
    pub(super) fn cut(&self) -> Option<LinePlace> {
        if self.damaged { None } else { self.first_bad }
    }

    /// Returns the first `BAD_LINES_NAMED_MAX` unreadable lines.
    pub(super) fn bad_lines(&self) -> &[LinePlace] {
        &self.bad_lines
    }

    pub(super) fn report(&self) {
        match self.first_bad {
            Some(place) if !self.damaged => log::info!(
                "{} ends before line {}, which a crash cut off before it was acknowledged",
                journal_path(place.file).display(),
                place.line
            ),
            Some(_) | None if self.damaged => self.report_damage(),
            _ => {}
        }
    }

    fn report_damage(&self) {
        match self.first_bad {
            Some(place) => log::error!(
                "the journal is damaged: {} line {} differs from what was acknowledged",
                journal_path(place.file).display(),
                place.line
            ),
            None => log::error!("the journal is damaged: its end is missing"),
        }
        for place in &self.bad_lines {
            log::error!("{} line {} cannot be read", journal_path(place.file).display(), place.line);
        }
        for file in &self.damaged_files {
            log::error!(
                "{} is kept as {}; its readable lines are used",
                journal_path(*file).display(),
                damaged_path(*file).display()
            );
        }
    }

    fn bad(&mut self, place: LinePlace, unreadable: bool) {
        self.first_bad.get_or_insert(place);
        self.damaged_files.insert(place.file);
        if unreadable && self.bad_lines.len() < BAD_LINES_NAMED_MAX {
            self.bad_lines.push(place);
        }
    }
}

/// Follows the chain of lines. From the first line that breaks the chain on, only lines that verify by
/// themselves are valid; whether that line had been acknowledged decides between a cut and damage.
pub(super) fn survey(
    disk: &dyn Disk,
    segments: &[Segment],
    base: &StartingPoint,
    durable: u64,
    progress: &RecoveryProgress,
) -> Result<JournalSurvey, MetaOpenError> {
    let mut survey = JournalSurvey::default();
    let mut durable = durable.max(base.durable);
    // The next expected transaction, and the sum of the line before it while the chain holds.
    let mut next = base.begin;
    let mut chain = Some(base.prev.clone());
    for segment in segments {
        match &segment.header {
            Some(header) => durable = durable.max(header.durable),
            // The header was durable before the file got its name, so the medium is damaged.
            None => {
                survey.damaged = true;
                survey.damaged_files.insert(segment.number);
                chain = None;
            }
        }
        for_each_line(disk, segment, base.begin, progress, |line, found| {
            let place = LinePlace { file: segment.number, line: line.number };
            let Some((record, sum)) = found else {
                chain = None;
                survey.bad(place, true);
                // A power cut leaves lines that are wrong, not blocks that cannot be read.
                survey.damaged |= line.unreadable;
                return Ok(());
            };
            durable = durable.max(record.durable);
            survey.valid += 1;
            match &chain {
                Some(prev) if record.seq == next && record.prev == *prev => {
                    next += 1;
                    chain = Some(sum);
                }
                _ => {
                    chain = None;
                    survey.bad(place, false);
                }
            }
            Ok(())
        })?;
    }
    survey.damaged |= durable >= next;
    if survey.damaged && survey.damaged_files.is_empty() {
        // Every line is sound, but the end of the journal is missing.
        survey.damaged_files.extend(segments.last().map(|segment| segment.number));
    }
    if !survey.damaged {
        survey.valid = next - base.begin;
        survey.damaged_files.clear();
    }
    Ok(survey)
}

/// Tells whether a journal file, taken alone, lacks anything that was durable, or cannot be read.
pub(super) fn is_damaged(disk: &dyn Disk, number: u64, header: Header) -> Result<bool, MetaOpenError> {
    let alone = StartingPoint::before(&header);
    let segment = Segment { number, header: Some(header), limit: u64::MAX };
    match survey(disk, &[segment], &alone, 0, &RecoveryProgress::default()) {
        Err(error) if error.is_of_another_version() => Err(error),
        surveyed => Ok(surveyed.map_or(true, |survey| survey.damaged)),
    }
}

/// Visits the lines of a segment from transaction `begin` up to its limit, each with its record, and every
/// damaged line with `None`. Fails at a line that this version does not know.
pub(super) fn for_each_line(
    disk: &dyn Disk,
    segment: &Segment,
    begin: u64,
    progress: &RecoveryProgress,
    mut visit: impl FnMut(RawLine, Option<(Record, Sum)>) -> Result<(), MetaOpenError>,
) -> Result<(), MetaOpenError> {
    let path = journal_path(segment.number);
    let file = disk.open_to_salvage(&path)?;
    let mut lines = LineReader::new(file.as_ref());
    if segment.header.is_some() {
        lines.next()?;
    }
    while let Some(line) = lines.next()? {
        progress.note(line.bytes.len() as u64 + 1)?;
        let found = if line.ended { read_line::<Record>(&path, &line)? } else { None };
        let seq = found.as_ref().map(|(record, _)| record.seq);
        match seq {
            Some(seq) if seq < begin || seq >= segment.limit => {}
            _ => visit(line, found)?,
        }
        // Whatever follows, be it half a line, a later file replaces it.
        if seq.is_some_and(|seq| seq + 1 >= segment.limit) {
            break;
        }
    }
    Ok(())
}
