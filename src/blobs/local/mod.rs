//! Content in a folder of the local disk.
//!
//! | what | where |
//! |---|---|
//! | where content and uploads lie, and what is there | `layout`, `list` |
//! | the folders, and the syncs of the names in them | `fanout`, `synced_folder` |
//! | an upload, and a file of its own for it | `upload`, `own_file` |
//! | content gets its name, or is set aside | `publish`, `quarantine` |
//! | the files of content that the journal carried | `filing` |

mod fanout;
mod filing;
mod layout;
mod list;
mod own_file;
mod publish;
mod quarantine;
mod synced_folder;
#[cfg(test)]
mod tests;
mod upload;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::blobs::contract::{
    ContentStore, ContentUpload, DurableBlob, Quarantined, ResumePoint, StoredFile, UnfinishedUpload,
};
use crate::blobs::error::BlobError;
use crate::blobs::unfiled::UnfiledContent;
use crate::disk::{Disk, DiskError, ReadFile};
use crate::spec::{Algorithm, ContentDigest};
use fanout::ContentFolders;
use upload::LocalUpload;

pub(crate) use layout::blob_path;
pub use layout::{BLOBS_FOLDER, UPLOADS_FOLDER, remove_empty_folders};
pub use upload::DURABLE_STEP_BYTES;

/// Content as files of a disk.
pub struct LocalStore {
    disk: Arc<dyn Disk>,
    folders: Arc<ContentFolders>,
    unfiled: Arc<UnfiledContent>,
}

impl LocalStore {
    /// Opens the store on a disk, and creates its folders where they are missing.
    pub fn open_or_create(disk: Arc<dyn Disk>) -> Result<Arc<dyn ContentStore>, DiskError> {
        layout::create_folders(disk.as_ref())?;
        filing::remove_unfinished(disk.as_ref())?;
        Ok(Self::as_it_is(disk))
    }

    /// Opens the store on a disk as it is, and creates nothing.
    pub fn as_it_is(disk: Arc<dyn Disk>) -> Arc<dyn ContentStore> {
        let folders = Arc::new(ContentFolders::new());
        Arc::new(Self { disk, folders, unfiled: UnfiledContent::new() })
    }
}

impl ContentStore for LocalStore {
    fn begin(&self, name: &str, algorithm: Algorithm) -> Box<dyn ContentUpload> {
        Box::new(LocalUpload::begin(&self.disk, (&self.folders, &self.unfiled), name, algorithm))
    }

    fn resume(&self, name: &str, point: ResumePoint<'_>) -> Result<Box<dyn ContentUpload>, BlobError> {
        Ok(Box::new(LocalUpload::resume(&self.disk, (&self.folders, &self.unfiled), name, point)?))
    }

    fn uploads(&self) -> Result<Vec<UnfinishedUpload>, BlobError> {
        let entries = list::list_if_there(self.disk.as_ref(), Path::new(UPLOADS_FOLDER))?;
        let files =
            entries.into_iter().filter(|entry| !entry.is_folder && !filing::is_unfinished(&entry.name));
        Ok(files.map(|entry| UnfinishedUpload { name: entry.name, length: entry.length }).collect())
    }

    fn remove_upload(&self, name: &str) {
        publish::remove_upload(self.disk.as_ref(), name);
    }

    fn put(&self, name: &str, digest: ContentDigest, bytes: &[u8]) -> Result<DurableBlob, BlobError> {
        publish::put(self.disk.as_ref(), &self.folders, name, digest, bytes)
    }

    fn unfiled(&self) -> &Arc<UnfiledContent> {
        &self.unfiled
    }

    fn write_files(&self) -> Result<(), BlobError> {
        filing::write_files(self.disk.as_ref(), &self.folders, &self.unfiled)
    }

    fn open(&self, digest: &ContentDigest) -> Result<Option<Arc<dyn ReadFile>>, BlobError> {
        if let Some(unfiled) = self.unfiled.open(digest) {
            return Ok(Some(unfiled));
        }
        match self.disk.open(&blob_path(digest)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn remove(&self, digest: &ContentDigest) -> Result<(), BlobError> {
        let was_unfiled = self.unfiled.remove(digest);
        match self.disk.remove(&blob_path(digest)) {
            Err(error) if error.is_not_found() && was_unfiled => Ok(()),
            removed => Ok(removed?),
        }
    }

    fn quarantine(&self, digest: &ContentDigest) -> Result<String, BlobError> {
        Ok(quarantine::quarantine(self.disk.as_ref(), digest)?.display().to_string())
    }

    fn quarantined(&self) -> Result<Vec<Quarantined>, BlobError> {
        Ok(quarantine::quarantined(self.disk.as_ref())?)
    }

    fn remove_quarantined(&self, name: &str) -> Result<(), BlobError> {
        Ok(quarantine::remove_quarantined(self.disk.as_ref(), name)?)
    }

    fn list(&self, visit: &mut dyn FnMut(StoredFile) -> ControlFlow<()>) -> Result<(), BlobError> {
        // Before the files: what is filed meanwhile is among them.
        let unfiled = self.unfiled.list();
        Ok(list::list(self.disk.as_ref(), unfiled, visit)?)
    }
}
