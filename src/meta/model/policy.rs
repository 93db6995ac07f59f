//! Policies: what is kept of a repository, what may not change, how much fits.

use std::sync::Arc;
use std::time::Duration;

use crate::base::Pattern;
use crate::spec::{RepoName, Tag};

/// What happens to manifests that no tag leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Untagged {
    /// They are kept.
    #[default]
    Keep,
    /// They are removed once this time has passed since their last push and since a tag last named them.
    RemoveAfter(Duration),
}

/// What a `keep_…` key keeps tags by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeptBy {
    Age,
    Other,
}

/// The rules for the repositories that some patterns match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The repositories that it applies to.
    pub repositories: Vec<Pattern>,
    /// Tags that are kept. Without this and the next two, all tags are kept.
    pub keep_tags: Vec<Pattern>,
    /// How many of the tags that were set last are kept.
    pub keep_last: Option<usize>,
    /// Tags that were set more recently than this are kept.
    pub keep_younger_than: Option<Duration>,
    /// What happens to manifests that no tag leads to.
    pub untagged: Untagged,
    /// Whether referrers without an existing subject are removed.
    pub remove_orphan_referrers: bool,
    /// Tags that can neither be moved nor deleted once they exist.
    pub immutable: Vec<Pattern>,
    /// How many bytes all repositories of this policy may have together.
    pub quota_bytes: Option<u64>,
}

impl Policy {
    /// Tells whether it applies to a repository.
    pub fn is_for(&self, repo: &RepoName) -> bool {
        self.repositories.iter().any(|pattern| pattern.matches(repo.as_str()))
    }

    /// Tells whether a tag can neither be moved nor deleted.
    pub fn is_immutable(&self, tag: &Tag) -> bool {
        self.immutable.iter().any(|pattern| pattern.matches(tag.as_str()))
    }

    /// Tells whether it depends on the age of anything.
    pub fn asks_for_ages(&self) -> bool {
        self.untagged != Untagged::Keep || self.keep_keys().contains(&(true, KeptBy::Age))
    }

    /// Tells whether it lets the collector remove tags.
    pub fn removes_tags(&self) -> bool {
        self.keep_keys().iter().any(|(is_set, _)| *is_set)
    }

    /// Returns of each `keep_…` key whether it is set, and what it keeps tags by.
    fn keep_keys(&self) -> [(bool, KeptBy); 3] {
        // All fields are named, so that the compiler asks whether a new one is a `keep_…` key.
        let Self {
            keep_tags,
            keep_last,
            keep_younger_than,
            repositories: _,
            untagged: _,
            remove_orphan_referrers: _,
            immutable: _,
            quota_bytes: _,
        } = self;
        [
            (!keep_tags.is_empty(), KeptBy::Other),
            (keep_last.is_some(), KeptBy::Other),
            (keep_younger_than.is_some(), KeptBy::Age),
        ]
    }
}

/// All policies, in their order: the first one that applies to a repository decides, and no other. Without
/// one, everything is kept, may change and fits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policies {
    all: Arc<[Policy]>,
    otherwise: Arc<Policy>,
}

impl Policies {
    /// Takes policies in their order.
    pub fn new(all: Vec<Policy>) -> Self {
        Self { all: all.into(), otherwise: Arc::default() }
    }

    /// Returns the policy of a repository.
    pub fn of(&self, repo: &RepoName) -> &Policy {
        self.all.iter().find(|policy| policy.is_for(repo)).unwrap_or(&self.otherwise)
    }

    /// Returns the position of a repository's policy, if it has one.
    pub fn position(&self, repo: &RepoName) -> Option<usize> {
        self.all.iter().position(|policy| policy.is_for(repo))
    }

    /// Tells whether any of them depends on the age of anything.
    pub fn ask_for_ages(&self) -> bool {
        self.all.iter().any(Policy::asks_for_ages)
    }

    /// Returns all of them, in their order.
    pub fn all(&self) -> &[Policy] {
        &self.all
    }
}
