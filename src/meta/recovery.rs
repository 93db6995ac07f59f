//! From the journal's files back to a journal that can be appended to and an index that agrees with it.
//!
//! After a clean stop both are as they were. After any other, neither the index nor the end of the journal
//! can be trusted, not even what the page cache shows of it: the valid lines are written to a new file, made
//! durable, and replayed into an empty index.

use std::path::Path;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::meta::clean::Clean;
use crate::meta::error::OpenError;
use crate::meta::fact::changes_of;
use crate::meta::index::Index;
use crate::meta::journal::{
    Files, Header, JOURNAL_FOLDER, Journal, LINE_SIZE_MAX_BYTES, LineReader, NewFile, RawLine, Record, Sum,
    damaged_path, decode, encode, journal_path, list,
};
use crate::meta::totals::Totals;
use crate::meta::view::View;

/// Goes on with the journal of a clean stop, or returns `None` when its end is not what the marker says.
pub(super) fn resume(disk: &dyn Disk, clean: &Clean) -> Result<Option<Journal>, OpenError> {
    let Some(number) = list(disk)?.finished.last().copied() else { return Ok(None) };
    let file = disk.open_writable(&journal_path(number))?;
    let length = file.length()?;
    let Some((seq, sum)) = last_line(file.as_ref(), length)? else { return Ok(None) };
    let matches = (seq, &sum) == (clean.seq, &clean.line);
    Ok(matches.then(|| Journal::at_end(file, length, seq, sum)))
}

/// Reads the last line of a file, which may be its header.
fn last_line(file: &dyn DiskFile, length: u64) -> Result<Option<(u64, Sum)>, OpenError> {
    let begin = length.saturating_sub(LINE_SIZE_MAX_BYTES as u64 + 1);
    let mut tail = vec![0; usize::try_from(length - begin).unwrap_or(0)];
    let mut filled = 0;
    while let Some(space) = tail.get_mut(filled..).filter(|space| !space.is_empty()) {
        let read = file.read_at(space, begin + filled as u64)?;
        if read == 0 {
            return Ok(None);
        }
        filled += read;
    }
    let Some(tail) = tail.strip_suffix(b"\n") else { return Ok(None) };
    let line = tail.rsplit(|byte| *byte == b'\n').next().unwrap_or(tail);
    if let Ok((record, sum)) = decode::<Record>(line) {
        return Ok(Some((record.seq, sum)));
    }
    Ok(decode::<Header>(line).ok().map(|(header, _)| (header.first - 1, header.prev)))
}

/// What a recovery ends in.
pub(super) struct Recovered {
    /// The journal, ready to be appended to.
    pub(super) journal: Journal,
    /// What the index adds up to.
    pub(super) totals: Totals,
}

/// Rewrites the valid lines into a new file and replays them into `index`, which must be empty. All up to
/// transaction `durable` is known to have been acknowledged.
pub(super) fn recover(disk: &dyn Disk, index: &dyn Index, durable: u64) -> Result<Recovered, OpenError> {
    let files = list(disk)?;
    for path in &files.unfinished {
        log::info!("removing {}, which a crash left unfinished", path.display());
        disk.remove(path)?;
    }
    // A finished file was durable as a whole before it got its name, and holds all that the ones before it
    // did.
    let Some(newest) = files.finished.last().copied() else {
        let journal = NewFile::create(disk, files.highest + 1, (0, Sum::zero()), 0)?.publish()?;
        return Ok(Recovered { journal, totals: Totals::default() });
    };
    let file = disk.open(&journal_path(newest))?;
    let survey = survey(file.as_ref(), durable)?;
    survey.report(newest);

    let replayed = replay(disk, index, file.as_ref(), &survey, files.highest + 1)?;
    retire(disk, &files, newest, &survey)?;
    log::info!("rebuilt the index from {} transactions", survey.valid);
    Ok(replayed)
}

/// What a look through a journal file found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Survey {
    /// How many valid transactions it holds.
    valid: u64,
    /// The number of the first line that is not the one that had to follow.
    first_bad: Option<u64>,
    /// Whether something from that line on had been acknowledged, so that the medium is damaged.
    damaged: bool,
    /// The lines that cannot be read, when the medium is damaged.
    bad_lines: Vec<u64>,
}

/// How many damaged lines are named one by one.
const BAD_LINES_NAMED_MAX: usize = 20;

impl Survey {
    fn report(&self, number: u64) {
        let path = journal_path(number);
        match self.first_bad {
            Some(line) if self.damaged => log::error!(
                "{} is damaged from line {line} on (unreadable lines: {:?}); it is kept as {}, and what can \
                 still be read of it is used",
                path.display(),
                self.bad_lines,
                damaged_path(number).display(),
            ),
            Some(line) => log::info!(
                "{} ends at line {line}, which a crash cut off before it was acknowledged",
                path.display(),
            ),
            None if self.damaged => log::error!(
                "{} has lost its end; it is kept as {}, and what can still be read of it is used",
                path.display(),
                damaged_path(number).display(),
            ),
            None => {}
        }
    }
}

/// Follows the lines from the header on. From the first bad one on, only what verifies by itself counts.
fn survey(file: &dyn DiskFile, durable: u64) -> Result<Survey, OpenError> {
    let (mut survey, mut durable) = (Survey::default(), durable);
    let mut lines = LineReader::new(file);
    let mut expected = match lines.next()?.as_ref().and_then(header) {
        Some(header) => {
            durable = durable.max(header.durable);
            Some((header.first, header.prev))
        }
        None => {
            survey.first_bad = Some(1);
            survey.damaged = true;
            None
        }
    };
    // The first transaction that is not there as it was written.
    let mut missing = 1;
    while let Some(line) = lines.next()? {
        match (record(&line), &expected) {
            (Some((record, sum)), Some((seq, prev))) if record.seq == *seq && record.prev == *prev => {
                missing = record.seq + 1;
                expected = Some((missing, sum));
                survey.valid += 1;
            }
            (found, before) => {
                if before.is_some() {
                    survey.first_bad = Some(line.number);
                }
                expected = None;
                match found {
                    Some((record, _)) => {
                        survey.valid += 1;
                        durable = durable.max(record.durable);
                    }
                    None if survey.bad_lines.len() < BAD_LINES_NAMED_MAX => {
                        survey.bad_lines.push(line.number);
                    }
                    None => {}
                }
            }
        }
    }
    survey.damaged |= durable >= missing;
    if !survey.damaged {
        survey.valid = missing - 1;
    }
    Ok(survey)
}

fn header(line: &RawLine) -> Option<Header> {
    decode(&line.bytes).ok().map(|(header, _)| header)
}

fn record(line: &RawLine) -> Option<(Record, Sum)> {
    if line.ended { decode(&line.bytes).ok() } else { None }
}

fn replay(
    disk: &dyn Disk,
    index: &dyn Index,
    file: &dyn DiskFile,
    survey: &Survey,
    number: u64,
) -> Result<Recovered, OpenError> {
    let mut new = NewFile::create(disk, number, (0, Sum::zero()), survey.valid)?;
    let mut totals = Totals::default();
    let mut lines = LineReader::new(file);
    let cut = if survey.damaged { None } else { survey.first_bad };
    while let Some(line) = lines.next()? {
        if cut.is_some_and(|cut| line.number >= cut) {
            break;
        }
        let Some((mut record, sum)) = record(&line) else { continue };
        let (before, prev) = new.head();
        if record.seq == before + 1 && record.prev == prev {
            new.push(&line.bytes, record.seq, sum)?;
        } else {
            // Lines are missing before this one: it gets a place in the new chain.
            (record.seq, record.prev, record.durable) = (before + 1, prev, before);
            let (bytes, sum) = encode(&record).map_err(|error| OpenError::Damaged(error.to_string()))?;
            new.push(bytes.strip_suffix(b"\n").unwrap_or(&bytes), record.seq, sum)?;
        }
        totals.count(View::new(index), &record.facts)?;
        let changes = changes_of(&record.facts).map_err(|error| OpenError::Damaged(error.to_string()))?;
        index.apply(record.seq, &changes)?;
    }
    Ok(Recovered { journal: new.publish()?, totals })
}

/// Takes the files away that the new one replaces; a damaged one is kept under another name.
fn retire(disk: &dyn Disk, files: &Files, newest: u64, survey: &Survey) -> Result<(), OpenError> {
    for number in &files.finished {
        let path = journal_path(*number);
        // An older file is here only if a crash came before its recovery was done with it.
        let damaged = if *number == newest { survey.damaged } else { is_damaged(disk, &path) };
        if damaged {
            disk.rename(&path, &damaged_path(*number))?;
        } else {
            disk.remove(&path)?;
        }
    }
    disk.sync_folder(Path::new(JOURNAL_FOLDER))?;
    Ok(())
}

/// Tells whether a file has damage that is worth a look at it, and so has one that cannot be read at all.
fn is_damaged(disk: &dyn Disk, path: &Path) -> bool {
    let survey = disk.open(path).map_err(OpenError::from).and_then(|file| survey(file.as_ref(), 0));
    survey.map_or(true, |survey| survey.damaged)
}

/// Makes every file and folder below `folder` durable.
pub(super) fn sync_tree(disk: &Arc<dyn Disk>, folder: &Path) -> Result<(), OpenError> {
    for entry in disk.list(folder)? {
        let path = folder.join(&entry.name);
        if entry.is_folder {
            sync_tree(disk, &path)?;
        } else {
            disk.open(&path)?.sync()?;
        }
    }
    disk.sync_folder(folder)?;
    Ok(())
}
