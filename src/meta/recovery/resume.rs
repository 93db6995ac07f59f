//! Resuming after a clean stop.

use std::sync::Arc;

use crate::disk::{BLOCK_SIZE_BYTES, Disk, DiskError, DiskFile};
use crate::meta::error::MetaOpenError;
use crate::meta::journal::{
    FileLog, Header, LINE_SIZE_MAX_BYTES, LogPosition, Record, decode, journal_path, list,
};
use crate::meta::recovery::clean_marker::CleanMarker;

/// Resumes the journal of a clean stop, or returns `None` when its end does not match the marker.
pub(in crate::meta) fn resume(
    disk: &Arc<dyn Disk>,
    clean: &CleanMarker,
) -> Result<Option<FileLog>, MetaOpenError> {
    let Some(number) = list(disk.as_ref())?.finished.last().copied() else { return Ok(None) };
    let file = disk.open_writable(&journal_path(number))?;
    let whole = file.length()?;
    let last = match last_line(file.as_ref(), whole) {
        Err(error) if error.is_of_the_medium() => {
            log::warn!("{error}");
            return Ok(None);
        }
        last => last?,
    };
    let Some((end, length)) = last else { return Ok(None) };
    // The stop leaves nothing after the last line but the rest of its block.
    let matches =
        end.seq == clean.seq && end.sum == clean.line && whole == length.next_multiple_of(BLOCK_SIZE_BYTES);
    Ok(matches.then(|| FileLog::at_end(Arc::clone(disk), file, (number, length), end)))
}

/// Reads the last line of a file, which may be its header, and returns the place and the offset after it.
fn last_line(file: &dyn DiskFile, length: u64) -> Result<Option<(LogPosition, u64)>, DiskError> {
    let begin = length.saturating_sub(LINE_SIZE_MAX_BYTES as u64 + BLOCK_SIZE_BYTES);
    let mut tail = vec![0; usize::try_from(length - begin).unwrap_or(0)];
    let mut filled = 0;
    while let Some(space) = tail.get_mut(filled..).filter(|space| !space.is_empty()) {
        let read = file.read_at(space, begin + filled as u64)?;
        if read == 0 {
            return Ok(None);
        }
        filled += read;
    }
    // Zeroes fill the blocks of the lines before and of the last one.
    while tail.pop_if(|byte| *byte == 0).is_some() {}
    let end = begin + tail.len() as u64;
    let Some(tail) = tail.strip_suffix(b"\n") else { return Ok(None) };
    let line = tail.rsplit(|byte| [b'\n', 0].contains(byte)).next().unwrap_or(tail);
    if let Ok((record, sum)) = decode::<Record>(line) {
        return Ok(Some((LogPosition { seq: record.seq, sum }, end)));
    }
    let header = decode::<Header>(line).ok();
    Ok(header.map(|(header, _)| (LogPosition { seq: header.first - 1, sum: header.prev }, end)))
}
