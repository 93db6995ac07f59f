//! Listing content, and files that do not belong there.

use std::ops::ControlFlow;
use std::path::Path;

use crate::blobs::contract::StoredFile;
use crate::blobs::local::layout::{blob_path, content_folders};
use crate::disk::{Disk, DiskError, Entry};
use crate::spec::{Algorithm, ContentDigest};

/// Visits every file in the folders of content and the content that is unfiled, in the order of the digests,
/// each once. Of content with both, the file may be torn.
pub(super) fn list(
    disk: &dyn Disk,
    mut unfiled: Vec<(ContentDigest, u64)>,
    visit: &mut dyn FnMut(StoredFile) -> ControlFlow<()>,
) -> Result<(), DiskError> {
    unfiled.sort_by_key(|(digest, _)| place(digest));
    let mut unfiled = unfiled.into_iter().peekable();
    let mut broken = false;
    list_files(disk, &mut |file| {
        if let StoredFile::Content(digest, _) = &file {
            let at = place(digest);
            while let Some((before, length)) = unfiled.next_if(|(other, _)| place(other) < at) {
                if visit(StoredFile::Content(before, length)).is_break() {
                    broken = true;
                    return ControlFlow::Break(());
                }
            }
            if let Some((same, length)) = unfiled.next_if(|(other, _)| other == digest) {
                return visited(visit(StoredFile::Content(same, length)), &mut broken);
            }
        }
        visited(visit(file), &mut broken)
    })?;
    for (digest, length) in unfiled {
        if broken || visit(StoredFile::Content(digest, length)).is_break() {
            break;
        }
    }
    Ok(())
}

fn visited(flow: ControlFlow<()>, broken: &mut bool) -> ControlFlow<()> {
    *broken |= flow.is_break();
    flow
}

/// Returns a digest's place in the order in which files are visited.
fn place(digest: &ContentDigest) -> (usize, String) {
    let at = Algorithm::ALL.iter().position(|algorithm| *algorithm == digest.algorithm());
    (at.unwrap_or(usize::MAX), digest.encoded())
}

fn list_files(
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
