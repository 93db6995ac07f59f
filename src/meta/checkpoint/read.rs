//! Reading a checkpoint.

use crate::disk::DiskFile;
use crate::meta::checkpoint::format::{CheckpointRows, FORMAT, Trailer};
use crate::meta::error::MetaOpenError;
use crate::meta::index::{Index, IndexError};
use crate::meta::journal::{LineReader, RawLine, SumOfSums, check_sum, decode};
use crate::meta::model::{Fact, changes_of};

/// Returns the trailer of a checkpoint if the whole checkpoint is intact.
pub(in crate::meta) fn verify(file: &dyn DiskFile) -> Result<Option<Trailer>, MetaOpenError> {
    let mut lines = LineReader::new(file);
    let mut sums = SumOfSums::default();
    let mut last: Option<RawLine> = None;
    while let Some(line) = lines.next()? {
        // The last line is the trailer; all before it are added up.
        if let Some(before) = last.replace(line) {
            let Some(sum) = check_sum(&before.bytes) else { return Ok(None) };
            sums.add(&sum);
        }
    }
    let trailer = last.filter(|line| line.ended).and_then(|line| decode::<Trailer>(&line.bytes).ok());
    let whole = |trailer: &Trailer| trailer.checkpoint == FORMAT && trailer.lines == sums.finish();
    Ok(trailer.map(|(trailer, _)| trailer).filter(whole))
}

/// Visits the rows of every line that verifies by itself, even among damaged ones. Returns the number of
/// valid lines and the number of damaged ones.
pub(in crate::meta) fn each_line(
    file: &dyn DiskFile,
    mut visit: impl FnMut(&[Fact]) -> Result<(), MetaOpenError>,
) -> Result<(u64, u64), MetaOpenError> {
    let mut lines = LineReader::new(file);
    let (mut good, mut bad) = (0, 0);
    while let Some(line) = lines.next()? {
        if let Ok((rows, _)) = decode::<CheckpointRows>(&line.bytes) {
            good += 1;
            visit(&rows.facts)?;
        } else if decode::<Trailer>(&line.bytes).is_err() {
            bad += 1;
        }
    }
    Ok((good, bad))
}

/// Fills an empty index with the rows of an intact checkpoint. `read` is called with the bytes of each line;
/// its error ends the work. Fails if a line is not what it was when the checkpoint was verified.
pub(in crate::meta) fn load(
    file: &dyn DiskFile,
    index: &dyn Index,
    read: &mut dyn FnMut(u64) -> Result<(), IndexError>,
) -> Result<(), MetaOpenError> {
    let mut lines = LineReader::new(file);
    let (mut sums, mut is_whole) = (SumOfSums::default(), false);
    while let Some(line) = lines.next()? {
        read(line.bytes.len() as u64 + 1)?;
        if let Ok((rows, sum)) = decode::<CheckpointRows>(&line.bytes) {
            sums.add(&sum);
            let changes =
                changes_of(&rows.facts).map_err(|error| MetaOpenError::Damaged(error.to_string()))?;
            index.load(&changes)?;
        } else if let Ok((trailer, _)) = decode::<Trailer>(&line.bytes) {
            is_whole = trailer.lines == sums.finish();
        }
    }
    // INVARIANT: a medium that reads a line once and not again costs no row: the index becomes the truth.
    let unlike = || MetaOpenError::Damaged("a checkpoint can be read only at times".to_owned());
    is_whole.then_some(()).ok_or_else(unlike)
}
