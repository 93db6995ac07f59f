//! A file of its own for an upload whose file may be content.

use crate::blobs::error::BlobError;
use crate::blobs::local::fanout::ContentFolders;
use crate::blobs::local::layout::upload_path;
use crate::blobs::local::publish::remove_upload;
use crate::blobs::local::synced_folder::WrittenName;
use crate::disk::{Disk, ReadFile};

const COPY_SIZE_BYTES: usize = 256 * 1024;

/// Replaces the file of an upload by a copy of its first `length` bytes, which are durable. The file itself
/// stays as it is under any other name. Returns the copy's name. Until it is durable, a power cut may bring
/// back the old file, which holds the same bytes.
pub(super) fn copy(
    disk: &dyn Disk,
    folders: &ContentFolders,
    name: &str,
    file: &dyn ReadFile,
    length: u64,
) -> Result<WrittenName, BlobError> {
    // No upload has this name, so a start removes what a crash leaves of the copy.
    let unfinished = format!("{name}.copy");
    remove_upload(disk, &unfinished);
    let copied = fill(disk, &unfinished, file, length).and_then(|()| {
        // 2. The copy takes the upload's name.
        let rename = || disk.rename(&upload_path(&unfinished), &upload_path(name));
        let ((), written) = folders.uploads().write(rename)?;
        Ok(written)
    });
    if copied.is_err() {
        remove_upload(disk, &unfinished);
    }
    copied
}

fn fill(disk: &dyn Disk, unfinished: &str, file: &dyn ReadFile, length: u64) -> Result<(), BlobError> {
    let copy = disk.create(&upload_path(unfinished))?;
    let mut buffer = vec![0; COPY_SIZE_BYTES];
    let mut offset = 0;
    while offset < length {
        let wanted = usize::try_from(length - offset).unwrap_or(usize::MAX).min(buffer.len());
        let read = file.read_at(buffer.get_mut(..wanted).unwrap_or_default(), offset)?;
        if read == 0 {
            return Err(BlobError::UploadDamaged { length: offset, offset: length });
        }
        copy.write_at(buffer.get(..read).unwrap_or_default(), offset)?;
        offset += read as u64;
    }
    // 1. The copy's bytes are durable.
    Ok(copy.sync()?)
}
