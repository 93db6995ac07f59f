//! Where content and unfinished uploads lie on the disk.

use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskError};
use crate::spec::{Algorithm, ContentDigest};

/// The folder of content.
pub const BLOBS_FOLDER: &str = "blobs";

/// The folder of unfinished uploads. Files are renamed from here, so it must share a filesystem with the
/// content.
pub const UPLOADS_FOLDER: &str = "uploads";

/// The folder of damaged content.
pub(super) const QUARANTINE_FOLDER: &str = "quarantine";

/// How many of a digest's first characters name its fanout folder.
const FANOUT_LENGTH_CHARS: usize = 2;

/// Returns the folder of each algorithm's content, which holds the fanout folders.
pub(super) fn content_folders() -> impl Iterator<Item = (Algorithm, PathBuf)> {
    let folder = |algorithm: Algorithm| Path::new(BLOBS_FOLDER).join(algorithm.to_string());
    Algorithm::ALL.into_iter().map(move |algorithm| (algorithm, folder(algorithm)))
}

/// Returns the folder that holds the content of a digest.
pub(super) fn fanout_folder(digest: &ContentDigest) -> PathBuf {
    let encoded = digest.encoded();
    let fanout = encoded.get(..FANOUT_LENGTH_CHARS).unwrap_or(&encoded);
    Path::new(BLOBS_FOLDER).join(digest.algorithm().to_string()).join(fanout)
}

/// Returns the fanout folders whose names differ from that of a digest in the last character at most.
pub(super) fn fanout_siblings(digest: &ContentDigest) -> impl Iterator<Item = PathBuf> {
    let folder = fanout_folder(digest);
    let mut common = folder.into_os_string().into_string().unwrap_or_default();
    common.pop();
    "0123456789abcdef".chars().map(move |last| PathBuf::from(format!("{common}{last}")))
}

/// Returns the path of the content of a digest.
pub(crate) fn blob_path(digest: &ContentDigest) -> PathBuf {
    fanout_folder(digest).join(digest.encoded())
}

/// Returns the path of an unfinished upload.
pub(super) fn upload_path(name: &str) -> PathBuf {
    Path::new(UPLOADS_FOLDER).join(name)
}

/// Removes the folders that every store has, as far as they are empty.
pub fn remove_empty_folders(disk: &dyn Disk) -> Result<(), DiskError> {
    let roots = [BLOBS_FOLDER, UPLOADS_FOLDER, QUARANTINE_FOLDER].map(PathBuf::from);
    for folder in content_folders().map(|(_, folder)| folder).chain(roots) {
        disk.remove_folder_if_empty(&folder)?;
    }
    Ok(())
}

/// Creates the folders that every store has, durably.
///
/// The names in the root become durable when the metadata is opened, which syncs the root before anything is
/// acknowledged.
pub(super) fn create_folders(disk: &dyn Disk) -> Result<(), DiskError> {
    let blobs = Path::new(BLOBS_FOLDER);
    for folder in [blobs, Path::new(UPLOADS_FOLDER), Path::new(QUARANTINE_FOLDER)] {
        disk.create_folder(folder)?;
    }
    for (_, folder) in content_folders() {
        disk.create_folder(&folder)?;
    }
    disk.sync_folder(blobs)
}
