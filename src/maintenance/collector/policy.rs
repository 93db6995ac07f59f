//! What a policy says of tags and of untagged manifests: pure functions of rows and ages.

use std::time::Duration;

use crate::base::millis;
use crate::meta::{Policy, Untagged};
use crate::spec::Tag;

/// Whether something stays, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays.
    Stays(String),
    /// It goes.
    Goes(String),
}

impl Fate {
    pub(super) fn goes(&self) -> bool {
        matches!(self, Self::Goes(_))
    }

    pub(super) fn why(&self) -> &str {
        let (Self::Stays(why) | Self::Goes(why)) = self;
        why
    }
}

/// What a policy asks of a tag.
#[derive(Debug, Clone, Copy)]
pub(super) struct TagFacts<'a> {
    pub(super) tag: &'a Tag,
    /// Its place in the order in which tags were set; rows of older versions have none and came before.
    pub(super) order: Option<u64>,
    /// How long ago it was set, in milliseconds.
    pub(super) age: u64,
}

impl<'a> TagFacts<'a> {
    /// Ranks tags in the order in which they were set; those of one push, by their names.
    fn rank(&self) -> (Option<u64>, &'a Tag) {
        (self.order, self.tag)
    }
}

/// Decides for each tag of a repository whether it stays.
///
/// One that is immutable, matches `keep_tags`, is among the `keep_last` that were set last, or is younger
/// than `keep_younger_than` stays; and all do where the policy says none of the last three.
pub(super) fn evaluate(policy: &Policy, tags: &[TagFacts<'_>]) -> Vec<Fate> {
    let stays = |why: &str| Fate::Stays(why.to_owned());
    if !policy.removes_tags() {
        return tags.iter().map(|_| stays("no policy removes tags here")).collect();
    }
    let last_begins = nth_newest(tags, policy.keep_last.unwrap_or(0));
    tags.iter()
        .map(|facts| {
            if policy.is_immutable(facts.tag) {
                return stays("it is immutable");
            }
            if policy.keep_tags.iter().any(|pattern| pattern.matches(facts.tag.as_str())) {
                return stays("keep_tags matches it");
            }
            if last_begins.as_ref().is_some_and(|first| facts.rank() >= *first) {
                return stays("it is one of the keep_last that were set last");
            }
            if policy.keep_younger_than.is_some_and(|young| facts.age < millis(young)) {
                return stays("it is young");
            }
            Fate::Goes("no line of the repository's policy keeps it".to_owned())
        })
        .collect()
}

/// Returns the rank of the `count`-th newest tag; none when nothing is kept for being new.
fn nth_newest<'a>(tags: &[TagFacts<'a>], count: usize) -> Option<(Option<u64>, &'a Tag)> {
    if count == 0 || tags.is_empty() {
        return None;
    }
    let mut ranks: Vec<_> = tags.iter().map(TagFacts::rank).collect();
    ranks.sort_unstable();
    ranks.get(ranks.len().saturating_sub(count)).copied()
}

/// Decides whether an untagged manifest stays. `age` counts from its push or from the loss of its last tag;
/// `older_than` is an age requested in addition to the policy.
pub(super) fn evaluate_untagged(policy: &Policy, age: u64, older_than: Option<Duration>) -> Fate {
    let of_policy = match policy.untagged {
        Untagged::Keep => None,
        Untagged::RemoveAfter(age) => Some(age),
    };
    let age_max = match (of_policy, older_than) {
        (Some(one), Some(other)) => one.min(other),
        (Some(age), None) | (None, Some(age)) => age,
        (None, None) => return Fate::Stays("untagged = \"keep\"".to_owned()),
    };
    if age < millis(age_max) {
        return Fate::Stays("untagged, but it is young".to_owned());
    }
    Fate::Goes("it has been untagged for long enough".to_owned())
}

#[cfg(test)]
mod tests;
