//! Quotas and room on the disk, before content is received.

use crate::registry::Inner;
use crate::registry::error::RegistryError;
use crate::spec::{ContentDigest, RepoName};

impl Inner {
    /// Makes the error of content of which `came` bytes came and at least `coming` more do, when the disk has
    /// no room for these: it is full up to the reserve, or only this content is too large for what is left.
    pub(in crate::registry) fn no_room_for(&self, came: u64, coming: u64) -> RegistryError {
        match self.space.room_bytes() {
            Some(free) if free > 0 && free < coming => RegistryError::DoesNotFit {
                asked: came.saturating_add(coming),
                free: came.saturating_add(free),
            },
            _ => RegistryError::NoSpace,
        }
    }

    /// Refuses content of at least `bytes` bytes that would put a repository's policy over its quota.
    ///
    /// Content that the repository has already is free. Content of unknown digest may be such, so it passes
    /// unless it is longer than all bytes in use; the writer does the exact check.
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
