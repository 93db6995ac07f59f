//! Manifests on their way out: short ones from memory, long ones from their files.

use std::sync::Arc;
use std::time::SystemTime;

use crate::blobs::Verification;
use crate::disk::ReadFile;
use crate::registry::content::manifest_cache::CACHED_SIZE_MAX_BYTES;
use crate::registry::content::reader::BlobReader;
use crate::registry::error::RegistryError;
use crate::registry::types::ManifestInfo;
use crate::registry::{Inner, Registry};
use crate::spec::{ContentDigest, Reference, RepoName};

/// The body of a manifest, as a client gets it.
#[derive(Debug, Clone)]
pub enum ManifestBody {
    /// The exact bytes.
    Bytes(Arc<[u8]>),
    /// Its verified file. It takes no memory, however slowly it is sent.
    File(BlobReader),
}

impl Registry {
    /// Returns the body of the manifest that `reference` just resolved to, and what the index has of it. If
    /// that manifest was deleted meanwhile, both are of the one that `reference` resolves to now.
    pub async fn manifest_body(
        &self,
        repo: &RepoName,
        reference: &Reference,
        info: ManifestInfo,
    ) -> Result<(ManifestInfo, ManifestBody), RegistryError> {
        if let Some(body) = self.body_of(&info).await? {
            return Ok((info, body));
        }
        // It may just have been deleted: then the second look finds nothing or another manifest. Otherwise
        // the file should exist.
        let info = self.manifest_info(repo, reference).await?;
        let missing = || self.inner.damaged(&info.digest, "is missing from the store");
        let body = self.body_of(&info).await?.ok_or_else(missing)?;
        Ok((info, body))
    }

    async fn body_of(&self, info: &ManifestInfo) -> Result<Option<ManifestBody>, RegistryError> {
        if info.size <= CACHED_SIZE_MAX_BYTES as u64 {
            return Ok(self.stored_bytes(info.digest).await?.map(ManifestBody::Bytes));
        }
        let (inner, digest, size) = (Arc::clone(&self.inner), info.digest, info.size);
        self.inner.permits.read(move || inner.open_manifest(digest, size)).await
    }
}

impl Inner {
    /// Opens a manifest's file, whose bytes must match its digest. They are read and verified the first time,
    /// and again after the file has changed; otherwise the file is served without that read.
    fn open_manifest(&self, digest: ContentDigest, size: u64) -> Result<Option<ManifestBody>, RegistryError> {
        let (began, mut before) = (SystemTime::now(), None);
        let is_known = |file: &dyn ReadFile| {
            before = file.state();
            self.verified.knows(&digest, before)
        };
        match self.blobs.open_verified(&digest, size, is_known)? {
            Verification::Intact(file) => {
                self.verified.remember(digest, before, began);
                let reader = BlobReader::new(file, digest, size, Arc::clone(&self.permits));
                Ok(Some(ManifestBody::File(reader)))
            }
            Verification::Damaged => Err(self.damaged(&digest, "is damaged in the store")),
            Verification::Missing => Ok(None),
        }
    }
}
