//! The last line of a file, without reading the others.

use crate::disk::{BLOCK_SIZE_BYTES, DiskError, DiskFile};
use crate::meta::journal::file::line::LINE_SIZE_MAX_BYTES;

/// Reads the last line of a file, and returns it without its line feed, with the offset after it. Returns
/// `None` if the file does not end with a line.
pub(in crate::meta) fn last_line(file: &dyn DiskFile) -> Result<Option<(Vec<u8>, u64)>, DiskError> {
    let length = file.length()?;
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
    Ok(Some((line.to_vec(), end)))
}
