//! Pulling, mounting and deleting blobs.

use std::sync::Arc;

use crate::meta::{Command, IndexError, View};
use crate::registry::Registry;
use crate::registry::content::reader::BlobReader;
use crate::registry::error::RegistryError;
use crate::spec::{ContentDigest, Digest, RepoName};

/// How many repositories are asked for a blob that is to be mounted from wherever it is. The client of one
/// that none of them has uploads it, which costs one upload, and no walk through the whole index.
pub(in crate::registry) const SOURCES_ASKED_MAX: usize = 256;

impl Registry {
    /// Returns the length in bytes of a blob that the repository has.
    pub async fn blob_size(&self, repo: &RepoName, digest: &Digest) -> Result<u64, RegistryError> {
        self.find_blob(repo, digest).map(|(_, size)| size)
    }

    /// Opens a blob that the repository has (the specification's "Pulling blobs").
    pub async fn open_blob(&self, repo: &RepoName, digest: &Digest) -> Result<BlobReader, RegistryError> {
        let (content, size) = self.find_blob(repo, digest)?;
        self.inner.permits.check_sends()?;
        self.inner.permits.check_reads()?;
        let blobs = self.inner.blobs.clone();
        let opened = self.inner.permits.read(move || blobs.read(&content)).await?;
        match opened {
            Some(file) => Ok(BlobReader::new(file, content, size, Arc::clone(&self.inner.permits))),
            None => {
                // It may just have been deleted; else it should be there.
                self.find_blob(repo, digest)?;
                Err(self.inner.damaged(&content, "is missing from the store"))
            }
        }
    }

    fn find_blob(&self, repo: &RepoName, digest: &Digest) -> Result<(ContentDigest, u64), RegistryError> {
        let unknown = || self.unknown_blob(repo, digest);
        let content = digest.content().ok_or_else(unknown)?;
        self.inner.meta.view().link(repo, &content)?.ok_or_else(unknown)?;
        #[cfg(test)]
        self.inner.options.between_looks.call();
        // INVARIANT: whoever is told that it is there has a lease on it, and what the index said before that
        // does not count.
        if !self.inner.leases.take(repo, &content) {
            return Err(unknown());
        }
        let row = self.inner.meta.view().whole_link(repo, &content)?.ok_or_else(unknown)?;
        Ok((content, row.size))
    }

    fn unknown_blob(&self, repo: &RepoName, digest: &Digest) -> RegistryError {
        self.unknown(repo, RegistryError::BlobUnknown(digest.clone()))
    }

    /// Makes a blob of one repository present in another. When `from` names none, those next to the target
    /// are asked. Returns whether it could; if not, the client has to push it (the specification's "Mounting
    /// a blob").
    pub async fn mount(
        &self,
        repo: &RepoName,
        digest: &Digest,
        from: Option<&RepoName>,
    ) -> Result<bool, RegistryError> {
        let Some(content) = digest.content() else { return Ok(false) };
        let Some(from) = self.mount_source(repo, content, from).await? else { return Ok(false) };
        self.check_room(0)?;
        match self.command(Command::Mount { repo: repo.clone(), from, digest: content }).await {
            Ok(()) => Ok(true),
            Err(RegistryError::BlobUnknown(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Finds a repository that has the blob: the target itself, the one that was named, or, when none was,
    /// one near by.
    async fn mount_source(
        &self,
        repo: &RepoName,
        digest: ContentDigest,
        from: Option<&RepoName>,
    ) -> Result<Option<RepoName>, RegistryError> {
        let view = self.inner.meta.view();
        for candidate in [Some(repo), from].into_iter().flatten() {
            if view.whole_link(candidate, &digest)?.is_some() {
                return Ok(Some(candidate.clone()));
            }
        }
        if from.is_some() || view.blob(&digest)?.is_none() {
            return Ok(None);
        }
        // Many may have to be asked: not on a thread that others wait for, nor where others wait already.
        if self.inner.permits.check_reads().is_err() {
            return Ok(None);
        }
        let (inner, repo) = (Arc::clone(&self.inner), repo.clone());
        Ok(self.inner.permits.read(move || near_by(inner.meta.view(), &repo, &digest)).await?)
    }

    /// Deletes a blob from a repository, also while a manifest of it references the blob.
    pub async fn delete_blob(&self, repo: &RepoName, digest: &Digest) -> Result<(), RegistryError> {
        let Some(content) = digest.content() else { return Err(self.unknown_blob(repo, digest)) };
        self.command(Command::Unlink { repo: repo.clone(), digest: content }).await
    }
}

/// Finds a repository that has the blob among those that are next in the order of their names, from the first
/// that shares all but the last part of the target's name on: most blobs are shared within a project. Where
/// that comes to the end of all repositories, it goes on from their beginning.
fn near_by(view: View<'_>, repo: &RepoName, digest: &ContentDigest) -> Result<Option<RepoName>, IndexError> {
    let project = repo.as_str().rfind('/').map(|slash| repo.as_str().split_at(slash + 1).0);
    let mut left = SOURCES_ASKED_MAX;
    for begin in [project, None] {
        let candidates = view.repositories(begin, left, |_| Ok(true))?;
        left = left.saturating_sub(candidates.len());
        for candidate in candidates {
            if view.link(&candidate, digest)?.is_some() {
                return Ok(Some(candidate));
            }
        }
    }
    Ok(None)
}
