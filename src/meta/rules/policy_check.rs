//! What the policies forbid.

use crate::meta::index::{IndexError, QuotaUsage, View, added_bytes};
use crate::meta::model::{Fact, Policies};
use crate::meta::rules::refusal::{DecideError, Refusal};
use crate::spec::{ContentDigest, RepoName, Tag};

/// What a command is decided by beside the index.
#[derive(Debug, Clone, Copy)]
pub struct PolicyCheck<'a> {
    pub(in crate::meta) policies: &'a Policies,
    pub(in crate::meta) usage: &'a QuotaUsage,
    /// Whether this is a further step of a command that was allowed already. Nothing else was decided since.
    pub(in crate::meta) goes_on: bool,
}

impl PolicyCheck<'_> {
    /// The same for a further step of a command.
    pub(in crate::meta) fn going_on(self) -> Self {
        Self { goes_on: true, ..self }
    }

    /// Refuses to move or delete a tag that is there, where it is immutable.
    pub(in crate::meta) fn may_change(&self, repo: &RepoName, tag: &Tag) -> Result<(), Refusal> {
        if self.policies.of(repo).is_immutable(tag) {
            return Err(Refusal::Immutable(tag.clone()));
        }
        Ok(())
    }

    /// Tells whether tags of a repository stay for having been set last.
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
        // All tags are looked at before the first one goes, and only then.
        if self.goes_on || self.policies.of(repo).immutable.is_empty() {
            return Ok(());
        }
        for tag in view.tags_of(repo, digest, usize::MAX)? {
            self.may_change(repo, &tag)?;
        }
        Ok(())
    }

    /// Refuses what would put a repository's policy over its quota. What adds nothing is never refused.
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

/// The law of metadata without policies, and how much of it there is.
#[derive(Debug, Default)]
pub(in crate::meta) struct PolicyChecks {
    policies: Policies,
    usage: QuotaUsage,
}

impl PolicyChecks {
    /// Makes the law of these policies over what an index has.
    pub(in crate::meta) fn over(policies: Policies, view: View<'_>) -> Result<Self, IndexError> {
        let usage = QuotaUsage::of(view, &policies)?;
        Ok(Self { policies, usage })
    }

    /// Makes the law also where the index cannot be read just now: then what is there is not counted
    /// until the index is made anew.
    pub(in crate::meta) fn over_or_uncounted(policies: Policies, view: View<'_>) -> Self {
        let usage = QuotaUsage::of(view, &policies).unwrap_or_else(|error| {
            log::warn!("what counts against quotas could not be counted: {error}");
            QuotaUsage::default()
        });
        Self { policies, usage }
    }

    pub(in crate::meta) fn check(&self) -> PolicyCheck<'_> {
        PolicyCheck { policies: &self.policies, usage: &self.usage, goes_on: false }
    }

    /// Counts what `facts` are about to change, and returns what is used then.
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

    /// Counts anew.
    pub(in crate::meta) fn recount(&mut self, view: View<'_>) -> Result<(), IndexError> {
        self.usage = QuotaUsage::of(view, &self.policies)?;
        Ok(())
    }
}
