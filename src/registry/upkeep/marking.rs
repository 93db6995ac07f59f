//! The mark barrier and the leases, as the collector uses them.

use std::time::Duration;

use crate::meta::{MetaOpenError, Pull};
use crate::registry::error::RegistryError;
use crate::registry::protection::leases::{Protected, Scope};
use crate::registry::upkeep::Upkeep;
use crate::spec::{ContentDigest, RepoName};

impl Upkeep {
    /// Begins to mark a scope: [`Self::sweep`] keeps what is touched in it from now on, and the index shows
    /// what was touched before.
    pub(crate) fn begin_marking(&self, scope: Scope, protected: Protected) {
        self.inner.leases.begin_marking(scope, protected);
        self.inner.settle();
    }

    /// Ends marking.
    pub(crate) fn end_marking(&self) {
        self.inner.leases.end_marking();
    }

    /// Notes that the tags of the marked repository are about to be read.
    pub(crate) fn begin_tags(&self) {
        self.inner.leases.begin_tags();
        self.inner.settle();
    }

    /// Tells whether tags were set or removed since [`Self::begin_tags`]: none is swept until they are read
    /// again.
    pub(crate) fn tags_changed(&self) -> bool {
        self.inner.leases.tags_changed()
    }

    /// Sets which manifests of the marked repository to remove, and their subjects.
    pub(crate) fn mark_for_removal<'a>(
        &self,
        repo: &RepoName,
        marked_for_removal: impl Iterator<Item = &'a ContentDigest>,
    ) {
        self.inner.leases.mark_for_removal(repo, marked_for_removal);
    }

    /// Tells whether something happened that the marks do not cover, so that marking has to begin again.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.inner.leases.is_disturbed()
    }

    /// Tells whether a lease or the grace time protects a blob or a manifest of a repository.
    pub(crate) fn holds(&self, repo: &RepoName, digest: &ContentDigest) -> bool {
        self.inner.leases.holds(repo, digest)
    }

    /// Tells whether a lease or the grace time protects the tags that name a manifest.
    pub(crate) fn holds_tags_of(&self, repo: &RepoName, digest: &ContentDigest) -> bool {
        self.inner.leases.holds_tags_of(repo, digest)
    }

    /// Tells whether the grace time protects content.
    pub(crate) fn holds_content(&self, digest: &ContentDigest) -> bool {
        self.inner.leases.holds_content(digest)
    }

    /// Returns the pulls in a repository that no row notes yet.
    pub(crate) fn pending_pulls(&self, repo: &RepoName) -> Vec<Pull> {
        self.inner.leases.pulls().of(repo)
    }

    /// Protects for the grace time what the journal dates within it before the start. A mount, or a manifest
    /// that another repository has, brings no file that shows its age. If the clock is slow, all of it is
    /// young.
    pub(crate) fn remember_young(&self, now_ms: u64) -> Result<(), RegistryError> {
        let grace = u64::try_from(self.inner.options.grace.as_millis()).unwrap_or(u64::MAX);
        let leases = &self.inner.leases;
        let since = now_ms.saturating_sub(grace);
        let remembered = self.inner.meta.named_since(since, |repo, digest| leases.take_young(repo, digest));
        remembered.map_err(|error| match error {
            MetaOpenError::Disk(error) => error.into(),
            other => RegistryError::Unavailable(other.to_string()),
        })
    }

    /// Returns how long nothing may be swept yet.
    pub(crate) fn lease_wait(&self) -> Option<Duration> {
        self.wait(Protected::LeasedOrYoung)
    }

    /// Returns how long a pass that keeps what `protected` says may sweep nothing yet.
    pub(crate) fn wait(&self, protected: Protected) -> Option<Duration> {
        self.inner.leases.wait(protected)
    }

    /// Makes the start look long past.
    #[cfg(test)]
    pub(crate) fn complete_now(&self) {
        self.inner.leases.complete_now();
    }

    /// Returns the number of leases that have not expired.
    #[cfg(test)]
    pub(crate) fn leased(&self) -> usize {
        self.inner.leases.count()
    }

    /// Makes leases, and the uploads that have begun, look `time` older.
    #[cfg(test)]
    pub(crate) fn grow_older(&self, time: Duration) {
        self.inner.leases.grow_older(time);
        for session in self.inner.sessions.all(|_| true) {
            session.grow_older(time);
        }
    }

    /// Returns the key of content by its digest alone, the same one until the registry is closed.
    pub(crate) fn key(&self, digest: &ContentDigest) -> u64 {
        self.inner.leases.content_key(digest)
    }
}
