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

/// What a client gets of a manifest.
#[derive(Debug, Clone)]
pub enum ManifestBody {
    /// The exact bytes.
    Bytes(Arc<[u8]>),
    /// Its file, whose bytes were verified. It takes no memory, however slowly it is sent.
    File(BlobReader),
}

impl Registry {
    /// Returns the body of a manifest that was just asked for by `reference`, and what the index knows of it:
    /// both are of another one where it has gone meanwhile.
    pub async fn manifest_body(
        &self,
        repo: &RepoName,
        reference: &Reference,
        info: ManifestInfo,
    ) -> Result<(ManifestInfo, ManifestBody), RegistryError> {
        if let Some(body) = self.body_of(&info).await? {
            return Ok((info, body));
        }
        // It may just have gone: then it is unknown now, or something else, and else it should be there.
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
    /// Opens a manifest's file, and serves none but the bytes that its digest names. They are read for that
    /// the first time, and again when the file has changed; else it goes out unread.
    fn open_manifest(&self, digest: ContentDigest, size: u64) -> Result<Option<ManifestBody>, RegistryError> {
        let (began, mut before) = (SystemTime::now(), None);
        let is_known = |file: &dyn ReadFile| {
            before = file.state();
            self.verified.knows(&digest, before)
        };
        match self.blobs.open_verified(&digest, is_known)? {
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
