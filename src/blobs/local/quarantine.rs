//! Damaged content, set aside: it is no longer served, and what is left of it is kept.

use std::path::{Path, PathBuf};

use crate::blobs::contract::Quarantined;
use crate::blobs::local::layout::{QUARANTINE_FOLDER, blob_path};
use crate::blobs::local::list::list_if_there;
use crate::disk::{Disk, DiskError};
use crate::spec::ContentDigest;

/// How often the same content may be set aside.
const SAME_CONTENT_MAX: usize = 1000;

/// Sets the file of content aside, durably, and returns its new path.
pub(super) fn quarantine(disk: &dyn Disk, digest: &ContentDigest) -> Result<PathBuf, DiskError> {
    let path = free_path(disk, digest)?;
    // 1. It is no longer found.
    disk.rename(&blob_path(digest), &path)?;
    // 2. What is left of it is kept.
    disk.sync_folder(Path::new(QUARANTINE_FOLDER))?;
    // The folder it came from needs no sync: a rename whose new name is durable has removed the old one.
    // Where a filesystem breaks that, the content is back. If a row names it, the next scrub finds it. If
    // none does, it is not served, and a later collection removes it.
    Ok(path)
}

/// Lists what was set aside, in the order of the digests.
pub(super) fn quarantined(disk: &dyn Disk) -> Result<Vec<Quarantined>, DiskError> {
    let entries = list_if_there(disk, Path::new(QUARANTINE_FOLDER))?;
    let named = entries.into_iter().filter_map(|entry| {
        let digest = digest_of(&entry.name)?;
        Some(Quarantined { name: entry.name, digest, length: entry.length })
    });
    Ok(named.collect())
}

/// Removes something that was set aside.
pub(super) fn remove_quarantined(disk: &dyn Disk, name: &str) -> Result<(), DiskError> {
    disk.remove(&Path::new(QUARANTINE_FOLDER).join(name))
}

fn free_path(disk: &dyn Disk, digest: &ContentDigest) -> Result<PathBuf, DiskError> {
    let name = format!("{}-{}", digest.algorithm(), digest.encoded());
    let folder = Path::new(QUARANTINE_FOLDER);
    let mut path = folder.join(&name);
    for number in 1..SAME_CONTENT_MAX {
        match disk.open(&path) {
            Err(error) if error.is_not_found() => break,
            opened => drop(opened?),
        }
        path = folder.join(format!("{name}.{number}"));
    }
    Ok(path)
}

/// Reads a name such as `sha256-abcd…` or `sha256-abcd….1`.
fn digest_of(name: &str) -> Option<ContentDigest> {
    let (algorithm, rest) = name.split_once('-')?;
    let encoded = rest.split_once('.').map_or(rest, |(encoded, _)| encoded);
    format!("{algorithm}:{encoded}").parse().ok()
}
