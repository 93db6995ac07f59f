//! Publishing content: rename, sync, sync the folder; where a file has the name, sync comes first.

use std::path::Path;

use crate::blobs::contract::DurableBlob;
use crate::blobs::error::BlobError;
use crate::blobs::local::fanout::{ContentFolders, DurableFolder, folder_not_synced};
use crate::blobs::local::layout::{blob_path, upload_path};
use crate::disk::{Disk, DiskFile};
use crate::spec::ContentDigest;

/// Publishes the bytes of a file under their digest. Nothing else makes a [`DurableBlob`].
pub(super) fn publish(
    disk: &dyn Disk,
    file: &dyn DiskFile,
    unfinished: &Path,
    folder: &DurableFolder,
    digest: ContentDigest,
    size: u64,
) -> Result<DurableBlob, BlobError> {
    let path = blob_path(&digest);
    // 1. The name is visible, if no file has it: nothing refers to it yet, and one commit of the filesystem
    // can then take bytes and name together.
    let (is_new, mut name) = folder.names().write(|| disk.rename_new(unfinished, &path))?;
    if is_new {
        // 2. The bytes are durable.
        file.sync().inspect_err(|_| discard(file))?;
    } else {
        // 1. The bytes are durable before they replace others: those may be what a row names.
        file.sync()?;
        // 2. The name is visible. The file that had it before held the same bytes, or damaged ones.
        ((), name) = folder.names().write(|| disk.rename(unfinished, &path))?;
    }
    // 3. The name is durable; only now may metadata refer to it.
    name.sync_folder(disk).map_err(folder_not_synced)?;
    Ok(DurableBlob::new(digest, size))
}

/// Frees the space of a file that has a name and could not be made durable. Its name stays: another push may
/// have replaced the file meanwhile. Nothing refers to it: the next push of this content replaces it, or a
/// collection removes it.
fn discard(file: &dyn DiskFile) {
    if let Err(error) = file.truncate(0) {
        log::warn!("{error}");
    }
}

/// Publishes bytes from memory.
pub(super) fn put(
    disk: &dyn Disk,
    folders: &ContentFolders,
    name: &str,
    digest: ContentDigest,
    bytes: &[u8],
) -> Result<DurableBlob, BlobError> {
    let folder = folders.ensure(disk, &digest)?;
    let path = upload_path(name);
    let file = disk.create(&path)?;
    let written = file.write_at(bytes, 0).map_err(BlobError::from);
    let published =
        written.and_then(|()| publish(disk, file.as_ref(), &path, &folder, digest, bytes.len() as u64));
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
