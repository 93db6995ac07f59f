//! Where content and unfinished uploads lie on the disk.

use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskError};
use crate::spec::{Algorithm, ContentDigest};

/// The folder of content.
pub const BLOBS_FOLDER: &str = "blobs";

/// The folder of unfinished uploads. It must share a filesystem with the content: files are renamed from
/// here.
pub const UPLOADS_FOLDER: &str = "uploads";

/// The folder of damaged content, which is served no more.
pub const QUARANTINE_FOLDER: &str = "quarantine";

/// How many of a digest's first characters name its fanout folder.
const FANOUT_LENGTH_CHARS: usize = 2;

/// How many fanout folders an algorithm has.
const FANOUT_FOLDERS: usize = 256;

/// Returns the folder that holds the content of a digest.
pub(in crate::blobs) fn fanout_folder(digest: &ContentDigest) -> PathBuf {
    let encoded = digest.encoded();
    let fanout = encoded.get(..FANOUT_LENGTH_CHARS).unwrap_or(&encoded);
    Path::new(BLOBS_FOLDER).join(digest.algorithm().to_string()).join(fanout)
}

/// Returns the path of the content of a digest.
pub(in crate::blobs) fn blob_path(digest: &ContentDigest) -> PathBuf {
    fanout_folder(digest).join(digest.encoded())
}

/// Returns the path of an unfinished upload.
pub(in crate::blobs) fn upload_path(name: &str) -> PathBuf {
    Path::new(UPLOADS_FOLDER).join(name)
}

/// Makes all folders ahead and durable, so that publishing content never has to. Folders that are there
/// already may have been made by a start that did not come to syncing them.
///
/// The two names in the root are left to the sync of the root with which the metadata is opened: nothing is
/// acknowledged before.
pub(in crate::blobs) fn create_folders(disk: &dyn Disk) -> Result<(), DiskError> {
    disk.create_folder(Path::new(UPLOADS_FOLDER))?;
    disk.create_folder(Path::new(QUARANTINE_FOLDER))?;
    let blobs = Path::new(BLOBS_FOLDER);
    disk.create_folder(blobs)?;
    for algorithm in Algorithm::ALL {
        let folder = blobs.join(algorithm.to_string());
        disk.create_folder(&folder)?;
        if disk.list(&folder)?.len() < FANOUT_FOLDERS {
            for byte in 0..=u8::MAX {
                disk.create_folder(&folder.join(format!("{byte:02x}")))?;
            }
        }
        disk.sync_folder(&folder)?;
    }
    disk.sync_folder(blobs)
}
