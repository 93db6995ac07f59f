//! The paths of the journal's files.

use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskError};
use crate::meta::error::MetaOpenError;
use crate::meta::journal::file::known::{check_format, read_line};
use crate::meta::journal::file::line::Header;
use crate::meta::journal::file::reader::LineReader;

/// The folder of the journal's files.
pub(in crate::meta) const JOURNAL_FOLDER: &str = "journal";

const FINISHED: &str = "log";
const UNFINISHED: &str = "new";
const DAMAGED: &str = "damaged";

/// Returns the path of a journal file.
pub(in crate::meta) fn journal_path(number: u64) -> PathBuf {
    path(number, FINISHED)
}

/// Returns the path that a damaged journal file is kept under.
pub(in crate::meta) fn damaged_path(number: u64) -> PathBuf {
    path(number, DAMAGED)
}

pub(in crate::meta) fn unfinished_path(number: u64) -> PathBuf {
    path(number, UNFINISHED)
}

fn path(number: u64, ending: &str) -> PathBuf {
    Path::new(JOURNAL_FOLDER).join(format!("{number:012}.{ending}"))
}

/// The journal's files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::meta) struct Files {
    /// The numbers of the finished ones, in order.
    pub(in crate::meta) finished: Vec<u64>,
    /// Those that a crash left unfinished: nothing in them was ever acknowledged.
    pub(in crate::meta) unfinished: Vec<PathBuf>,
    /// Those that were set aside because they are damaged.
    pub(in crate::meta) damaged: Vec<u64>,
    /// The highest number in use, by a file of any kind.
    pub(in crate::meta) highest: u64,
}

/// Lists the journal's files.
pub(in crate::meta) fn list(disk: &dyn Disk) -> Result<Files, DiskError> {
    let folder = Path::new(JOURNAL_FOLDER);
    let mut files = Files::default();
    for entry in disk.list(folder)? {
        let Some((number, ending)) = entry.name.split_once('.') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        files.highest = files.highest.max(number);
        match ending {
            FINISHED => files.finished.push(number),
            UNFINISHED => files.unfinished.push(folder.join(&entry.name)),
            DAMAGED => files.damaged.push(number),
            _ => {}
        }
    }
    files.finished.sort_unstable();
    files.damaged.sort_unstable();
    Ok(files)
}

/// Returns the header of a finished file, unless it is damaged. Fails if this version does not know it.
pub(in crate::meta) fn header_of(disk: &dyn Disk, number: u64) -> Result<Option<Header>, MetaOpenError> {
    let path = journal_path(number);
    let file = disk.open_to_salvage(&path)?;
    let Some(line) = LineReader::new(file.as_ref()).next()?.filter(|line| line.ended) else {
        return Ok(None);
    };
    let Some((header, _)) = read_line::<Header>(&path, &line)? else { return Ok(None) };
    check_format(&path, header.journal)?;
    Ok(Some(header))
}
