//! A folder in which several pushes write names and make them durable.

use std::panic::Location;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::base::lock;
use crate::blobs::error::BlobError;
use crate::disk::{Disk, DiskError};

/// A folder, and how its syncs ended.
///
/// The system reports a failed sync once. The next sync of the folder succeeds, whichever of the names that
/// were there before the medium holds.
///
/// INVARIANT: a sync begins only when the one before it has ended, and is valid only for names that were
/// written since the last one that failed.
#[derive(Debug)]
pub(super) struct SyncedFolder {
    path: PathBuf,
    /// The number of syncs that have begun.
    begun: AtomicU64,
    /// The number of syncs that have failed.
    failed: AtomicU64,
    /// The number of the last sync that succeeded. Locked during each sync.
    succeeded: Mutex<u64>,
}

/// A name in a folder that need not be durable yet.
#[derive(Debug)]
pub(super) struct WrittenName {
    folder: Arc<SyncedFolder>,
    /// The number of syncs that had failed before the name was written.
    failed: u64,
    /// The number of syncs that had begun when the name was there.
    begun: u64,
}

impl SyncedFolder {
    pub(super) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, begun: AtomicU64::new(0), failed: AtomicU64::new(0), succeeded: Mutex::new(0) })
    }

    /// Writes a name into the folder, and returns it with the result.
    pub(super) fn write<T>(
        self: &Arc<Self>,
        write: impl FnOnce() -> Result<T, DiskError>,
    ) -> Result<(T, WrittenName), DiskError> {
        let failed = self.failed.load(Ordering::SeqCst);
        let written = write()?;
        let begun = self.begun.load(Ordering::SeqCst);
        Ok((written, WrittenName { folder: Arc::clone(self), failed, begun }))
    }
}

impl WrittenName {
    /// Makes the name durable. Fails if that can no longer be known, since an earlier sync failed: the name
    /// has to be written again.
    #[track_caller]
    pub(super) fn sync_folder(&self, disk: &dyn Disk) -> Result<(), BlobError> {
        let site = Location::caller();
        let folder = self.folder.as_ref();
        let mut succeeded = lock(&folder.succeeded);
        if folder.failed.load(Ordering::SeqCst) != self.failed {
            return Err(BlobError::NameMayBeLost { folder: folder.path.clone() });
        }
        // One that began after the name was there, for another push, has made it durable.
        if *succeeded > self.begun {
            return Ok(());
        }
        let number = folder.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let synced = disk.sync_folder_at(&folder.path, site);
        match &synced {
            Ok(()) => *succeeded = number,
            // No sync was asked for: its error is still to come.
            Err(error) if error.is_without_descriptors() => {}
            Err(_) => drop(folder.failed.fetch_add(1, Ordering::SeqCst)),
        }
        Ok(synced?)
    }
}
