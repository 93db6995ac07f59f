//! A manifest whose body does not come at once. It is written to an unfinished file, as an upload is, and
//! read back when complete: until then the push holds no memory.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::base::lock;
use crate::blobs::{BlobSource, ContentUpload};
use crate::registry::Inner;
use crate::registry::error::RegistryError;
use crate::registry::types::UploadId;
use crate::spec::{Algorithm, ContentDigest};

/// The file of one manifest, removed on drop unless it has become content. The next start removes what a
/// crash leaves, as it does the file of any upload without a session.
pub(in crate::registry) struct Spool {
    inner: Arc<Inner>,
    name: String,
    /// `None` once it is content.
    upload: Mutex<Option<Box<dyn ContentUpload>>>,
}

impl Spool {
    /// Begins a spool whose content is hashed with `algorithm`.
    pub(in crate::registry) fn begin(inner: &Arc<Inner>, algorithm: Algorithm) -> Arc<Self> {
        let name = UploadId::random().to_string();
        inner.storing.add(&name);
        let upload = Mutex::new(Some(inner.blobs.begin(&name, algorithm)));
        Arc::new(Self { inner: Arc::clone(inner), name, upload })
    }

    /// Appends bytes; at least `coming` more bytes follow them.
    pub(in crate::registry) fn append(&self, bytes: &[u8], coming: u64) -> Result<(), RegistryError> {
        self.inner.check_unpoisoned()?;
        self.with(|upload| {
            let coming = coming.saturating_add(bytes.len() as u64);
            // Held until the bytes are written.
            let claim = self.inner.space.claim(upload.space_for(bytes.len() as u64, coming));
            let _claim = claim.ok_or_else(|| self.inner.no_room_for(upload.offset(), coming))?;
            Ok(upload.append(bytes, coming)?)
        })
    }

    /// Returns how many bytes have come.
    pub(in crate::registry) fn length(&self) -> u64 {
        self.upload().as_ref().map_or(0, |upload| upload.offset())
    }

    /// Reads all bytes back.
    pub(in crate::registry) fn read_back(&self) -> Result<Vec<u8>, RegistryError> {
        self.with(|upload| Ok(upload.read_back()?))
    }

    /// Makes the bytes content, if they have this digest.
    pub(in crate::registry) fn store(&self, digest: ContentDigest) -> Result<BlobSource, RegistryError> {
        let inner = &self.inner;
        let stored =
            self.with(|upload| inner.publish(upload, digest).map_err(|error| inner.not_stored(error)))?;
        *self.upload() = None;
        Ok(stored)
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut dyn ContentUpload) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        work(self.upload().as_deref_mut().ok_or(RegistryError::UploadUnknown)?)
    }

    fn upload(&self) -> MutexGuard<'_, Option<Box<dyn ContentUpload>>> {
        lock(&self.upload)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // INVARIANT: the name is in use until the file is gone.
        if self.upload().take().is_some() {
            self.inner.blobs.remove_upload(&self.name);
        }
        self.inner.storing.remove(&self.name);
    }
}
