//! Policies: what is kept of a repository, what may not change, how much fits.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::Pattern;
use crate::meta::model::keep_rule::KeepRule;
use crate::spec::{RepoName, Tag};

/// What happens to manifests that lost their tag, or never had one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Untagged {
    /// They are kept.
    #[default]
    Keep,
    /// They are removed once this time has passed since their last push and since a tag last named them.
    RemoveAfter(Duration),
}

/// The rules for the repositories that some patterns match.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The repositories that it applies to.
    pub repositories: Vec<Pattern>,
    /// What keeps tags. A repository loses tags only where one of its policies has such a rule.
    pub keep: Vec<KeepRule>,
    /// What happens to manifests that no tag leads to; `None` leaves that to other policies.
    pub untagged: Option<Untagged>,
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

    fn is_immutable(&self, tag: &Tag) -> bool {
        self.immutable.iter().any(|pattern| pattern.matches(tag.as_str()))
    }

    fn asks_for_ages(&self) -> bool {
        matches!(self.untagged, Some(Untagged::RemoveAfter(_)))
            || self.keep.iter().any(KeepRule::asks_for_ages)
    }
}

/// All policies, in their order. Those that apply to a repository add up. Without one, everything is kept,
/// may change and fits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policies(Arc<[Policy]>);

impl Policies {
    /// Takes policies in their order.
    pub fn new(all: Vec<Policy>) -> Self {
        Self(all.into())
    }

    /// Returns the policies of a repository.
    pub fn of(&self, repo: &RepoName) -> PolicySet {
        PolicySet { all: self.clone(), positions: self.positions(repo).collect() }
    }

    /// Returns the positions of the policies of a repository.
    pub fn positions(&self, repo: &RepoName) -> impl Iterator<Item = usize> {
        let all = self.0.iter().enumerate();
        all.filter(|(_, policy)| policy.is_for(repo)).map(|(position, _)| position)
    }

    /// Tells whether any of them depends on the age of anything.
    pub fn ask_for_ages(&self) -> bool {
        self.0.iter().any(Policy::asks_for_ages)
    }

    /// Returns all of them, in their order.
    pub fn all(&self) -> &[Policy] {
        &self.0
    }
}

/// A rule, and its place in the configuration, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberedRule<'a> {
    /// The place of its policy among all policies.
    pub policy: usize,
    /// Its place in the policy.
    pub number: usize,
    /// The rule.
    pub rule: &'a KeepRule,
}

/// The policies of one repository, added up: what any of them keeps stays, what any of them makes immutable
/// is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicySet {
    all: Policies,
    positions: Vec<usize>,
}

impl PolicySet {
    /// Returns the policies with their places, counted from 1.
    pub fn policies(&self) -> impl Iterator<Item = (usize, &Policy)> {
        self.positions.iter().filter_map(|at| self.all.0.get(*at).map(|policy| (at + 1, policy)))
    }

    /// Returns the rules that keep tags.
    pub fn rules(&self) -> impl Iterator<Item = NumberedRule<'_>> {
        self.policies().flat_map(|(policy, of)| {
            of.keep.iter().enumerate().map(move |(at, rule)| NumberedRule { policy, number: at + 1, rule })
        })
    }

    /// Tells whether a tag can neither be moved nor deleted.
    pub fn is_immutable(&self, tag: &Tag) -> bool {
        self.immutable_by(tag).is_some()
    }

    /// Returns the place of the policy by which a tag can neither be moved nor deleted, counted from 1.
    pub fn immutable_by(&self, tag: &Tag) -> Option<usize> {
        self.policies().find(|(_, policy)| policy.is_immutable(tag)).map(|(number, _)| number)
    }

    /// Tells whether any tag can be immutable.
    pub fn has_immutable(&self) -> bool {
        self.policies().any(|(_, policy)| !policy.immutable.is_empty())
    }

    /// Tells whether tags may be removed.
    pub fn removes_tags(&self) -> bool {
        self.rules().next().is_some()
    }

    /// Tells whether it matters in which order tags are set.
    pub fn keeps_last(&self) -> bool {
        self.rules().any(|numbered| numbered.rule.last.is_some())
    }

    /// Returns what happens to untagged manifests, and the place of the policy that says so: one that keeps
    /// them, otherwise the one with the longest time.
    pub fn untagged(&self) -> (Untagged, Option<usize>) {
        let mut longest = (Untagged::Keep, None);
        for (number, policy) in self.policies() {
            match (policy.untagged, longest.0) {
                (None, _) => {}
                (Some(Untagged::Keep), _) => return (Untagged::Keep, Some(number)),
                (Some(Untagged::RemoveAfter(after)), Untagged::RemoveAfter(other)) if after <= other => {}
                (Some(remove), _) => longest = (remove, Some(number)),
            }
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(repositories: &str) -> Policy {
        Policy { repositories: vec![repositories.parse().unwrap()], ..Policy::default() }
    }

    fn of(policies: Vec<Policy>) -> PolicySet {
        Policies::new(policies).of(&"team/app".parse().unwrap())
    }

    #[test]
    fn policies_that_match_add_up_and_others_do_not() {
        let immutable = |repositories: &str, tag: &str| Policy {
            immutable: vec![tag.parse().unwrap()],
            ..policy(repositories)
        };
        let set = of(vec![
            Policy { keep: vec![KeepRule::default()], ..policy("*") },
            immutable("other", "dev"),
            immutable("team/*", "v*"),
            Policy { keep: vec![KeepRule::default(), KeepRule::default()], ..policy("*") },
        ]);
        assert_eq!(set.immutable_by(&"v1".parse().unwrap()), Some(3));
        assert_eq!(set.immutable_by(&"dev".parse().unwrap()), None);
        let rules: Vec<_> = set.rules().map(|rule| (rule.policy, rule.number)).collect();
        assert_eq!(rules, [(1, 1), (4, 1), (4, 2)]);
    }

    #[test]
    fn the_longest_time_for_untagged_manifests_wins_and_keep_over_all() {
        let days = |days: u64| Some(Untagged::RemoveAfter(Duration::from_secs(days * 86_400)));
        let untagged = |all: &[Option<Untagged>]| {
            of(all.iter().map(|untagged| Policy { untagged: *untagged, ..policy("*") }).collect()).untagged()
        };
        assert_eq!(untagged(&[]), (Untagged::Keep, None));
        assert_eq!(untagged(&[None]), (Untagged::Keep, None));
        assert_eq!(untagged(&[None, days(1), days(7), days(3)]), (days(7).unwrap(), Some(3)));
        assert_eq!(untagged(&[days(1), Some(Untagged::Keep), days(7)]), (Untagged::Keep, Some(2)));
        assert_eq!(untagged(&[days(0)]), (days(0).unwrap(), Some(1)));
    }
}
