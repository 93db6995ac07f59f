//! Pulling, mounting and deleting blobs.

use std::sync::Arc;

use crate::meta::Command;
use crate::registry::Registry;
use crate::registry::content::reader::BlobReader;
use crate::registry::error::RegistryError;
use crate::spec::{ContentDigest, Digest, RepoName};

impl Registry {
    /// Returns the length in bytes of a blob that the repository has.
    pub async fn blob_size(&self, repo: &RepoName, digest: &Digest) -> Result<u64, RegistryError> {
        self.find_blob(repo, digest).await.map(|(_, size)| size)
    }

    /// Opens a blob that the repository has (the specification's "Pulling blobs").
    pub async fn open_blob(&self, repo: &RepoName, digest: &Digest) -> Result<BlobReader, RegistryError> {
        let (content, size) = self.find_blob(repo, digest).await?;
        let blobs = Arc::clone(&self.inner.blobs);
        let opened = self.inner.permits.read(move || blobs.open(&content)).await?;
        match opened {
            Some(file) => Ok(BlobReader::new(file, content, size, Arc::clone(&self.inner.permits))),
            None => {
                // It may just have been deleted; otherwise the file should exist.
                self.find_blob(repo, digest).await?;
                Err(self.inner.damaged(&content, "is missing from the store"))
            }
        }
    }

    async fn find_blob(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<(ContentDigest, u64), RegistryError> {
        loop {
            if let Some(found) = self.leased_blob(repo, digest)? {
                return Ok(found);
            }
            // It is being removed, and whether it is gone is certain only once that is durable.
            self.settled().await?;
        }
    }

    /// Finds a blob and leases it. Returns `None` while it is being removed.
    fn leased_blob(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<(ContentDigest, u64)>, RegistryError> {
        let unknown = || self.unknown_blob(repo, digest);
        let content = digest.content().ok_or_else(unknown)?;
        self.read_leased(
            || {
                let row = self.inner.meta.view().whole_link(repo, &content)?.ok_or_else(unknown)?;
                Ok((content, row.size))
            },
            |_| self.inner.leases.take(repo, &content),
        )
    }

    fn unknown_blob(&self, repo: &RepoName, digest: &Digest) -> RegistryError {
        self.unknown(repo, RegistryError::BlobUnknown(digest.clone()))
    }

    /// Deletes a blob from a repository, even while a manifest of the repository references it, unless the
    /// repository's policy has immutable tags.
    pub async fn delete_blob(&self, repo: &RepoName, digest: &Digest) -> Result<(), RegistryError> {
        let unknown = || self.unknown_blob(repo, digest);
        let content = digest.content().ok_or_else(unknown)?;
        self.inner.meta.view().link(repo, &content)?.ok_or_else(unknown)?;
        self.check_blob_deletion(repo)?;
        self.command(Command::Unlink { repo: repo.clone(), digest: content }).await
    }
}
