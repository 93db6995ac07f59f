//! An open blob, ready to be sent.

use std::sync::Arc;

use crate::disk::ReadFile;
use crate::registry::disk_permits::DiskPermits;
use crate::spec::ContentDigest;

/// An open blob. It stays readable to its end even if the blob is deleted meanwhile.
#[derive(Debug, Clone)]
pub struct BlobReader {
    file: Arc<dyn ReadFile>,
    digest: ContentDigest,
    size: u64,
    permits: Arc<DiskPermits>,
}

impl BlobReader {
    pub(in crate::registry) fn new(
        file: Arc<dyn ReadFile>,
        digest: ContentDigest,
        size: u64,
        permits: Arc<DiskPermits>,
    ) -> Self {
        Self { file, digest, size, permits }
    }

    /// Returns the digest that the blob was requested by.
    pub fn digest(&self) -> ContentDigest {
        self.digest
    }

    /// Returns the length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Runs `work`, which may block (`sendfile`, a read), with the file, under a permit for sending blobs.
    pub async fn with_file<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn ReadFile) -> T + Send + 'static,
    ) -> T {
        let file = Arc::clone(&self.file);
        self.permits.send(move || work(file.as_ref())).await
    }
}
