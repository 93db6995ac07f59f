//! Mounting blobs of other repositories.

use std::sync::Arc;

use crate::meta::{Command, IndexError, View};
use crate::registry::Registry;
use crate::registry::error::RegistryError;
use crate::spec::{ContentDigest, Digest, RepoName};

/// How many repositories are searched for a blob that is mounted without a source. If none of them has it,
/// the client uploads it: that costs one upload instead of a walk through the whole index.
pub(in crate::registry) const SOURCES_ASKED_MAX: usize = 256;

impl Registry {
    /// Makes a blob of one repository present in another. Without `from`, the repositories next to the target
    /// are searched. Returns whether the blob was mounted; if not, the client has to push it (the
    /// specification's "Mounting a blob").
    pub async fn mount(
        &self,
        repo: &RepoName,
        digest: &Digest,
        from: Option<&RepoName>,
    ) -> Result<bool, RegistryError> {
        let Some(content) = digest.content() else { return Ok(false) };
        let Some(from) = self.mount_source(repo, content, from).await? else { return Ok(false) };
        self.check_writable(0, 0).await?;
        match self.command(Command::Mount { repo: repo.clone(), from, digest: content }).await {
            Ok(()) => Ok(true),
            Err(RegistryError::BlobUnknown(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Finds a repository that has the blob: the target itself, the named source, or, without a source, one
    /// near by.
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
        // The search may read many rows: not on the executor's thread.
        let (inner, repo) = (Arc::clone(&self.inner), repo.clone());
        Ok(self.inner.permits.read(move || near_by(inner.meta.view(), &repo, &digest)).await?)
    }
}

/// Finds a repository that has the blob among the next ones in the order of their names. The search starts at
/// the first that shares all but the last part of the target's name, since most blobs are shared within a
/// project. After the last repository it continues with the first.
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
