//! Quotas, checked before content is received.

use crate::registry::Inner;
use crate::registry::error::RegistryError;
use crate::spec::{ContentDigest, RepoName};

impl Inner {
    /// Refuses content of so many bytes, or of more, that would put a repository's policy over its quota.
    /// What the repository has already costs nothing, and content whose digest is not known yet may be that,
    /// unless it is more than all that is there; what it is in the end is for the writer to count.
    pub(super) fn check_quota(
        &self,
        repo: &RepoName,
        bytes: u64,
        content: Option<&ContentDigest>,
    ) -> Result<(), RegistryError> {
        let Some((used, most)) = self.meta.quota(repo) else { return Ok(()) };
        if used.saturating_add(bytes) <= most {
            return Ok(());
        }
        let may_be_there = match content {
            Some(digest) => {
                let view = self.meta.view();
                view.link(repo, digest)?.is_some() || view.manifest(repo, digest)?.is_some()
            }
            None => bytes <= used,
        };
        if may_be_there {
            return Ok(());
        }
        let why = format!("the quota of repository {repo} is {most} bytes, and {used} of them are used");
        Err(RegistryError::Denied(why))
    }
}
