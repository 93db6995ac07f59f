//! The folders that content is written into. Fanout folders are made when the first content needs them,
//! sixteen at a time: an empty store is small, and a full one has paid sixteen syncs for its folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::base::lock;
use crate::blobs::error::BlobError;
use crate::blobs::local::layout::{UPLOADS_FOLDER, fanout_folder, fanout_siblings};
use crate::blobs::local::synced_folder::SyncedFolder;
use crate::disk::{Disk, DiskError};
use crate::spec::ContentDigest;

/// The folders that names are written into.
#[derive(Debug)]
pub(super) struct ContentFolders {
    /// The fanout folders whose own names are known to be durable.
    fanout: Mutex<BTreeMap<PathBuf, Arc<SyncedFolder>>>,
    uploads: Arc<SyncedFolder>,
}

/// A fanout folder whose name is durable: content in it stays reachable.
pub(super) struct DurableFolder(Arc<SyncedFolder>);

impl DurableFolder {
    pub(super) fn names(&self) -> &Arc<SyncedFolder> {
        &self.0
    }
}

impl ContentFolders {
    pub(super) fn new() -> Self {
        Self { fanout: Mutex::default(), uploads: SyncedFolder::new(UPLOADS_FOLDER.into()) }
    }

    /// Returns the folder of unfinished uploads.
    pub(super) fn uploads(&self) -> &Arc<SyncedFolder> {
        &self.uploads
    }

    /// Returns the folder of a digest. If it is missing, makes it first, and its siblings with it.
    pub(super) fn ensure(&self, disk: &dyn Disk, digest: &ContentDigest) -> Result<DurableFolder, BlobError> {
        let path = fanout_folder(digest);
        // INVARIANT: held until the name is durable. Another push finds the folder earlier, and must not
        // rely on it.
        let mut fanout = lock(&self.fanout);
        if let Some(folder) = fanout.get(&path) {
            return Ok(DurableFolder(Arc::clone(folder)));
        }
        // 1. A folder that holds something has a durable name: else nothing would have been published in it.
        // An empty one may come from a push or a run whose sync failed or never came. It is made again, since
        // a sync writes only a name that is newer than the last failure.
        if make_again(disk, &path)? {
            // 2. The folder exists, and those that the next pushes will need: one sync serves them all.
            let mut made = vec![path.clone()];
            let missing = |sibling: &PathBuf| *sibling != path && !fanout.contains_key(sibling);
            for sibling in fanout_siblings(digest).filter(missing) {
                // This push needs none of them: a lack of inodes, or a foreign file there, is not its matter.
                match make_again(disk, &sibling) {
                    Ok(true) => made.push(sibling),
                    Ok(false) => {}
                    Err(error) => {
                        log::debug!("{error}");
                        break;
                    }
                }
            }
            // 3. Their names are durable; only now may content be published in them.
            let synced = disk.sync_folder(path.parent().unwrap_or(Path::new("")));
            synced.map_err(|error| folder_not_synced(error.into()))?;
            fanout.extend(made.into_iter().map(|path| (path.clone(), SyncedFolder::new(path))));
        }
        let folder = fanout.entry(path.clone()).or_insert_with(|| SyncedFolder::new(path));
        Ok(DurableFolder(Arc::clone(folder)))
    }
}

/// Makes a folder that is missing or empty. Returns false, and changes nothing, if it holds something.
fn make_again(disk: &dyn Disk, folder: &Path) -> Result<bool, DiskError> {
    if !disk.remove_folder_if_empty(folder)? {
        return Ok(false);
    }
    disk.create_folder(folder)?;
    Ok(true)
}

/// A folder that could not be opened for want of descriptors was not synced, and no failure of the medium was
/// reported and lost: its next sync will report it. Nothing refers to the name until then.
pub(super) fn folder_not_synced(error: BlobError) -> BlobError {
    match error {
        BlobError::Disk(error) if !error.is_without_descriptors() => BlobError::Folder(error),
        other => other,
    }
}
