//! Publishing content: sync, rename, sync the folder.

use std::path::Path;

use crate::blobs::contract::DurableBlob;
use crate::blobs::error::BlobError;
use crate::blobs::local::layout::{blob_path, fanout_folder, upload_path};
use crate::disk::{Disk, DiskError, DiskFile};
use crate::spec::ContentDigest;

/// Publishes the bytes of a file under their digest. Nothing else makes a [`DurableBlob`].
pub(super) fn publish(
    disk: &dyn Disk,
    file: &dyn DiskFile,
    unfinished: &Path,
    digest: ContentDigest,
    size: u64,
) -> Result<DurableBlob, BlobError> {
    // 1. The bytes are durable.
    file.sync()?;
    // 2. The name is visible. A file that had it before held the same bytes, or damaged ones.
    disk.rename(unfinished, &blob_path(&digest))?;
    // 3. The name is durable; only now may metadata refer to it.
    disk.sync_folder(&fanout_folder(&digest)).map_err(folder_not_synced)?;
    Ok(DurableBlob::new(digest, size))
}

/// Publishes bytes from memory.
pub(super) fn put(
    disk: &dyn Disk,
    name: &str,
    digest: ContentDigest,
    bytes: &[u8],
) -> Result<DurableBlob, BlobError> {
    let path = upload_path(name);
    let file = disk.create(&path)?;
    let written = file.write_at(bytes, 0).map_err(BlobError::from);
    let published = written.and_then(|()| publish(disk, file.as_ref(), &path, digest, bytes.len() as u64));
    if published.is_err() {
        remove_upload(disk, name);
    }
    published
}

/// Removes the file of an unfinished upload, if it exists.
pub(super) fn remove_upload(disk: &dyn Disk, name: &str) {
    match disk.remove(&upload_path(name)) {
        Ok(()) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => log::warn!("{error}"),
    }
}

/// A folder that could not be opened for want of descriptors was not synced, and no failure of the medium was
/// reported and lost: its next sync will report it. Nothing refers to the name until then.
fn folder_not_synced(error: DiskError) -> BlobError {
    if error.is_without_descriptors() { error.into() } else { BlobError::Folder(error) }
}
