//! Deletions where tags are immutable.

use std::collections::HashSet;
use std::sync::Arc;

use crate::meta::{Command, Guard, MetaError, Refusal};
use crate::registry::Registry;
use crate::registry::error::RegistryError;
use crate::registry::protection::immutable::ImmutableReach;
use crate::spec::{ContentDigest, RepoName, Tag};

/// How many tags are read from the index at once.
const TAGS_PER_STEP_MAX: usize = 256;

/// How often a deletion is checked again because a manifest was pushed to its repository meanwhile.
const CHECKS_MAX: usize = 3;

impl Registry {
    /// Carries out the deletion of something from a repository, unless an immutable tag leads to it.
    ///
    /// What the tags lead to is read from the manifests, outside of the writer. The writer then refuses the
    /// deletion if a manifest was pushed meanwhile, and it is checked again.
    pub(in crate::registry) async fn delete_mutable(
        &self,
        repo: &RepoName,
        digest: ContentDigest,
        deletion: Command,
    ) -> Result<(), RegistryError> {
        if self.policy(repo).immutable.is_empty() {
            return self.command(deletion).await;
        }
        for _ in 0..CHECKS_MAX {
            let pushes = self.check_mutable(repo, digest).await?;
            let (leases, name) = (Arc::clone(&self.inner.leases), repo.clone());
            let still: Guard = Box::new(move || leases.pushes(&name) == pushes);
            match self.command_if(still, deletion.clone()).await {
                Err(MetaError::Refused(Refusal::Overtaken)) => {}
                done => return Ok(done?),
            }
        }
        let why = format!(
            "clients keep pushing to {repo}: the deletion was not completed, and some tags may be gone"
        );
        Err(RegistryError::Unavailable(why))
    }

    /// Refuses to delete what an immutable tag leads to. Returns the count of pushes for which that holds.
    async fn check_mutable(&self, repo: &RepoName, digest: ContentDigest) -> Result<u64, RegistryError> {
        let leases = &self.inner.leases;
        let mut known = self.inner.immutable.0.lock().await;
        let current = leases.pushes(repo);
        let reach = match known.take().filter(|known| known.repo == *repo && known.pushes == current) {
            Some(reach) => reach,
            None => {
                // INVARIANT: all pushes that are counted are visible when the first tag is read.
                self.settled().await?;
                let (registry, repo) = (self.clone(), repo.clone());
                self.inner.permits.read(move || registry.immutable_reach(repo, current)).await?
            }
        };
        if reach.referenced.contains(&leases.content_key(&digest)) {
            let why = format!("an immutable tag of {repo} leads to {digest}: it cannot be deleted");
            *known = reach.kept();
            return Err(RegistryError::Denied(why));
        }
        if let Some(unreadable) = reach.unreadable {
            let why = format!(
                "an immutable tag of {repo} leads to {unreadable}, which cannot be read and may need {digest}"
            );
            return Err(RegistryError::Denied(why));
        }
        let pushes = reach.pushes;
        *known = reach.kept();
        Ok(pushes)
    }

    /// Finds what the immutable tags of a repository lead to. Blocks.
    fn immutable_reach(&self, repo: RepoName, pushes: u64) -> Result<ImmutableReach, RegistryError> {
        let (leases, policy) = (&self.inner.leases, self.policy(&repo));
        let (mut referenced, mut followed, mut unreadable) = (HashSet::new(), HashSet::new(), None);
        let mut last: Option<Tag> = None;
        loop {
            let page = self.view().tag_rows(&repo, last.as_ref(), TAGS_PER_STEP_MAX)?;
            let Some((tag, _)) = page.last() else { break };
            last = Some(tag.clone());
            let immutable = page.iter().filter(|(tag, _)| policy.is_immutable(tag));
            let mut waiting: Vec<ContentDigest> = immutable.map(|(_, row)| row.digest).collect();
            while let Some(digest) = waiting.pop() {
                let Some(row) = self.view().manifest(&repo, &digest)? else { continue };
                if !followed.insert(leases.content_key(&digest)) {
                    continue;
                }
                let Some(manifest) = self.read_manifest(digest, &row) else {
                    unreadable = Some(digest);
                    continue;
                };
                let children = manifest.kept_children();
                referenced.extend(manifest.kept_blobs().chain(children).map(|one| leases.content_key(&one)));
                waiting.extend(manifest.kept_children());
            }
        }
        Ok(ImmutableReach { repo, pushes, referenced, unreadable })
    }
}
