//! Deletions where tags are immutable.

use std::sync::Arc;

use crate::meta::{Command, Guard, MetaError, Refusal};
use crate::registry::Registry;
use crate::registry::error::RegistryError;
use crate::registry::operations::manifest_push::EXAMINED_INLINE_MAX_BYTES;
use crate::registry::protection::immutable::{ChildKeys, ImmutableChildren, PushedIndex};
use crate::spec::{ContentDigest, RepoName, Tag};

/// How many tags are read from the index at once.
const TAGS_PER_STEP_MAX: usize = 256;

/// How many indexes are read in one step, unless one is long.
const INDEXES_PER_STEP_MAX: usize = 64;

/// How often a deletion is checked again because of pushed indexes.
const CHECKS_MAX: usize = 16;

/// The indexes of a repository on their way to being read.
#[derive(Default)]
struct IndexWalk {
    children: ChildKeys,
    pushed: Vec<PushedIndex>,
    waiting: Vec<ContentDigest>,
    /// The last tag that was read.
    last: Option<Tag>,
    tags_read: bool,
}

impl Registry {
    /// Refuses the deletion of a blob where tags are immutable: no row says which manifests need it, and the
    /// collector removes what none needs.
    pub(in crate::registry) fn check_blob_deletion(&self, repo: &RepoName) -> Result<(), RegistryError> {
        if !self.policy(repo).has_immutable() {
            return Ok(());
        }
        let why = format!(
            "blobs of {repo} cannot be deleted, since its policy has immutable tags; \
             the garbage collector removes those that no manifest needs"
        );
        Err(RegistryError::Denied(why))
    }

    /// Carries out the deletion of a manifest, unless an immutable tag leads to it through an index.
    ///
    /// The indexes are read outside of the writer. The writer asks once more: it knows what was pushed
    /// meanwhile.
    pub(in crate::registry) async fn delete_if_mutable(
        &self,
        repo: &RepoName,
        digest: ContentDigest,
        deletion: Command,
    ) -> Result<(), RegistryError> {
        if !self.policy(repo).has_immutable() {
            return self.command(deletion).await;
        }
        let _turn = self.immutable().turn().await;
        for _ in 0..CHECKS_MAX {
            if self.immutable_leads_to(repo, &digest).await? {
                let why = format!("an immutable tag of {repo} leads to {digest}: it cannot be deleted");
                return Err(RegistryError::Denied(why));
            }
            #[cfg(test)]
            self.inner.options.between_looks.call();
            let (leases, name) = (Arc::clone(&self.inner.leases), repo.clone());
            let still: Guard = Box::new(move || leases.immutable().lead_to(&name, &digest) == Some(false));
            match self.command_if(still, deletion.clone()).await {
                Err(MetaError::Refused(Refusal::Overtaken)) => {}
                done => return Ok(done?),
            }
        }
        let why = format!(
            "clients keep pushing indexes to {repo}: the deletion was not completed, some tags may be gone"
        );
        Err(RegistryError::Unavailable(why))
    }

    fn immutable(&self) -> &ImmutableChildren {
        self.inner.leases.immutable()
    }

    /// Tells whether an immutable tag leads to a manifest. Reads the indexes that these tags lead to, unless
    /// what they list is known.
    async fn immutable_leads_to(
        &self,
        repo: &RepoName,
        digest: &ContentDigest,
    ) -> Result<bool, RegistryError> {
        if let Some(leads) = self.immutable().lead_to(repo, digest) {
            return Ok(leads);
        }
        let known = self.immutable().begin(repo, self.policy(repo));
        // INVARIANT: what is not noted from now on is visible when the first index is read.
        self.settled().await?;
        let mut walk = known.map_or_else(IndexWalk::default, |(children, pushed)| IndexWalk {
            children,
            pushed,
            tags_read: true,
            ..IndexWalk::default()
        });
        let mut next = Some(0);
        while let Some(length) = next {
            let room = length.max(EXAMINED_INLINE_MAX_BYTES);
            let memory = self.inner.manifest_memory.reserve(room).await;
            let (registry, name) = (self.clone(), repo.clone());
            let work = move || {
                let _held = memory;
                Ok::<_, RegistryError>((registry.read_some(&name, room, &mut walk)?, walk))
            };
            (next, walk) = self.inner.permits.manifest(work).await?;
        }
        let leads = walk.children.has(digest);
        self.immutable().finish(walk.children);
        Ok(leads)
    }

    /// Reads some indexes of up to `room` bytes. Returns the length of the next one if it is longer, 0 if
    /// there may be more, `None` at the end. Blocks.
    fn read_some(
        &self,
        repo: &RepoName,
        room: u64,
        walk: &mut IndexWalk,
    ) -> Result<Option<u64>, RegistryError> {
        for _ in 0..INDEXES_PER_STEP_MAX {
            let Some(next) = walk.waiting.last().copied() else {
                if let Some(PushedIndex { digest, is_immutable }) = walk.pushed.pop() {
                    if is_immutable {
                        self.add(repo, digest, walk)?;
                    } else if walk.children.has(&digest) {
                        // It was not there when it was added.
                        walk.waiting.push(digest);
                    }
                    continue;
                }
                if walk.tags_read {
                    return Ok(None);
                }
                self.read_tags(repo, walk)?;
                continue;
            };
            // It may be gone, by a command for administrators.
            if let Some(row) = self.view().manifest(repo, &next)? {
                if row.size > room {
                    return Ok(Some(row.size));
                }
                let unreadable = || {
                    RegistryError::Denied(format!(
                        "an immutable tag of {repo} leads to {next}, which cannot be read"
                    ))
                };
                let index = self.read_manifest(next, &row).ok_or_else(unreadable)?;
                walk.waiting.pop();
                index.kept_children().try_for_each(|child| self.add(repo, child, walk))?;
            } else {
                walk.waiting.pop();
            }
        }
        Ok(Some(0))
    }

    fn read_tags(&self, repo: &RepoName, walk: &mut IndexWalk) -> Result<(), RegistryError> {
        let policy = self.policy(repo);
        let page = self.view().tag_rows(repo, walk.last.as_ref(), TAGS_PER_STEP_MAX)?;
        for (_, row) in page.iter().filter(|(tag, _)| policy.is_immutable(tag)) {
            self.add(repo, row.digest, walk)?;
        }
        walk.last = page.into_iter().next_back().map(|(tag, _)| tag);
        walk.tags_read = walk.last.is_none();
        Ok(())
    }

    /// Adds what an immutable tag leads to, and has it read if it is an index.
    fn add(&self, repo: &RepoName, digest: ContentDigest, walk: &mut IndexWalk) -> Result<(), RegistryError> {
        if !walk.children.insert(&digest) {
            return Ok(());
        }
        if walk.children.are_too_many() {
            let why = format!("immutable tags of {repo} lead to too many manifests: none can be deleted");
            return Err(RegistryError::Denied(why));
        }
        if self.view().manifest(repo, &digest)?.is_some_and(|row| !row.is_image()) {
            walk.waiting.push(digest);
        }
        Ok(())
    }
}
