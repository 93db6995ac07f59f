//! The fanout folders: made when the first content needs them, so that an empty store is small.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::base::lock;
use crate::blobs::error::BlobError;
use crate::blobs::local::layout::{content_folders, fanout_folder};
use crate::disk::{Disk, DiskError};
use crate::spec::ContentDigest;

/// The fanout folders whose own names are known to be durable.
#[derive(Debug, Default)]
pub(super) struct FanoutFolders {
    durable: Mutex<BTreeSet<PathBuf>>,
}

/// A fanout folder whose name is durable: content in it stays reachable.
pub(super) struct DurableFolder(PathBuf);

impl DurableFolder {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl FanoutFolders {
    /// Takes the folders that exist. The folders that hold them were synced just before.
    pub(super) fn found(disk: &dyn Disk) -> Result<Self, DiskError> {
        let mut durable = BTreeSet::new();
        for (_, folder) in content_folders() {
            let entries = disk.list(&folder)?.into_iter().filter(|entry| entry.is_folder);
            durable.extend(entries.map(|entry| folder.join(entry.name)));
        }
        Ok(Self { durable: Mutex::new(durable) })
    }

    /// Returns the folder of a digest, and makes it first if it is missing.
    pub(super) fn ensure(&self, disk: &dyn Disk, digest: &ContentDigest) -> Result<DurableFolder, BlobError> {
        let folder = fanout_folder(digest);
        // INVARIANT: held until the name is durable. Another push finds the folder earlier, and must not
        // rely on it.
        let mut durable = lock(&self.durable);
        if !durable.contains(&folder) {
            // 1. The folder exists. A push that failed may have left it.
            disk.create_folder(&folder)?;
            // 2. Its name is durable; only now may content be published in it.
            disk.sync_folder(folder.parent().unwrap_or(Path::new(""))).map_err(folder_not_synced)?;
            durable.insert(folder.clone());
        }
        Ok(DurableFolder(folder))
    }
}

/// A folder that could not be opened for want of descriptors was not synced, and no failure of the medium was
/// reported and lost: its next sync will report it. Nothing refers to the name until then.
pub(super) fn folder_not_synced(error: DiskError) -> BlobError {
    if error.is_without_descriptors() { error.into() } else { BlobError::Folder(error) }
}
