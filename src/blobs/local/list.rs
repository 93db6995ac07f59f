//! Listing content, and files that do not belong there.

use std::ops::ControlFlow;
use std::path::Path;

use crate::blobs::contract::StoredFile;
use crate::blobs::local::layout::{blob_path, content_folders};
use crate::disk::{Disk, DiskError, Entry};
use crate::spec::{Algorithm, ContentDigest};

/// Visits every file in the folders of content, in the order of the digests.
pub(super) fn list(
    disk: &dyn Disk,
    visit: &mut dyn FnMut(StoredFile) -> ControlFlow<()>,
) -> Result<(), DiskError> {
    for (algorithm, folder) in content_folders() {
        for fanout in list_if_there(disk, &folder)? {
            let inner = folder.join(&fanout.name);
            let visited = if fanout.is_folder {
                list_fanout(disk, algorithm, &inner, visit)?
            } else {
                visit(StoredFile::Foreign(inner.display().to_string()))
            };
            if visited.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn list_fanout(
    disk: &dyn Disk,
    algorithm: Algorithm,
    folder: &Path,
    visit: &mut dyn FnMut(StoredFile) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, DiskError> {
    for entry in list_if_there(disk, folder)? {
        let digest = format!("{algorithm}:{}", entry.name).parse::<ContentDigest>().ok();
        let path = folder.join(&entry.name);
        // Content in another folder than its own is never found by its digest.
        let digest = digest.filter(|digest| !entry.is_folder && blob_path(digest) == path);
        let visited = visit(match digest {
            Some(digest) => StoredFile::Content(digest, entry.length),
            None => StoredFile::Foreign(path.display().to_string()),
        });
        if visited.is_break() {
            return Ok(visited);
        }
    }
    Ok(ControlFlow::Continue(()))
}

pub(super) fn list_if_there(disk: &dyn Disk, folder: &Path) -> Result<Vec<Entry>, DiskError> {
    match disk.list(folder) {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        listed => listed,
    }
}
