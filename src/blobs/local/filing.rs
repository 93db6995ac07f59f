//! Writing the files of unfiled content, many of them for few syncs.

#[cfg(test)]
mod tests;

use std::path::Path;

use crate::base::lock;
use crate::blobs::error::BlobError;
use crate::blobs::local::fanout::{ContentFolders, folder_not_synced};
use crate::blobs::local::layout::{BLOBS_FOLDER, UPLOADS_FOLDER, blob_path, upload_path};
use crate::blobs::local::list::list_if_there;
use crate::blobs::local::publish::remove_upload;
use crate::blobs::local::synced_folder::WrittenName;
use crate::blobs::unfiled::{HeldContent, UnfiledContent};
use crate::disk::{Disk, DiskError};
use crate::spec::ContentDigest;

/// How the names of unfinished files end.
const UNFINISHED: &str = ".unfiled";

/// Writes the files of all content whose lines are durable, durably. After an error all of it is still
/// unfiled, and the next call writes other files: a sync of the same ones would prove nothing.
pub(super) fn write_files(
    disk: &dyn Disk,
    folders: &ContentFolders,
    unfiled: &UnfiledContent,
) -> Result<(), BlobError> {
    let _one_at_a_time = lock(&unfiled.writing);
    let batch = unfiled.batch();
    if batch.is_empty() {
        return Ok(());
    }
    let as_a_whole = disk.syncs_filesystem(Path::new(BLOBS_FOLDER));
    let mut names = Vec::with_capacity(batch.len());
    for (digest, entry) in &batch {
        names.extend(write_file(disk, folders, unfiled, (digest, entry), !as_a_whole)?);
    }
    if as_a_whole {
        // 1. The bytes and the names are durable.
        disk.sync_filesystem(Path::new(BLOBS_FOLDER))?;
    } else {
        // 3. The names are durable: the first sync of a folder serves all names in it.
        for name in names {
            name.sync_folder(disk).map_err(folder_not_synced)?;
        }
    }
    // INVARIANT: only now may the files be read, and the lines that carry the content be forgotten.
    unfiled.filed(&batch);
    Ok(())
}

/// Tells whether a file in the folder of uploads is one that is being written here, and no upload.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.ends_with(UNFINISHED)
}

/// Removes the files that a crash left unfinished.
pub(super) fn remove_unfinished(disk: &dyn Disk) -> Result<(), DiskError> {
    let entries = list_if_there(disk, Path::new(UPLOADS_FOLDER))?;
    entries
        .iter()
        .filter(|entry| is_unfinished(&entry.name))
        .for_each(|entry| remove_upload(disk, &entry.name));
    Ok(())
}

/// Writes a file and gives it its name. A file that has the name already may be replaced by a torn one until
/// the names are durable: the content is read from memory, or from its line, until then.
fn write_file(
    disk: &dyn Disk,
    folders: &ContentFolders,
    unfiled: &UnfiledContent,
    (digest, entry): (&ContentDigest, &HeldContent),
    by_itself: bool,
) -> Result<Option<WrittenName>, BlobError> {
    let folder = folders.ensure(disk, digest)?;
    let name = format!("{}-{}{UNFINISHED}", digest.algorithm(), digest.encoded());
    let path = upload_path(&name);
    let written = write(disk, &path, &entry.bytes, by_itself);
    let rename = || folder.names().write(|| disk.rename(&path, &blob_path(digest)));
    let written = written.and_then(|()| unfiled.name_file(digest, entry, rename).transpose());
    if !matches!(written, Ok(Some(_))) {
        remove_upload(disk, &name);
    }
    Ok(written?.map(|((), name)| name))
}

fn write(disk: &dyn Disk, path: &Path, bytes: &[u8], by_itself: bool) -> Result<(), DiskError> {
    let file = disk.create(path)?;
    file.write_at(bytes, 0)?;
    if by_itself {
        // 1. The bytes are durable. 2. The name is visible.
        file.sync()?;
    }
    Ok(())
}
