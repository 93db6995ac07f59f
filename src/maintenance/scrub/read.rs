//! Reading one piece of content, from the medium and not from memory.

use std::sync::Arc;

use crate::blobs::BlobError;
use crate::disk::{DiskError, ReadFile};
use crate::maintenance::scrub::error::ScrubError;
use crate::registry::Registry;
use crate::spec::{ContentDigest, Hasher};

const READ_SIZE_BYTES: usize = 256 * 1024;

/// The result of reading content.
#[derive(Debug)]
pub(super) enum Look {
    /// Its bytes match its digest.
    Intact,
    /// They do not.
    Damaged(Arc<dyn ReadFile>),
    /// There is no file.
    Missing,
    /// The medium returned a read error.
    Unreadable(Arc<dyn ReadFile>, DiskError),
}

/// Reads all of a piece of content. `took` receives the number of bytes after each read, and may end it.
pub(super) fn look(
    registry: &Registry,
    digest: &ContentDigest,
    size: u64,
    buffer: &mut Vec<u8>,
    took: &mut dyn FnMut(u64) -> Result<(), ScrubError>,
) -> Result<Look, ScrubError> {
    let read = |error: BlobError| ScrubError::Registry(error.into());
    let Some(file) = registry.content().open(digest).map_err(read)? else { return Ok(Look::Missing) };
    let failed = |error: DiskError| ScrubError::Registry(BlobError::Disk(error).into());
    let length = file.length().map_err(failed)?;
    if length != size {
        return Ok(Look::Damaged(file));
    }
    buffer.resize(READ_SIZE_BYTES, 0);
    file.drop_cached(0, length);
    let mut hasher = Hasher::new(digest.algorithm());
    let mut offset = 0;
    loop {
        let piece = match file.read_at(buffer, offset) {
            Ok(0) => break,
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) if error.is_of_the_medium() => return Ok(Look::Unreadable(file, error)),
            Err(error) => return Err(failed(error)),
        };
        hasher.update(piece);
        let count = piece.len() as u64;
        // The scrub must not evict from the page cache what clients read.
        file.drop_cached(offset, count);
        offset += count;
        took(count)?;
    }
    Ok(if hasher.finish() == *digest { Look::Intact } else { Look::Damaged(file) })
}
