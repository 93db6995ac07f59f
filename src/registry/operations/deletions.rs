//! Deletions where tags are immutable.

use std::sync::Arc;

use crate::meta::{Command, Guard, MetaError, Refusal};
use crate::registry::Registry;
use crate::registry::error::RegistryError;
use crate::registry::operations::manifest_push::EXAMINED_INLINE_MAX_BYTES;
use crate::registry::protection::immutable::{DeletionTurn, FollowNext, ImmutableContent, ReachFailure};
use crate::spec::{ContentDigest, RepoName, Tag};

/// How many tags are read from the index at once.
const TAGS_PER_STEP_MAX: usize = 256;

/// How many short manifests are read in one step.
const MANIFESTS_PER_STEP_MAX: usize = 64;

/// How often a deletion is checked again because of pushes that may lead to what it deletes. Pushes that
/// cannot, and those to other repositories, do it no harm.
const CHECKS_MAX: usize = 16;

/// How a step of following manifests ended.
enum Step {
    /// There may be more.
    Done,
    /// The next manifest is this long, in bytes.
    Long(u64),
    /// Everything was followed.
    End,
}

impl Registry {
    /// Carries out the deletion of something from a repository, unless an immutable tag leads to it.
    ///
    /// What the tags lead to is read from the manifests, outside of the writer. The writer asks once more
    /// whether the deletion may be carried out: it knows what was pushed meanwhile.
    pub(in crate::registry) async fn delete_mutable(
        &self,
        repo: &RepoName,
        digest: ContentDigest,
        deletion: Command,
    ) -> Result<(), RegistryError> {
        if self.policy(repo).immutable.is_empty() {
            return self.command(deletion).await;
        }
        let mut turn = self.immutable().turn().await;
        for _ in 0..CHECKS_MAX {
            turn = self.follow_immutable(repo, turn).await?;
            match self.immutable().take_failure() {
                None => {}
                Some(ReachFailure::TooManyPushes) => continue,
                Some(failure) => return Err(RegistryError::Denied(failure.refuses(repo, &digest))),
            }
            if self.immutable().protects(&digest) {
                let why = format!("an immutable tag of {repo} leads to {digest}: it cannot be deleted");
                return Err(RegistryError::Denied(why));
            }
            #[cfg(test)]
            self.inner.options.between_looks.call();
            let (leases, name) = (Arc::clone(&self.inner.leases), repo.clone());
            let still: Guard = Box::new(move || leases.immutable().lets_go(&name, &digest));
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

    fn immutable(&self) -> &ImmutableContent {
        self.inner.leases.immutable()
    }

    /// Follows the manifests of a repository until all is known that its immutable tags lead to. What was
    /// followed stays known, also if the caller gives up.
    async fn follow_immutable(
        &self,
        repo: &RepoName,
        mut turn: DeletionTurn,
    ) -> Result<DeletionTurn, RegistryError> {
        self.immutable().begin(repo, &self.inner.options.policies);
        while self.immutable().open() {
            // INVARIANT: what is not noted from now on is visible when the first manifest is read.
            self.settled().await?;
            let mut step = Step::Done;
            loop {
                step = match step {
                    Step::End => break,
                    Step::Done => {
                        let (registry, repo) = (self.clone(), repo.clone());
                        let work = move || (registry.follow_short(&repo), turn);
                        let (done, back) = self.inner.permits.read(work).await;
                        turn = back;
                        done?
                    }
                    Step::Long(bytes) => {
                        let memory = self.inner.manifest_memory.reserve(bytes).await;
                        let (registry, repo) = (self.clone(), repo.clone());
                        let work = move || {
                            let done = registry.follow_next(&repo);
                            drop(memory);
                            (done, turn)
                        };
                        let (done, back) = self.inner.permits.manifest(work).await;
                        turn = back;
                        done.map(|()| Step::Done)?
                    }
                };
            }
            let pushed = self.immutable().pushed();
            self.settled().await?;
            self.immutable().close(pushed);
        }
        Ok(turn)
    }

    /// Follows some manifests up to the next long one. Blocks.
    fn follow_short(&self, repo: &RepoName) -> Result<Step, RegistryError> {
        for _ in 0..MANIFESTS_PER_STEP_MAX {
            match self.immutable().next() {
                FollowNext::Nothing => return Ok(Step::End),
                FollowNext::TagsAfter(last) => self.read_tags(repo, last.as_ref())?,
                FollowNext::Manifest(digest) => {
                    let length = self.view().manifest(repo, &digest)?.map_or(0, |row| row.size);
                    if length > EXAMINED_INLINE_MAX_BYTES {
                        return Ok(Step::Long(length));
                    }
                    self.follow_next(repo)?;
                }
            }
        }
        Ok(Step::Done)
    }

    fn read_tags(&self, repo: &RepoName, last: Option<&Tag>) -> Result<(), RegistryError> {
        let (immutable, policy) = (self.immutable(), self.policy(repo));
        let page = self.view().tag_rows(repo, last, TAGS_PER_STEP_MAX)?;
        for (_, row) in page.iter().filter(|(tag, _)| policy.is_immutable(tag)) {
            immutable.protect(std::iter::once(row.digest));
            self.follow(repo, row.digest)?;
        }
        immutable.tags_were_read(page.into_iter().next_back().map(|(tag, _)| tag));
        Ok(())
    }

    /// Follows the next manifest, however long it is. Blocks.
    fn follow_next(&self, repo: &RepoName) -> Result<(), RegistryError> {
        let (immutable, FollowNext::Manifest(digest)) = (self.immutable(), self.immutable().next()) else {
            return Ok(());
        };
        let row = self.view().manifest(repo, &digest)?;
        if let Some(row) = &row {
            let Some(manifest) = self.read_manifest(digest, row) else {
                immutable.fail(ReachFailure::Unreadable(digest));
                return Ok(());
            };
            // INVARIANT: protected before it is looked for: what is not there yet is noted when it comes.
            immutable.protect(manifest.kept_blobs().chain(manifest.kept_children()));
            for child in manifest.kept_children() {
                self.follow(repo, child)?;
            }
        }
        immutable.followed(row.is_some());
        Ok(())
    }

    /// Has something followed, if it is a manifest.
    fn follow(&self, repo: &RepoName, digest: ContentDigest) -> Result<(), RegistryError> {
        if let Some(row) = self.view().manifest(repo, &digest)? {
            self.immutable().follow(digest, row.is_image());
        }
        Ok(())
    }
}

impl ReachFailure {
    fn refuses(self, repo: &RepoName, digest: &ContentDigest) -> String {
        match self {
            Self::Unreadable(unreadable) => format!(
                "an immutable tag of {repo} leads to {unreadable}, which cannot be read and may need {digest}"
            ),
            Self::TooManyIndexes | Self::TooManyPushes => {
                format!("the immutable tags of {repo} lead to too many indexes: one may need {digest}")
            }
        }
    }
}
