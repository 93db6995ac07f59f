//! Policies: what is kept of a repository, what may not change, how much fits.

use std::sync::Arc;
use std::time::Duration;

use crate::base::Pattern;
use crate::spec::{RepoName, Tag};

/// What becomes of manifests that no tag leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Untagged {
    /// They stay.
    #[default]
    Keep,
    /// They go when nobody has pushed them, and no tag has named them, for so long.
    RemoveAfter(Duration),
}

/// What holds for the repositories that some patterns match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The repositories that it is for.
    pub repositories: Vec<Pattern>,
    /// Tags that stay. Where neither this nor one of the next two is given, all tags stay.
    pub keep_tags: Vec<Pattern>,
    /// How many of the tags that were set last stay.
    pub keep_last: Option<usize>,
    /// Tags that were set less than so long ago stay.
    pub keep_younger_than: Option<Duration>,
    /// What becomes of manifests that no tag leads to.
    pub untagged: Untagged,
    /// Whether a referrer goes whose subject is not there.
    pub remove_orphan_referrers: bool,
    /// Tags that can neither be moved nor deleted once they are there.
    pub immutable: Vec<Pattern>,
    /// How many bytes all repositories of this policy may have together.
    pub quota_bytes: Option<u64>,
}

impl Policy {
    /// Tells whether it is for a repository.
    pub fn is_for(&self, repo: &RepoName) -> bool {
        self.repositories.iter().any(|pattern| pattern.matches(repo.as_str()))
    }

    /// Tells whether a tag can neither be moved nor deleted.
    pub fn is_immutable(&self, tag: &Tag) -> bool {
        self.immutable.iter().any(|pattern| pattern.matches(tag.as_str()))
    }

    /// Tells whether it asks how old something is.
    pub fn asks_for_ages(&self) -> bool {
        self.keep_younger_than.is_some() || self.untagged != Untagged::Keep
    }

    /// Tells whether tags may go by themselves.
    pub fn removes_tags(&self) -> bool {
        !self.keep_tags.is_empty() || self.keep_last.is_some() || self.keep_younger_than.is_some()
    }
}

/// All policies, in the order in which they are asked: the first one that is for a repository holds for it,
/// and no other. Where none is, everything stays, may change and fits.
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

    /// Returns what holds for a repository.
    pub fn of(&self, repo: &RepoName) -> &Policy {
        self.all.iter().find(|policy| policy.is_for(repo)).unwrap_or(&self.otherwise)
    }

    /// Returns the place of what holds for a repository, if any policy does.
    pub fn position(&self, repo: &RepoName) -> Option<usize> {
        self.all.iter().position(|policy| policy.is_for(repo))
    }

    /// Tells whether any of them asks how old something is.
    pub fn ask_for_ages(&self) -> bool {
        self.all.iter().any(Policy::asks_for_ages)
    }

    /// Returns all of them, in their order.
    pub fn all(&self) -> &[Policy] {
        &self.all
    }
}
