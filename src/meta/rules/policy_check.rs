//! What the policies forbid.

use crate::meta::index::{IndexError, QuotaUsage, View, added_bytes};
use crate::meta::model::{Fact, Policies};
use crate::meta::rules::refusal::{DecideError, Refusal};
use crate::spec::{ContentDigest, RepoName, Tag};

/// The policies and their usage: with the index, they decide a command.
#[derive(Debug, Clone, Copy)]
pub struct PolicyCheck<'a> {
    pub(in crate::meta) policies: &'a Policies,
    pub(in crate::meta) usage: &'a QuotaUsage,
    /// Whether this is a further step of an allowed command. Others may have been decided since.
    pub(in crate::meta) goes_on: bool,
}

impl Policies {
    /// Refuses to move or delete an existing tag that is immutable.
    pub(in crate::meta) fn may_change(&self, repo: &RepoName, tag: &Tag) -> Result<(), Refusal> {
        if self.of(repo).is_immutable(tag) {
            return Err(Refusal::Immutable(tag.clone()));
        }
        Ok(())
    }
}

impl PolicyCheck<'_> {
    /// Returns the check for a further step of a command.
    pub(in crate::meta) fn going_on(self) -> Self {
        Self { goes_on: true, ..self }
    }

    /// Refuses to move or delete an existing tag that is immutable.
    pub(in crate::meta) fn may_change(&self, repo: &RepoName, tag: &Tag) -> Result<(), Refusal> {
        self.policies.may_change(repo, tag)
    }

    /// Tells whether the repository's policy keeps the tags that were set last.
    pub(in crate::meta) fn keeps_last(&self, repo: &RepoName) -> bool {
        self.policies.of(repo).keep_last.is_some()
    }

    /// Refuses to delete a manifest that an immutable tag names.
    pub(in crate::meta) fn may_delete(
        &self,
        view: View<'_>,
        repo: &RepoName,
        digest: &ContentDigest,
    ) -> Result<(), DecideError> {
        // Check all tags before the first one is deleted, and only then.
        if self.goes_on || self.policies.of(repo).immutable.is_empty() {
            return Ok(());
        }
        for tag in view.tags_of(repo, digest, usize::MAX)? {
            self.may_change(repo, &tag)?;
        }
        Ok(())
    }

    /// Refuses what would put a repository's policy over its quota. A command that adds no bytes is never
    /// refused.
    pub(in crate::meta) fn may_have(
        &self,
        view: View<'_>,
        repo: &RepoName,
        facts: &[Fact],
    ) -> Result<(), DecideError> {
        let Some((used, most)) = self.usage.quota(self.policies, repo) else { return Ok(()) };
        let added = added_bytes(view, facts)?;
        if added > 0 && used.saturating_add(added) > most {
            return Err(Refusal::QuotaExceeded { repo: repo.clone(), used, most }.into());
        }
        Ok(())
    }
}

/// The policies of a store, and how much of their quotas is used.
#[derive(Debug, Default)]
pub(in crate::meta) struct PolicyChecks {
    policies: Policies,
    usage: QuotaUsage,
}

impl PolicyChecks {
    /// Makes the check of these policies over the content of an index.
    pub(in crate::meta) fn over(policies: Policies, view: View<'_>) -> Result<Self, IndexError> {
        let usage = QuotaUsage::of(view, &policies)?;
        Ok(Self { policies, usage })
    }

    /// Makes the check even if the index cannot be read now: then existing content is left uncounted until
    /// the index is rebuilt.
    pub(in crate::meta) fn over_or_uncounted(policies: Policies, view: View<'_>) -> Self {
        let usage = QuotaUsage::of(view, &policies).unwrap_or_else(|error| {
            log::warn!("the usage under quotas could not be determined: {error}");
            QuotaUsage::default()
        });
        Self { policies, usage }
    }

    pub(in crate::meta) fn check(&self) -> PolicyCheck<'_> {
        PolicyCheck { policies: &self.policies, usage: &self.usage, goes_on: false }
    }

    /// Returns the usage after what `facts` are about to change.
    pub(in crate::meta) fn counted(&self, view: View<'_>, facts: &[Fact]) -> Result<QuotaUsage, IndexError> {
        let mut usage = self.usage.clone();
        usage.count(view, &self.policies, facts)?;
        Ok(usage)
    }

    pub(in crate::meta) fn set_usage(&mut self, usage: QuotaUsage) {
        self.usage = usage;
    }

    pub(in crate::meta) fn usage(&self) -> &QuotaUsage {
        &self.usage
    }

    pub(in crate::meta) fn has_quotas(&self) -> bool {
        self.policies.all().iter().any(|policy| policy.quota_bytes.is_some())
    }

    /// Recounts the usage from the index.
    pub(in crate::meta) fn recount(&mut self, view: View<'_>) -> Result<(), IndexError> {
        self.usage = QuotaUsage::of(view, &self.policies)?;
        Ok(())
    }
}
