//! Recovery: writes the valid lines to a new journal file and fills the index with them.

use std::path::Path;
use std::sync::Arc;

use crate::blobs::ContentStore;
use crate::disk::Disk;
use crate::meta::clock::StoreTime;
use crate::meta::error::MetaOpenError;
use crate::meta::index::{Index, RowTotals, View};
use crate::meta::journal::{
    FileLog, Files, Header, JOURNAL_FOLDER, Log, damaged_path, header_of, journal_path, list,
};
use crate::meta::recovery::progress::RecoveryProgress;
use crate::meta::recovery::replay;
use crate::meta::recovery::segments::{self, Segment};
use crate::meta::recovery::starting_point::{self, StartingPoint};
use crate::meta::recovery::survey::{self, JournalSurvey};

/// The result of a recovery.
pub(in crate::meta) struct Recovered {
    /// The journal, ready to be appended to.
    pub(in crate::meta) journal: FileLog,
    /// The totals of the index's rows.
    pub(in crate::meta) totals: RowTotals,
    /// The store time.
    pub(in crate::meta) time: StoreTime,
    /// Whether acknowledged transactions may be missing, so that the rest must be reconciled.
    pub(in crate::meta) damaged: bool,
}

/// Rewrites the valid lines since the newest intact checkpoint into a new file, and fills `index`, which must
/// be empty. Every transaction up to `durable` is known to have been acknowledged. After damage, reconciles
/// the remaining metadata with `content`.
pub(in crate::meta) fn recover(
    shared: &Arc<dyn Disk>,
    index: &dyn Index,
    durable: u64,
    progress: &RecoveryProgress,
    content: Option<&dyn ContentStore>,
) -> Result<Recovered, MetaOpenError> {
    let disk = shared.as_ref();
    let files = remove_unfinished(disk)?;
    let base = starting_point::choose(disk)?;
    let segments = segments::since(disk, &files, &base)?;
    progress.begin(bytes_to_read(disk, &base, &segments)?);
    let survey = survey::survey(disk, &segments, &base, durable, progress)?;
    survey.report();

    let damaged = survey.damaged || base.damaged || base.lacks_journal(!segments.is_empty());
    base.load(disk, index, &mut |bytes| progress.note(bytes))?;
    let reconciled = content.filter(|_| damaged);
    let end = (files.highest + 1, reconciled);
    let (journal, time) = replay::replay(shared, index, &segments, &survey, &base, end, progress)?;
    retire(disk, &files, &segments, &survey, base.begin)?;
    progress.end();
    let replayed = journal.head().seq - (base.begin - 1);
    // A new store has nothing to report.
    if replayed > 0 || base.begin > 1 {
        log::info!("recovery rebuilt the index from {} and {replayed} transactions", base.name());
    }
    Ok(Recovered { journal, totals: RowTotals::of(View::new(index))?, time, damaged })
}

/// Lists the journal's files, and removes the unfinished ones.
pub(in crate::meta) fn remove_unfinished(disk: &dyn Disk) -> Result<Files, MetaOpenError> {
    let files = list(disk)?;
    for path in &files.unfinished {
        log::info!("removing {}, which was left unfinished", path.display());
        disk.remove(path)?;
    }
    Ok(files)
}

/// Returns the number of bytes that a rebuild reads: the checkpoint once more after choosing it, the journal
/// twice.
pub(super) fn bytes_to_read(
    disk: &dyn Disk,
    base: &StartingPoint,
    segments: &[Segment],
) -> Result<u64, MetaOpenError> {
    let mut total = base.length();
    for segment in segments {
        total += 2 * disk.open(&journal_path(segment.number))?.length()?;
    }
    Ok(total)
}

/// Removes the files that the new one replaces, and durably renames damaged ones. If a crash brings a removed
/// file back, the new file still replaces it.
fn retire(
    disk: &dyn Disk,
    files: &Files,
    segments: &[Segment],
    survey: &JournalSurvey,
    begin: u64,
) -> Result<(), MetaOpenError> {
    let mut kept = false;
    for number in &files.finished {
        let path = journal_path(*number);
        let Some(segment) = segments.iter().find(|segment| segment.number == *number) else {
            kept |= retire_replaced(disk, *number, begin)?;
            continue;
        };
        let first = segment.header.as_ref().map(|header| header.first);
        if survey.damaged_files.contains(number) {
            disk.rename(&path, &damaged_path(*number))?;
            kept = true;
        } else if first >= Some(begin) {
            disk.remove(&path)?;
        }
    }
    if kept {
        disk.sync_folder(Path::new(JOURNAL_FOLDER))?;
    }
    Ok(())
}

/// Retires a file that a later one had already replaced. It still exists because a crash interrupted that
/// recovery, or because it is history. A damaged one is kept under another name for examination. Returns
/// whether the file was renamed.
fn retire_replaced(disk: &dyn Disk, number: u64, begin: u64) -> Result<bool, MetaOpenError> {
    let path = journal_path(number);
    let header = header_of(disk, number).ok().flatten();
    if header.as_ref().is_some_and(|header| header.first < begin) {
        return Ok(false);
    }
    let damaged = header.is_none_or(|header| is_damaged(disk, number, header));
    if damaged {
        disk.rename(&path, &damaged_path(number))?;
    } else {
        disk.remove(&path)?;
    }
    Ok(damaged)
}

/// Tells whether a journal file, taken alone, lacks anything that was durable.
pub(in crate::meta) fn is_damaged(disk: &dyn Disk, number: u64, header: Header) -> bool {
    let alone = StartingPoint::before(&header);
    let segment = Segment { number, header: Some(header), limit: u64::MAX };
    survey::survey(disk, &[segment], &alone, 0, &RecoveryProgress::default())
        .map_or(true, |survey| survey.damaged)
}

/// Makes every file and folder below `folder` durable.
pub(in crate::meta) fn sync_tree(disk: &Arc<dyn Disk>, folder: &Path) -> Result<(), MetaOpenError> {
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
