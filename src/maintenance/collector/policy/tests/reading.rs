//! The plainest reading of what `docs/collector.md` says of policies, for each tag by itself.

use std::cmp::Ordering;

use crate::maintenance::collector::policy::Outcome;
use crate::meta::{KeepOrder, KeepRule, Policy};

/// A tag of a repository.
#[derive(Debug, Clone)]
pub(super) struct Tagged {
    pub(super) name: String,
    pub(super) image: u64,
    pub(super) order: Option<u64>,
    pub(super) age: u64,
    pub(super) pulled: Option<u64>,
}

/// Reads the fate of one tag of the repository `app`.
pub(super) fn outcome(policies: &[Policy], tags: &[Tagged], one: &Tagged) -> Outcome {
    let mut matching = Vec::new();
    for policy in policies {
        if policy.repositories.iter().any(|pattern| pattern.matches("app")) {
            matching.push(policy);
        }
    }
    if is_immutable(&matching, one) {
        return Outcome::Stays;
    }
    if belongs_to_another(one) {
        return Outcome::Follows;
    }
    let mut rules = Vec::new();
    for policy in &matching {
        for rule in &policy.keep {
            rules.push(rule);
        }
    }
    if rules.is_empty() || is_kept_anyway(&matching, &rules, one) {
        return Outcome::Stays;
    }
    for rule in &rules {
        let Some(last) = rule.last else { continue };
        if matches(rule, one) && is_recent(rule, one) {
            let before = images_before(rule, &matching, &rules, tags, one.image);
            if before < last {
                return Outcome::Stays;
            }
        }
    }
    Outcome::Goes
}

/// Counts the images that come before one in the order of a rule and take a place.
fn images_before(
    rule: &KeepRule,
    matching: &[&Policy],
    rules: &[&KeepRule],
    tags: &[Tagged],
    image: u64,
) -> usize {
    let mut before = 0;
    for other in 0..100 {
        if other == image {
            continue;
        }
        let is_counted =
            tags.iter().any(|tag| tag.image == other && !belongs_to_another(tag) && matches(rule, tag));
        let takes_none = tags.iter().any(|tag| {
            tag.image == other && !belongs_to_another(tag) && is_kept_anyway(matching, rules, tag)
        });
        if is_counted && !takes_none && compare(rule, tags, other, image) == Ordering::Greater {
            before += 1;
        }
    }
    before
}

/// Compares two images in the order of a rule.
fn compare(rule: &KeepRule, tags: &[Tagged], one: u64, other: u64) -> Ordering {
    let of = |image: u64| {
        let all = tags.iter().filter(move |tag| tag.image == image);
        all.filter(|tag| !belongs_to_another(tag) && matches(rule, tag)).collect::<Vec<_>>()
    };
    if rule.order == KeepOrder::Semver {
        let highest = |image: u64| {
            let mut highest: Option<&str> = None;
            for tag in of(image) {
                if is_version(&tag.name)
                    && highest.is_none_or(|than| compare_versions(&tag.name, than) == Ordering::Greater)
                {
                    highest = Some(&tag.name);
                }
            }
            highest.map(str::to_owned)
        };
        let by_version = match (highest(one), highest(other)) {
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
            (None, None) => Ordering::Equal,
            (Some(one), Some(other)) => compare_versions(&one, &other),
        };
        if by_version != Ordering::Equal {
            return by_version;
        }
    }
    // A tag without an order was set before those with one; of equal ones, the name decides.
    let newest = |image: u64| {
        of(image).into_iter().map(|tag| (tag.order.map_or(-1, |order| order as i64), tag.name.clone())).max()
    };
    newest(one).cmp(&newest(other))
}

fn is_immutable(matching: &[&Policy], tag: &Tagged) -> bool {
    matching.iter().any(|policy| policy.immutable.iter().any(|pattern| pattern.matches(&tag.name)))
}

fn is_kept_anyway(matching: &[&Policy], rules: &[&KeepRule], tag: &Tagged) -> bool {
    let is_named = rules.iter().any(|rule| rule.tags.iter().any(|pattern| pattern.to_string() == "latest"));
    let by_rule = rules.iter().any(|rule| rule.last.is_none() && matches(rule, tag) && is_recent(rule, tag));
    is_immutable(matching, tag) || tag.name == "latest" && !is_named || by_rule
}

fn matches(rule: &KeepRule, tag: &Tagged) -> bool {
    let name = tag.name.parse().unwrap();
    rule.tags.is_empty() || rule.tags.iter().any(|pattern| pattern.matches(&name))
}

fn is_recent(rule: &KeepRule, tag: &Tagged) -> bool {
    let pushed = rule.pushed_within.is_none_or(|within| u128::from(tag.age) < within.as_millis());
    let last_pull = match tag.pulled {
        Some(pulled) if pulled < tag.age => pulled,
        _ => tag.age,
    };
    let pulled = rule.pulled_within.is_none_or(|within| u128::from(last_pull) < within.as_millis());
    pushed && pulled
}

/// Tells whether a tag has the form of one that belongs to the image of a digest, and names another one.
fn belongs_to_another(tag: &Tagged) -> bool {
    let Some(rest) = tag.name.strip_prefix("sha256-") else { return false };
    let subject = u64::from_str_radix(rest.split('.').next().unwrap(), 16).unwrap();
    subject != tag.image
}

/// The names of the test that are versions.
fn is_version(name: &str) -> bool {
    name == "v1"
        || name.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()) && name.contains('.')
}

fn compare_versions(one: &str, other: &str) -> Ordering {
    let parts = |name: &str| {
        let name = name.trim_start_matches('v');
        let (core, candidate) = match name.split_once("-rc.") {
            Some((core, candidate)) => (core.to_owned(), candidate.parse::<u64>().unwrap()),
            None => (name.to_owned(), u64::MAX),
        };
        let mut all: Vec<u64> = core.split('.').map(|number| number.parse().unwrap()).collect();
        while all.len() < 3 {
            all.push(0);
        }
        all.push(candidate);
        all
    };
    parts(one).cmp(&parts(other))
}
