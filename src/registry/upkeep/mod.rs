//! What the collector works with: reads, sweeps, the removal of files.
//!
//! Everything here blocks its thread, and is for one that may.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::blobs::{BlobError, BlobStore, Occupant};
use crate::meta::{Clock, Command, Compacted, Pacing, Policy, Redate, Sweep, View};
use crate::registry::error::RegistryError;
use crate::registry::open::cleaning::UNNAMED_MAX;
use crate::registry::protection::digest_locks::RemoveGuard;
use crate::registry::protection::leases::{Protected, Scope};
use crate::registry::{Inner, NamesInUse, Registry};
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

/// How many files are looked at before somebody who goes through all of them may pause.
pub(crate) const OCCUPANTS_PER_STEP: usize = 64;

/// Checkpoints are worth renewing from this part of the size on from which the index is: 4 MiB by default.
const CHECKPOINT_WORTHWHILE_DIVISOR: u64 = 16;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is gone.
    Removed,
    /// It is needed again, or being stored again at this moment.
    Kept,
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

    /// Returns the clock that ages are told by.
    pub(crate) fn clock(&self) -> &Clock {
        self.inner.meta.clock()
    }

    /// Returns the time by which things are old, in milliseconds since 1970; or why nothing is old now.
    pub(crate) fn now(&self) -> Result<u64, String> {
        self.clock().now(self.inner.options.grace)
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
    pub(crate) fn begin_marking(&self, scope: Scope, protected: Protected) {
        self.inner.leases.begin_marking(scope, protected);
    }

    /// Ends marking.
    pub(crate) fn end_marking(&self) {
        self.inner.leases.end_marking();
    }

    /// Says that the tags of the repository that is marked are about to be read.
    pub(crate) fn begin_tags(&self) {
        self.inner.leases.begin_tags();
    }

    /// Tells whether somebody removed tags of it since, so that none is swept until they are read again.
    pub(crate) fn tags_removed(&self) -> bool {
        self.inner.leases.tags_removed()
    }

    /// Says which manifests of the repository that is marked are to go, and what those refer to.
    pub(crate) fn mark_for_removal<'a>(
        &self,
        repo: &RepoName,
        marked_for_removal: impl Iterator<Item = &'a ContentDigest>,
    ) {
        self.inner.leases.mark_for_removal(repo, marked_for_removal);
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

    /// Holds for the grace time what came within it before the start, by what the journal says: a mount, or a
    /// manifest that another repository has, brings no file whose age would tell. A clock that is behind
    /// makes all of it young.
    pub(crate) fn remember_young(&self, now_ms: u64) -> Result<(), RegistryError> {
        let grace = u64::try_from(self.inner.options.grace.as_millis()).unwrap_or(u64::MAX);
        let leases = &self.inner.leases;
        let since = now_ms.saturating_sub(grace);
        Ok(self.inner.meta.named_since(since, |repo, digest| leases.take_young(repo, digest))?)
    }

    /// Returns for how long nothing may be swept yet.
    pub(crate) fn lease_wait(&self) -> Option<Duration> {
        self.wait(Protected::LeasedOrYoung)
    }

    /// Returns for how long nothing may be swept yet by a pass that keeps no more than this.
    pub(crate) fn wait(&self, protected: Protected) -> Option<Duration> {
        self.inner.leases.wait(protected)
    }

    /// Has a scrub look at content that could not be read.
    pub(crate) fn report_damage(&self, digest: &ContentDigest) {
        self.inner.report_damage(digest);
    }

    /// Makes the start look as if it were long ago.
    #[cfg(test)]
    pub(crate) fn complete_now(&self) {
        self.inner.leases.complete_now();
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

    /// Has the writer note other times for what is still as it was found.
    pub(crate) fn redate(&self, redate: Redate) -> Result<(), RegistryError> {
        self.inner.ask(Command::Redate(redate))
    }

    /// Removes the files of content that no row names any more, durably, and says what became of each.
    pub(crate) fn remove_files(&self, content: &[ContentDigest]) -> Result<Vec<Removal>, RegistryError> {
        // Each is tried: what is left of a batch has no name, and no later sweep comes to it.
        let removals: Vec<_> = content.iter().map(|digest| self.inner.remove_file(digest)).collect();
        // A power cut brings back no more than the next start removes by itself.
        self.inner.blobs.sync_names(content).map_err(|error| self.inner.not_stored(error))?;
        removals.into_iter().collect()
    }

    /// Makes the index's files anew if they are far too large for what is left in it. `pause` is called
    /// between steps and tells whether to go on.
    pub(crate) fn compact_index(&self, pause: &mut dyn FnMut() -> bool) -> Result<Compacted, RegistryError> {
        let space = &self.inner.space;
        let mut pacing = Pacing {
            pause,
            has_room: &|bytes| space.has_room(bytes),
            worthwhile_bytes: self.inner.options.index_worthwhile_bytes,
        };
        let compacted = self.inner.meta.compact_index(&mut pacing)?;
        // Where metadata may be missing, old checkpoints may be all that is left of it.
        if let Compacted::Done { after_bytes, .. } = compacted
            && self.keeps_everything().is_none()
        {
            self.renew_checkpoints(after_bytes, pacing.pause);
        }
        Ok(compacted)
    }

    /// What the index had to be made anew for is in the checkpoints, too. They are shorter than its files.
    fn renew_checkpoints(&self, index_bytes: u64, pause: &mut dyn FnMut() -> bool) {
        let worthwhile = self.inner.options.index_worthwhile_bytes / CHECKPOINT_WORTHWHILE_DIVISOR;
        let expected = if worthwhile == 0 { 0 } else { index_bytes };
        if let Err(error) = self.inner.meta.renew_checkpoints(expected, worthwhile, pause) {
            log::info!("old checkpoints stay until the journal is long enough: {error}");
        }
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
    /// leaves behind. There may be much to look at: `step` is called now and then, to pause, or to end this.
    pub(crate) fn unnamed<E: From<RegistryError>>(
        &self,
        mut step: impl FnMut() -> Result<(), E>,
    ) -> Result<Option<Vec<(ContentDigest, u64)>>, E> {
        let mut unnamed = Vec::new();
        let (mut seen, mut ended) = (0_usize, Ok(()));
        let looked = self.inner.blobs.each_occupant(|occupant| {
            seen += 1;
            if seen.is_multiple_of(OCCUPANTS_PER_STEP) {
                ended = step();
                if ended.is_err() {
                    return Err(RegistryError::Unavailable("the search was ended".to_owned()));
                }
            }
            if let Occupant::Content(digest, length) = occupant
                && unnamed.len() <= UNNAMED_MAX
                && self.view().blob(&digest)?.is_none()
            {
                unnamed.push((digest, length));
            }
            Ok(())
        });
        ended?;
        looked?;
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

    /// Removes the file of content if no row names it, durably, and nobody is storing it.
    fn remove_file(&self, digest: &ContentDigest) -> Result<Removal, RegistryError> {
        let Some(removing) = self.locks.try_remove(digest) else { return Ok(Removal::Kept) };
        self.remove_locked(digest, &removing)
    }

    fn remove_locked(&self, digest: &ContentDigest, _: &RemoveGuard) -> Result<Removal, RegistryError> {
        // INVARIANT: whoever stored it since its row went has had the row written by now; nobody begins to
        // before the lock is free.
        if self.meta.view().blob(digest)?.is_some() {
            return Ok(Removal::Kept);
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
        match self.remove_when_durable(digest) {
            Ok(Removal::Removed) => {}
            Ok(Removal::Kept) => log::debug!("the file of {digest} is needed, or left to the collector"),
            Err(error) => log::debug!("the file of {digest} stays until the collector comes: {error}"),
        }
    }

    /// Removes the file of content although a sweep may just have taken its row away. Nobody who stores it
    /// waits while that becomes durable.
    fn remove_when_durable(&self, digest: &ContentDigest) -> Result<Removal, RegistryError> {
        let Some(since) = self.locks.now(digest) else { return Ok(Removal::Kept) };
        if self.meta.view().blob(digest)?.is_some() {
            return Ok(Removal::Kept);
        }
        // The answer to this is that of any command behind a sweep.
        self.sweep(Sweep::Content { content: Vec::new() })?;
        // INVARIANT: only who stores content can have had a row written for it since, which may have gone
        // again, and not durably.
        match self.locks.try_remove_since(digest, since) {
            Some(removing) => self.remove_locked(digest, &removing),
            None => Ok(Removal::Kept),
        }
    }

    fn sweep(&self, sweep: Sweep) -> Result<(), RegistryError> {
        self.ask(Command::Sweep(sweep))
    }

    fn ask(&self, command: Command) -> Result<(), RegistryError> {
        let (sender, receiver) = channel();
        self.meta.submit(command, Box::new(move |done| drop(sender.send(done))));
        let stopping = || RegistryError::Unavailable("the registry is stopping".to_owned());
        Ok(receiver.recv().map_err(|_| stopping())??)
    }
}

impl NamesInUse {
    /// Takes a name into use until what is returned is dropped.
    pub(super) fn take(&self, name: String) -> NameInUse<'_> {
        self.add(&name);
        NameInUse { names: self, name }
    }

    pub(super) fn add(&self, name: &str) {
        self.lock().insert(name.to_owned());
    }

    pub(super) fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.lock().contains(name)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that is in use.
#[derive(Debug)]
pub(super) struct NameInUse<'a> {
    names: &'a NamesInUse,
    name: String,
}

impl NameInUse<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.name
    }
}

impl Drop for NameInUse<'_> {
    fn drop(&mut self) {
        self.names.remove(&self.name);
    }
}
