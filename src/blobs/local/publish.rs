//! Content, addressed by its digest: write, fsync, rename, fsync.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::blobs::error::BlobError;
use crate::blobs::local::layout::{UPLOADS_FOLDER, blob_path, create_folders, fanout_folder, upload_path};
use crate::blobs::local::upload::Upload;
use crate::disk::{Disk, DiskError, DiskFile};
use crate::spec::ContentDigest;

/// Content whose bytes and name are durable. Only this may be named by metadata, and only publishing makes
/// it: finding a file under the right name is not enough, since nobody knows whether it was ever synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurableBlob {
    digest: ContentDigest,
    size: u64,
}

impl DurableBlob {
    /// Returns the digest.
    pub fn digest(&self) -> ContentDigest {
        self.digest
    }

    /// Returns the length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// The store of content and unfinished uploads.
#[derive(Clone)]
pub struct BlobStore {
    disk: Arc<dyn Disk>,
}

impl std::fmt::Debug for BlobStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("BlobStore")
    }
}

impl BlobStore {
    /// Opens the store on a disk, and makes its folders when they are not there.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self, DiskError> {
        create_folders(disk.as_ref())?;
        Ok(Self { disk })
    }

    pub(in crate::blobs) fn over(disk: Arc<dyn Disk>) -> Self {
        Self { disk }
    }

    pub(in crate::blobs) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    /// Opens content for reading, or returns `None` where there is none.
    pub fn read(&self, digest: &ContentDigest) -> Result<Option<Arc<dyn DiskFile>>, BlobError> {
        match self.disk.open(&blob_path(digest)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns when content was stored, by the system's clock; `None` where there is none, or the disk does
    /// not know.
    pub fn stored_at(&self, digest: &ContentDigest) -> Result<Option<SystemTime>, BlobError> {
        Ok(self.read(digest)?.and_then(|file| file.written_at()))
    }

    /// Reads small content whole, or returns `None` where there is none.
    pub fn read_whole(&self, digest: &ContentDigest) -> Result<Option<Vec<u8>>, BlobError> {
        let Some(file) = self.read(digest)? else { return Ok(None) };
        Ok(Some(read_all(file.as_ref(), file.length()?)?))
    }

    /// Stores small content that is in memory. `name` is a name for its unfinished file that nobody else
    /// uses.
    pub fn put(&self, name: &str, digest: ContentDigest, bytes: &[u8]) -> Result<DurableBlob, BlobError> {
        let path = upload_path(name);
        let file = self.disk.create(&path)?;
        let stored = file
            .write_at(bytes, 0)
            .map_err(BlobError::from)
            .and_then(|()| self.publish(file.as_ref(), &path, digest, bytes.len() as u64));
        if stored.is_err() {
            self.forget(name);
        }
        stored
    }

    /// Stores what an upload brought, under the digest that its bytes have. The upload is over then, also
    /// when its bytes have another digest or could not be made durable; after any other error it is as it
    /// was.
    pub fn commit(
        &self,
        name: &str,
        upload: &mut Upload,
        digest: ContentDigest,
    ) -> Result<DurableBlob, BlobError> {
        let file = upload.file(self, name)?;
        let actual = upload.digest(file.as_ref(), digest.algorithm())?;
        if actual != digest {
            return Err(BlobError::Mismatch { said: digest.into(), actual: actual.into() });
        }
        // INVARIANT: what is published is what was hashed, to its last byte and no further.
        upload.cut(file.as_ref())?;
        let published = self.publish(file.as_ref(), &upload_path(name), digest, upload.offset());
        if published.is_err() {
            upload.lose();
        }
        published
    }

    /// The only maker of a [`DurableBlob`].
    pub(in crate::blobs) fn publish(
        &self,
        file: &dyn DiskFile,
        unfinished: &Path,
        digest: ContentDigest,
        size: u64,
    ) -> Result<DurableBlob, BlobError> {
        // 1. The bytes are durable.
        file.sync()?;
        // 2. The name is visible. What had it before held the same bytes, or damaged ones.
        self.disk.rename(unfinished, &blob_path(&digest))?;
        // 3. The name is durable; only now may metadata refer to it.
        self.disk.sync_folder(&fanout_folder(&digest)).map_err(folder_not_synced)?;
        Ok(DurableBlob { digest, size })
    }

    /// Makes durable which names the folders of this content have.
    pub fn sync_names(&self, content: &[ContentDigest]) -> Result<(), BlobError> {
        let folders: BTreeSet<_> = content.iter().map(fanout_folder).collect();
        for folder in folders {
            self.disk.sync_folder(&folder).map_err(folder_not_synced)?;
        }
        Ok(())
    }

    /// Removes the file of an unfinished upload, if there is one. Not durable: what a crash brings back is
    /// removed at the next start.
    pub fn forget(&self, name: &str) {
        match self.disk.remove(&upload_path(name)) {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => log::warn!("{error}"),
        }
    }

    /// Returns the length in bytes of an unfinished upload's file, or `None` where there is none.
    pub fn unfinished_length(&self, name: &str) -> Result<Option<u64>, BlobError> {
        match self.disk.open(&upload_path(name)) {
            Ok(file) => Ok(Some(file.length()?)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells whether an unfinished upload's file has another name, too: a power cut can leave both names of a
    /// rename, and then it is content, which never changes.
    pub fn is_content_too(&self, name: &str) -> Result<bool, BlobError> {
        match self.disk.open(&upload_path(name)) {
            Ok(file) => Ok(file.has_other_names()?),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Lists the names of the unfinished uploads' files.
    pub fn unfinished(&self) -> Result<Vec<String>, BlobError> {
        let entries = match self.disk.list(Path::new(UPLOADS_FOLDER)) {
            Err(error) if error.is_not_found() => Vec::new(),
            listed => listed?,
        };
        Ok(entries.into_iter().filter(|entry| !entry.is_folder).map(|entry| entry.name).collect())
    }
}

/// Reads the first `length` bytes of a file, or all where it has fewer.
pub(in crate::blobs) fn read_all(file: &dyn DiskFile, length: u64) -> Result<Vec<u8>, DiskError> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while let Some(space) = bytes.get_mut(filled..).filter(|space| !space.is_empty()) {
        match file.read_at(space, filled as u64)? {
            0 => bytes.truncate(filled),
            read => filled += read,
        }
    }
    Ok(bytes)
}

/// A folder that could not even be opened was not synced, and no failure of the medium was reported in vain:
/// the next sync of it will tell. Nothing refers to the name until then.
fn folder_not_synced(error: DiskError) -> BlobError {
    if error.is_without_descriptors() { error.into() } else { BlobError::Folder(error) }
}
