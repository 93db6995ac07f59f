//! Resuming after a clean stop.

use std::sync::Arc;

use crate::disk::{BLOCK_SIZE_BYTES, Disk, unless_damaged};
use crate::meta::error::MetaOpenError;
use crate::meta::journal::{
    FileLog, Header, LogPosition, Record, decode, header_of, journal_path, last_line, list,
};
use crate::meta::recovery::clean_marker::CleanMarker;
use crate::meta::recovery::start::if_there;

/// Resumes the journal of a clean stop, or returns `None` when its end does not match the marker. Changes
/// nothing.
pub(in crate::meta) fn resume(
    disk: &Arc<dyn Disk>,
    clean: &CleanMarker,
) -> Result<Option<FileLog>, MetaOpenError> {
    let files = if_there(list(disk.as_ref()))?.unwrap_or_default();
    let Some(number) = files.finished.last().copied() else { return Ok(None) };
    // INVARIANT: a file has no line of a later format than its header states. A recovery begins a new file.
    if !header_of(disk.as_ref(), number)?.is_some_and(|header| header.is_current()) {
        return Ok(None);
    }
    let Some(file) = unless_damaged(disk.open_writable(&journal_path(number)))? else { return Ok(None) };
    let last = match last_line(file.as_ref()) {
        Err(error) if error.is_of_the_medium() => {
            log::warn!("{error}");
            return Ok(None);
        }
        last => last?,
    };
    let Some((line, length)) = last else { return Ok(None) };
    let Some(end) = position_after(&line) else { return Ok(None) };
    // The stop leaves nothing after the last line but the rest of its block.
    let Some(whole) = unless_damaged(file.length())? else { return Ok(None) };
    let matches =
        end.seq == clean.seq && end.sum == clean.line && whole == length.next_multiple_of(BLOCK_SIZE_BYTES);
    Ok(matches.then(|| FileLog::at_end(Arc::clone(disk), file, (number, length), end)))
}

/// Returns the place after a line, which may be a header.
fn position_after(line: &[u8]) -> Option<LogPosition> {
    if let Ok((record, sum)) = decode::<Record>(line) {
        return Some(LogPosition { seq: record.seq, sum });
    }
    let header = decode::<Header>(line).ok();
    header.map(|(header, _)| LogPosition { seq: header.first - 1, sum: header.prev })
}
