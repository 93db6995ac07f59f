//! What a policy says of tags and of manifests that no tag leads to: pure functions of rows and times.

use std::time::Duration;

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

/// A tag, and since when it names what it does, in milliseconds since 1970, if that is known.
pub(super) type TagSince<'a> = (&'a Tag, Option<u64>);

/// Says of each of a repository's tags whether it stays at `now`, in milliseconds since 1970.
///
/// One that is immutable, matches `keep_tags`, is among the `keep_last` that were set last, or was set less
/// than `keep_younger_than` ago stays; and all do where the policy says none of the last three. While the
/// clock is behind what it said earlier, no tag is old.
pub(super) fn evaluate(policy: &Policy, now: u64, tags: &[TagSince<'_>]) -> Vec<Fate> {
    let stays = |why: &str| Fate::Stays(why.to_owned());
    if !policy.removes_tags() {
        return tags.iter().map(|_| stays("no policy removes tags here")).collect();
    }
    let clock_is_behind = tags.iter().any(|(_, since)| since.is_some_and(|since| since > now));
    let last_begins = nth_newest(tags, policy.keep_last.unwrap_or(0));
    tags.iter()
        .map(|(tag, since)| {
            if policy.is_immutable(tag) {
                return stays("it is immutable");
            }
            if policy.keep_tags.iter().any(|pattern| pattern.matches(tag.as_str())) {
                return stays("keep_tags matches it");
            }
            if last_begins.as_ref().is_some_and(|first| rank(&(tag, *since)) >= *first) {
                return stays("it is among those that were set last");
            }
            match (policy.keep_younger_than, since) {
                (Some(_), _) if clock_is_behind => stays("the clock is behind what it said earlier"),
                (Some(_), None) => stays("since when it is there is not known"),
                (Some(young), Some(since)) if now - since < milliseconds(young) => stays("it is young"),
                _ => Fate::Goes("no line of the repository's policy keeps it".to_owned()),
            }
        })
        .collect()
}

/// Tags in the order in which they were set; those of which that is not known came first.
fn rank<'a>((tag, since): &TagSince<'a>) -> (Option<u64>, &'a Tag) {
    (*since, tag)
}

/// Returns the rank of the `count`-th newest tag; none when nothing is kept for being new.
fn nth_newest<'a>(tags: &[TagSince<'a>], count: usize) -> Option<(Option<u64>, &'a Tag)> {
    if count == 0 || tags.is_empty() {
        return None;
    }
    let mut ranks: Vec<_> = tags.iter().map(rank).collect();
    ranks.sort_unstable();
    ranks.get(ranks.len().saturating_sub(count)).copied()
}

/// Says whether a manifest that no tag leads to stays at `now`. `since` is when it was pushed or lost
/// its last tag; `older_than` is what somebody asked for beside the policy.
pub(super) fn evaluate_untagged(
    policy: &Policy,
    now: u64,
    since: Option<u64>,
    older_than: Option<Duration>,
) -> Fate {
    let of_policy = match policy.untagged {
        Untagged::Keep => None,
        Untagged::RemoveAfter(age) => Some(age),
    };
    let age_max = match (of_policy, older_than) {
        (Some(one), Some(other)) => one.min(other),
        (Some(age), None) | (None, Some(age)) => age,
        (None, None) => return Fate::Stays("untagged = \"keep\"".to_owned()),
    };
    match since {
        None => Fate::Stays("untagged since nobody knows when".to_owned()),
        Some(since) if now.checked_sub(since).is_some_and(|age| age >= milliseconds(age_max)) => {
            Fate::Goes("no tag has led to it for long enough".to_owned())
        }
        Some(_) => Fate::Stays("untagged, but not for long enough".to_owned()),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
