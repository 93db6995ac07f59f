//! The mark barrier and the leases, as the collector uses them.

use std::time::Duration;

use crate::registry::error::RegistryError;
use crate::registry::protection::leases::{Protected, Scope};
use crate::registry::upkeep::Upkeep;
use crate::spec::{ContentDigest, RepoName};

impl Upkeep {
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
}
