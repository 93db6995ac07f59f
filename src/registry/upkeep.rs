//! What the collector works with: reads, sweeps, the removal of files.
//!
//! Everything here blocks its thread, and is for one that may.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::blobs::{BlobError, BlobStore, Occupant};
use crate::meta::{Command, Policy, Sweep, View};
use crate::registry::cleaning::UNNAMED_MAX;
use crate::registry::error::RegistryError;
use crate::registry::leases::{Keeps, Scope};
use crate::registry::{Inner, Names, Registry};
use crate::spec::{ContentDigest, RepoName};

/// What collections came to since the start, for whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// How many passes there were.
    pub passes: u64,
    /// How many bytes of content were removed.
    pub removed_bytes: u64,
    /// How long the last pass took, in milliseconds.
    pub last_duration_ms: u64,
    /// Bytes of manifests that no tag leads to and that stay, and of what only they need, in the last pass.
    pub untagged_bytes: u64,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is gone.
    Removed,
    /// It is needed again, or being stored again at this moment.
    Kept,
}

/// Whether what the index says of content that has no row is known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    Durable,
    OnTheirWay,
}

/// A registry as the collector sees it.
#[derive(Debug, Clone)]
pub(crate) struct Upkeep {
    inner: Arc<Inner>,
}

impl Registry {
    /// Returns what the collector works with.
    pub(crate) fn upkeep(&self) -> Upkeep {
        Upkeep { inner: Arc::clone(&self.inner) }
    }

    /// Returns the policy that counts for a repository.
    pub(crate) fn policy(&self, repo: &RepoName) -> &Policy {
        self.inner.options.policies.of(repo)
    }

    /// Refuses what would put a repository's policy over its quota.
    pub(super) fn check_quota(&self, repo: &RepoName, bytes: u64) -> Result<(), RegistryError> {
        self.inner.check_quota(repo, bytes)
    }
}

impl Upkeep {
    /// Reads the index.
    pub(crate) fn view(&self) -> View<'_> {
        self.inner.meta.view()
    }

    /// Returns what the registry was opened with.
    pub(crate) fn options(&self) -> &crate::registry::RegistryOptions {
        &self.inner.options
    }

    /// Returns the content.
    pub(crate) fn blobs(&self) -> &BlobStore {
        &self.inner.blobs
    }

    /// Returns why nothing can be swept at the moment, if that is so.
    pub(crate) fn refuses_writes(&self) -> Option<String> {
        let meta = &self.inner.meta;
        let no_journal = || "there is no space for the journal".to_owned();
        let why = meta.poisoned().or_else(|| meta.rebuilding());
        why.or_else(|| meta.is_without_journal().then(no_journal))
    }

    /// Begins to mark something: what happens to it from now on is not swept by [`Self::sweep`].
    pub(crate) fn begin_marking(&self, scope: Scope, keeps: Keeps) {
        self.inner.leases.begin_marking(scope, keeps);
    }

    /// Ends marking.
    pub(crate) fn end_marking(&self) {
        self.inner.leases.end_marking();
    }

    /// Says which manifests of the repository that is marked are to go, and what those refer to.
    pub(crate) fn doom<'a>(&self, repo: &RepoName, doomed: impl Iterator<Item = &'a ContentDigest>) {
        self.inner.leases.doom(repo, doomed);
    }

    /// Tells whether something happened that the marks don't know of, so that marking has to begin again.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.inner.leases.is_disturbed()
    }

    /// Tells whether a lease or the grace time holds a blob or a manifest of a repository.
    pub(crate) fn holds(&self, repo: &RepoName, digest: &ContentDigest) -> bool {
        self.inner.leases.holds(repo, digest)
    }

    /// Tells whether the grace time holds content.
    pub(crate) fn holds_content(&self, digest: &ContentDigest) -> bool {
        self.inner.leases.holds_content(digest)
    }

    /// Returns for how long nothing may be swept yet.
    pub(crate) fn lease_wait(&self) -> Option<Duration> {
        self.wait(Keeps::Young)
    }

    /// Returns for how long nothing may be swept yet by a pass that keeps no more than this.
    pub(crate) fn wait(&self, keeps: Keeps) -> Option<Duration> {
        self.inner.leases.wait(keeps)
    }

    /// Has a scrub look at content that could not be read.
    pub(crate) fn suspect(&self, digest: &ContentDigest) {
        self.inner.suspect(digest);
    }

    /// Makes the start look as if it were long ago.
    #[cfg(test)]
    pub(crate) fn know_all(&self) {
        self.inner.leases.know_all();
    }

    /// Returns how much is leased.
    #[cfg(test)]
    pub(crate) fn leased(&self) -> usize {
        self.inner.leases.count()
    }

    /// Makes leases, and the uploads that have begun, look that much older.
    #[cfg(test)]
    pub(crate) fn grow_older(&self, time: Duration) {
        self.inner.leases.grow_older(time);
        for session in self.inner.sessions.all(|_| true) {
            session.grow_older(time);
        }
    }

    /// Returns the key of something by its digest alone, the same one until the registry is closed.
    pub(crate) fn key(&self, digest: &ContentDigest) -> u64 {
        self.inner.leases.content_key(digest)
    }

    /// Has the writer remove what of this is still as it was found. It is durable when this returns; the
    /// index tells what is gone.
    pub(crate) fn sweep(&self, sweep: Sweep) -> Result<(), RegistryError> {
        self.inner.sweep(sweep)
    }

    /// Removes the files of content that no row names any more, durably, and says what became of each.
    pub(crate) fn remove_files(&self, content: &[ContentDigest]) -> Result<Vec<Removal>, RegistryError> {
        // Each is tried: what is left of a batch has no name, and no later sweep comes to it.
        let removals: Vec<_> =
            content.iter().map(|digest| self.inner.remove_file(digest, Rows::Durable)).collect();
        // A power cut brings back no more than the next start removes by itself.
        self.inner.blobs.sync_names(content).map_err(|error| self.inner.not_stored(error))?;
        removals.into_iter().collect()
    }

    /// Tells why nothing at all may be removed, if that is so: metadata may be missing, and what the content
    /// still has may be all that is left of it.
    pub(crate) fn keeps_everything(&self) -> Option<&'static str> {
        if self.inner.meta.keeps_damaged() {
            return Some("damaged files of the journal or of checkpoints are kept (`*.damaged`)");
        }
        let unnamed = "the start found more content without a name than a crash can leave";
        self.inner.keeps_unnamed.then_some(unnamed)
    }

    /// Lists the content that no row names, or says that there is more of it than anything that is known of
    /// leaves behind.
    pub(crate) fn unnamed(&self) -> Result<Option<Vec<(ContentDigest, u64)>>, RegistryError> {
        let mut unnamed = Vec::new();
        self.inner.blobs.each_occupant(|occupant| {
            if let Occupant::Content(digest, length) = occupant
                && unnamed.len() <= UNNAMED_MAX
                && self.view().blob(&digest)?.is_none()
            {
                unnamed.push((digest, length));
            }
            Ok::<_, RegistryError>(())
        })?;
        Ok((unnamed.len() <= UNNAMED_MAX).then_some(unnamed))
    }

    /// Removes the files of uploads whose session has ended, and returns how many there were.
    pub(crate) fn remove_ended_uploads(&self) -> Result<u64, RegistryError> {
        let mut removed = 0;
        for name in self.inner.blobs.unfinished()? {
            // INVARIANT: a file comes after its session, or the name in use, and never after their end.
            if !self.inner.sessions.has(&name) && !self.inner.storing.has(&name) {
                self.inner.blobs.forget(&name);
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Gives up the uploads that were idle for too long.
    pub(crate) fn expire_uploads(&self) {
        self.inner.expire_uploads();
    }

    /// Notes what a pass came to.
    pub(crate) fn note(&self, passed: impl FnOnce(&mut Collected)) {
        passed(&mut self.inner.collected.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Inner {
    pub(super) fn check_quota(&self, repo: &RepoName, bytes: u64) -> Result<(), RegistryError> {
        match self.meta.quota(repo) {
            Some((used, most)) if used.saturating_add(bytes) > most => Err(RegistryError::Denied(format!(
                "the quota of repository {repo} is {most} bytes, and {used} of them are used"
            ))),
            _ => Ok(()),
        }
    }

    /// Removes the file of content if no row names it and nobody is storing it.
    fn remove_file(&self, digest: &ContentDigest, rows: Rows) -> Result<Removal, RegistryError> {
        let Some(_removing) = self.locks.try_remove(digest) else { return Ok(Removal::Kept) };
        // INVARIANT: whoever stored it since its row went has had the row written by now; nobody begins to
        // before the lock is free.
        if self.meta.view().blob(digest)?.is_some() {
            return Ok(Removal::Kept);
        }
        if rows == Rows::OnTheirWay {
            // A sweep may just have taken the row away: its answer is that of any command behind it.
            self.sweep(Sweep::Content { content: Vec::new() })?;
        }
        match self.blobs.discard(digest) {
            Ok(()) => Ok(Removal::Removed),
            Err(BlobError::Disk(error)) if error.is_not_found() => Ok(Removal::Removed),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the file of content that was stored for something that was then refused.
    pub(super) fn remove_if_unnamed(&self, digest: &ContentDigest) {
        if self.meta.poisoned().is_some() {
            // Nobody knows whether the row is durable.
            return;
        }
        if let Err(error) = self.remove_file(digest, Rows::OnTheirWay) {
            log::debug!("the file of {digest} stays until the collector comes: {error}");
        }
    }

    fn sweep(&self, sweep: Sweep) -> Result<(), RegistryError> {
        let (sender, receiver) = channel();
        self.meta.submit(Command::Sweep(sweep), Box::new(move |done| drop(sender.send(done))));
        let stopping = || RegistryError::Unavailable("the registry is stopping".to_owned());
        Ok(receiver.recv().map_err(|_| stopping())??)
    }
}

impl Names {
    /// Takes a name into use until what is returned is dropped.
    pub(super) fn take(&self, name: String) -> InUse<'_> {
        self.lock().insert(name.clone());
        InUse { names: self, name }
    }

    fn has(&self, name: &str) -> bool {
        self.lock().contains(name)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that is in use.
#[derive(Debug)]
pub(super) struct InUse<'a> {
    names: &'a Names,
    name: String,
}

impl InUse<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.name
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.names.lock().remove(&self.name);
    }
}
