//! What the policies forbid.

use crate::meta::index::{IndexError, QuotaUsage, View, added_bytes};
use crate::meta::model::{Fact, Policies};
use crate::meta::rules::decision::CommandProgress;
use crate::meta::rules::refusal::{DecideError, Refusal};
use crate::spec::{ContentDigest, RepoName, Tag};

/// The most tags that one step of a manifest's removal checks, and the most that one deletes. With the
/// longest names, and what the history says of them, they fit into a line of the journal.
pub(in crate::meta) const TAGS_PER_STEP_MAX: usize = 400;

/// The policies and their usage: with the index, they decide a command.
#[derive(Debug, Clone, Copy)]
pub struct PolicyCheck<'a> {
    pub(in crate::meta) policies: &'a Policies,
    pub(in crate::meta) usage: &'a QuotaUsage,
    /// Which step of its command this is.
    pub(in crate::meta) progress: &'a CommandProgress,
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

impl<'a> PolicyCheck<'a> {
    /// Returns the check for a further step of a command.
    pub(in crate::meta) fn at(self, progress: &'a CommandProgress) -> Self {
        Self { progress, ..self }
    }
}

impl PolicyCheck<'_> {
    /// Refuses to move or delete an existing tag that is immutable.
    pub(in crate::meta) fn may_change(&self, repo: &RepoName, tag: &Tag) -> Result<(), Refusal> {
        self.policies.may_change(repo, tag)
    }

    /// Tells whether it matters in which order the repository's tags are set.
    pub(in crate::meta) fn keeps_last(&self, repo: &RepoName) -> bool {
        self.policies.of(repo).keeps_last()
    }

    /// Refuses to delete a manifest that an immutable tag names. Returns how far it is unless that was its
    /// last tag.
    pub(in crate::meta) fn may_delete(
        &self,
        view: View<'_>,
        repo: &RepoName,
        digest: &ContentDigest,
    ) -> Result<Option<CommandProgress>, DecideError> {
        // Check all tags before the first one is deleted, and only then.
        let last = match self.progress {
            CommandProgress::GoesOn => return Ok(None),
            CommandProgress::Begins => None,
            CommandProgress::Checked(last) => Some(last),
        };
        if !self.policies.of(repo).has_immutable() {
            return Ok(None);
        }
        let tags = view.tags_of_after(repo, digest, last, TAGS_PER_STEP_MAX)?;
        for tag in &tags {
            self.may_change(repo, tag)?;
        }
        let more = tags.len() == TAGS_PER_STEP_MAX;
        Ok(tags.into_iter().next_back().filter(|_| more).map(CommandProgress::Checked))
    }

    /// Refuses what would put one of a repository's policies over its quota. A command that adds no bytes is
    /// never refused.
    pub(in crate::meta) fn may_have(
        &self,
        view: View<'_>,
        repo: &RepoName,
        facts: &[Fact],
    ) -> Result<(), DecideError> {
        let mut quotas = self.usage.quotas(self.policies, repo).peekable();
        if quotas.peek().is_none() {
            return Ok(());
        }
        let added = added_bytes(view, facts)?;
        if let Some((used, most)) = quotas.find(|(used, most)| used.saturating_add(added) > *most)
            && added > 0
        {
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
    #[cfg(test)]
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
        PolicyCheck { policies: &self.policies, usage: &self.usage, progress: &CommandProgress::Begins }
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
