//! The metadata in a data directory, and how a start found it.

use std::path::Path;

use serde::Deserialize;

use crate::disk::{Disk, DiskError};
use crate::meta::checkpoint::{self, CHECKPOINT_FOLDER};
use crate::meta::error::MetaOpenError;
use crate::meta::journal::{self, JOURNAL_FOLDER, LineReader, decode, journal_path};

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

/// Only the version: a newer journal may have anything else in its header.
#[derive(Deserialize)]
struct JournalVersion {
    journal: u32,
}

/// Returns the newest format of the journal's files, 0 if no file states one, or `None` if neither a journal
/// nor a checkpoint exists. Changes nothing.
pub fn format_on(disk: &dyn Disk) -> Result<Option<u32>, DiskError> {
    let numbers = if_there(journal::list(disk))?.unwrap_or_default().finished;
    let checkpoints = if_there(checkpoint::find(disk))?.unwrap_or_default().finished;
    let mut newest = 0;
    for number in &numbers {
        let file = disk.open(&journal_path(*number))?;
        let header = LineReader::new(file.as_ref()).next()?;
        if let Some((version, _)) = header.and_then(|line| decode::<JournalVersion>(&line.bytes).ok()) {
            newest = newest.max(version.journal);
        }
    }
    Ok((!numbers.is_empty() || !checkpoints.is_empty()).then_some(newest))
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

/// Returns `None` for a folder that does not exist.
pub(in crate::meta) fn if_there<T>(listed: Result<T, DiskError>) -> Result<Option<T>, DiskError> {
    match listed {
        Ok(listed) => Ok(Some(listed)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
