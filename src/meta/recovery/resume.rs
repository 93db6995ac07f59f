//! Resuming after a clean stop.

use crate::disk::{Disk, DiskFile};
use crate::meta::error::MetaOpenError;
use crate::meta::journal::{Header, Journal, LINE_SIZE_MAX_BYTES, Record, Sum, decode, journal_path, list};
use crate::meta::recovery::clean_marker::CleanMarker;

/// Resumes the journal of a clean stop, or returns `None` when its end does not match the marker.
pub(in crate::meta) fn resume(
    disk: &dyn Disk,
    clean: &CleanMarker,
) -> Result<Option<Journal>, MetaOpenError> {
    let Some(number) = list(disk)?.finished.last().copied() else { return Ok(None) };
    let file = disk.open_writable(&journal_path(number))?;
    let length = file.length()?;
    let Some(end) = last_line(file.as_ref(), length)? else { return Ok(None) };
    let matches = end == (clean.seq, clean.line.clone());
    Ok(matches.then(|| Journal::at_end(file, number, length, end)))
}

/// Reads the last line of a file, which may be its header.
fn last_line(file: &dyn DiskFile, length: u64) -> Result<Option<(u64, Sum)>, MetaOpenError> {
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
