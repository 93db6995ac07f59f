//! Reading a checkpoint.

use std::path::Path;

use crate::disk::DiskFile;
use crate::meta::checkpoint::format::{CheckpointRows, Trailer};
use crate::meta::error::MetaOpenError;
use crate::meta::index::{Index, IndexError};
use crate::meta::journal::{LineReader, RawLine, SumOfSums, check_format, read_line};
use crate::meta::model::{Fact, changes_of};

/// Returns the trailer of a checkpoint if the whole checkpoint is intact. Fails at a line that this version
/// does not know.
pub(in crate::meta) fn verify(path: &Path, file: &dyn DiskFile) -> Result<Option<Trailer>, MetaOpenError> {
    let mut lines = LineReader::new(file);
    let (mut sums, mut rows) = (SumOfSums::default(), 0);
    let mut last: Option<RawLine> = None;
    while let Some(line) = lines.next()? {
        // The last line is the trailer; all before it are added up.
        if let Some(before) = last.replace(line) {
            let Some((read, sum)) = read_line::<CheckpointRows>(path, &before)? else { return Ok(None) };
            rows += read.facts.len() as u64;
            sums.add(&sum);
        }
    }
    let Some(last) = last.filter(|line| line.ended) else { return Ok(None) };
    let Some((trailer, _)) = read_line::<Trailer>(path, &last)? else { return Ok(None) };
    check_format(path, trailer.checkpoint)?;
    Ok(Some(trailer).filter(|trailer| trailer.lines == sums.finish() && trailer.rows == rows))
}

/// Visits the rows of every line that verifies by itself, even among damaged ones. Returns the number of
/// valid lines and the number of damaged ones. Fails at a line that this version does not know.
pub(in crate::meta) fn each_line(
    path: &Path,
    file: &dyn DiskFile,
    mut visit: impl FnMut(&[Fact]) -> Result<(), MetaOpenError>,
) -> Result<(u64, u64), MetaOpenError> {
    let mut lines = LineReader::new(file);
    let (mut good, mut bad) = (0, 0);
    while let Some(line) = lines.next()? {
        if let Some((rows, _)) = read_line::<CheckpointRows>(path, &line)? {
            good += 1;
            visit(&rows.facts)?;
        } else if read_line::<Trailer>(path, &line)?.is_none() {
            bad += 1;
        }
    }
    Ok((good, bad))
}

/// Fills an empty index with the rows of an intact checkpoint. `read` is called with the bytes of each line;
/// its error ends the work. Fails if a line is not what it was when the checkpoint was verified, and at a
/// line that this version does not know.
pub(in crate::meta) fn load(
    path: &Path,
    file: &dyn DiskFile,
    index: &dyn Index,
    read: &mut dyn FnMut(u64) -> Result<(), IndexError>,
) -> Result<(), MetaOpenError> {
    let mut lines = LineReader::new(file);
    let (mut sums, mut is_whole) = (SumOfSums::default(), false);
    while let Some(line) = lines.next()? {
        read(line.bytes.len() as u64 + 1)?;
        if let Some((rows, sum)) = read_line::<CheckpointRows>(path, &line)? {
            sums.add(&sum);
            let changes =
                changes_of(&rows.facts).map_err(|error| MetaOpenError::Damaged(error.to_string()))?;
            index.load(&changes)?;
        } else if let Some((trailer, _)) = read_line::<Trailer>(path, &line)? {
            is_whole = trailer.lines == sums.finish();
        }
    }
    // INVARIANT: a medium that reads a line once and not again costs no row: the index becomes the truth.
    let unlike = || MetaOpenError::Damaged("a checkpoint can be read only at times".to_owned());
    is_whole.then_some(()).ok_or_else(unlike)
}
