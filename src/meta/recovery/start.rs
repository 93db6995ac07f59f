//! The metadata in a data directory, and how a start found it.

use std::collections::BTreeSet;
use std::path::Path;

use crate::disk::{Disk, DiskError, unless_damaged};
use crate::meta::checkpoint::{self, CHECKPOINT_FOLDER};
use crate::meta::error::MetaOpenError;
use crate::meta::journal::{self, JOURNAL_FOLDER, LineReader, journal_path, last_line, stated_format};

/// How a start found the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// As a clean stop had left it.
    Clean,
    /// Without its end, as a crash leaves it; nothing acknowledged is missing.
    Recovered,
    /// Damaged, now or earlier: files of the journal or checkpoints that are damaged are still kept.
    Salvaged,
}

/// Returns the versions of the format that the journal's files and the checkpoints state, or `None` if there
/// is neither. Changes nothing.
pub fn formats_on(disk: &dyn Disk) -> Result<Option<BTreeSet<u32>>, DiskError> {
    // A folder that cannot be listed is there.
    let (journals, journals_listed) = listed(journal::list(disk))?;
    let (checkpoints, checkpoints_listed) = listed(checkpoint::find(disk))?;
    let (journals, checkpoints) = (journals.finished, checkpoints.finished);
    let mut stated = BTreeSet::new();
    for number in &journals {
        let file = disk.open_to_salvage(&journal_path(*number))?;
        let header = LineReader::new(file.as_ref()).next()?;
        stated.extend(header.and_then(|line| stated_format(&line.bytes)));
    }
    for file in &checkpoints {
        match last_line(disk.open_to_salvage(&file.path())?.as_ref()) {
            Ok(trailer) => stated.extend(trailer.and_then(|(line, _)| stated_format(&line))),
            Err(error) if error.is_of_the_medium() => log::warn!("{error}"),
            Err(error) => return Err(error),
        }
    }
    let listed = journals_listed && checkpoints_listed;
    Ok((!listed || !journals.is_empty() || !checkpoints.is_empty()).then_some(stated))
}

/// Removes the folders of the metadata if the journal has no file. Returns whether it has none.
pub fn remove_empty_folders(disk: &dyn Disk) -> Result<bool, DiskError> {
    let empty = disk.remove_folder_if_empty(Path::new(JOURNAL_FOLDER))?;
    if empty {
        disk.remove_folder_if_empty(Path::new(CHECKPOINT_FOLDER))?;
    }
    Ok(empty)
}

/// Creates the folders of the metadata, and makes all names in the root durable: the new ones, and those of
/// the folders and files that were created there before.
pub(in crate::meta) fn make_folders(disk: &dyn Disk) -> Result<(), DiskError> {
    disk.create_folder(Path::new(JOURNAL_FOLDER))?;
    disk.create_folder(Path::new(CHECKPOINT_FOLDER))?;
    disk.sync_folder(Path::new(""))
}

/// Distinguishes a start after a crash from one with damage, present or past.
pub(in crate::meta) fn after_recovery(disk: &dyn Disk, damaged: bool) -> Result<Start, MetaOpenError> {
    Ok(if damaged || keeps_damaged(disk)? { Start::Salvaged } else { Start::Recovered })
}

/// Tells whether damaged files of the journal or checkpoints are kept.
pub(in crate::meta) fn keeps_damaged(disk: &dyn Disk) -> Result<bool, MetaOpenError> {
    Ok(!journal::list(disk)?.damaged.is_empty() || !checkpoint::find(disk)?.damaged.is_empty())
}

/// Returns the files of a folder, none for one that does not exist or cannot be read, and whether it could be
/// read.
pub(in crate::meta) fn listed<T: Default>(listed: Result<T, DiskError>) -> Result<(T, bool), DiskError> {
    let listed = unless_damaged(if_there(listed))?;
    let is_read = listed.is_some();
    Ok((listed.flatten().unwrap_or_default(), is_read))
}

/// Returns `None` for a folder that does not exist.
pub(in crate::meta) fn if_there<T>(listed: Result<T, DiskError>) -> Result<Option<T>, DiskError> {
    match listed {
        Ok(listed) => Ok(Some(listed)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
