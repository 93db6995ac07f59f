//! What the policies of a repository say of its tags and of untagged manifests: pure functions of rows and
//! ages.
//!
//! A rule keeps a tag if all of its keys hold for it, and one rule is enough. `last` counts images, not tags,
//! among those that the rule's `tags` name, whatever its other keys say. What stays in any case (immutable,
//! `latest`, or by a rule without `last`) takes none of its places, but neither gets one that it is too old
//! for. Each rule counts its own places: what another rule's `last` keeps takes one as well.

mod version;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::base::{in_units, millis};
use crate::maintenance::collector::policy::version::TagVersion;
use crate::meta::{KeepOrder, NumberedRule, PolicySet, Untagged};
use crate::spec::{ContentDigest, Tag};

/// The tag that stays unless a rule names it.
const LATEST: &str = "latest";

/// What becomes of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It stays.
    Stays,
    /// It goes.
    Goes,
    /// It shares the fate of the manifest that it belongs to.
    Follows,
}

/// Whether something stays, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fate {
    /// What becomes of it.
    pub(super) outcome: Outcome,
    /// Why, in plain words: "4th newest, policy 1 rule 1 keeps 3".
    pub(super) why: String,
    /// The place of the policy that says so, counted from 1.
    pub(super) policy: Option<usize>,
    /// In how many milliseconds it goes, where it stays only for its age.
    pub(super) goes_in: Option<u64>,
}

impl Fate {
    pub(super) fn stays(policy: Option<usize>, why: &str) -> Self {
        Self { outcome: Outcome::Stays, why: why.to_owned(), policy, goes_in: None }
    }

    fn goes_for(policy: Option<usize>, why: &str) -> Self {
        Self { outcome: Outcome::Goes, ..Self::stays(policy, why) }
    }

    pub(super) fn goes(&self) -> bool {
        self.outcome == Outcome::Goes
    }
}

/// What a policy asks of a tag.
#[derive(Debug, Clone, Copy)]
pub(super) struct TagFacts<'a> {
    pub(super) tag: &'a Tag,
    /// The image that it names.
    pub(super) digest: &'a ContentDigest,
    /// Its place in the order in which tags were set; rows of older versions have none and came before.
    pub(super) order: Option<u64>,
    /// How long ago it was set, in milliseconds.
    pub(super) age: u64,
    /// How long ago the image was pulled, if that is known.
    pub(super) pulled: Option<u64>,
}

impl<'a> TagFacts<'a> {
    /// Ranks tags in the order in which they were set; those of one push, by their names.
    fn rank(&self) -> (Option<u64>, &'a Tag) {
        (self.order, self.tag)
    }

    /// Returns how long ago it was pulled, or set if that was later.
    fn unused(&self) -> u64 {
        self.pulled.map_or(self.age, |pulled| pulled.min(self.age))
    }

    /// Tells whether it belongs to another manifest. A tag that names its own subject is one like others.
    fn follows(&self) -> bool {
        self.tag.subject().is_some_and(|subject| !subject.is(self.digest))
    }
}

/// Decides for each tag of a repository whether it stays.
pub(super) fn evaluate(policies: &PolicySet, tags: &[TagFacts<'_>]) -> Vec<Fate> {
    let rules: Vec<_> = policies.rules().collect();
    let mut judgement = Judgement {
        policies,
        names_latest: rules.iter().any(|rule| rule.rule.names(LATEST)),
        places: Vec::new(),
    };
    let judged: Vec<&TagFacts<'_>> = tags.iter().filter(|facts| !facts.follows()).collect();
    let anyway: HashSet<&ContentDigest> = judged
        .iter()
        .filter(|facts| {
            judgement.in_any_case(facts).is_some() || rules.iter().any(|rule| is_enough(rule, facts))
        })
        .map(|facts| facts.digest)
        .collect();
    judgement.places = rules.iter().map(|rule| (*rule, ImagePlaces::of(rule, &judged, &anyway))).collect();
    tags.iter().map(|facts| judgement.fate(facts)).collect()
}

/// Tells whether a rule keeps a tag, whatever other tags there are.
fn is_enough(numbered: &NumberedRule<'_>, facts: &TagFacts<'_>) -> bool {
    let rule = numbered.rule;
    rule.last.is_none()
        && rule.is_for(facts.tag)
        && rule.pushed_within.is_none_or(|within| facts.age < millis(within))
        && rule.pulled_within.is_none_or(|within| facts.unused() < millis(within))
}

/// What is needed to judge a tag.
struct Judgement<'a> {
    policies: &'a PolicySet,
    /// Whether a rule names `latest`, so that it is judged as others are.
    names_latest: bool,
    /// The rules, and the places of those that have `last`.
    places: Vec<(NumberedRule<'a>, ImagePlaces<'a>)>,
}

impl Judgement<'_> {
    /// Says why a tag stays whatever the rules say, if it does.
    fn in_any_case(&self, facts: &TagFacts<'_>) -> Option<Fate> {
        if let Some(policy) = self.policies.immutable_by(facts.tag) {
            return Some(Fate::stays(Some(policy), &format!("immutable by policy {policy}")));
        }
        let is_latest = facts.tag.as_str() == LATEST && !self.names_latest;
        is_latest.then(|| Fate::stays(None, "latest stays unless a rule names it"))
    }

    fn fate(&self, facts: &TagFacts<'_>) -> Fate {
        if let Some(fate) = self.in_any_case(facts) {
            return fate;
        }
        if facts.follows() {
            let why = "it belongs to the manifest whose digest it has";
            return Fate { outcome: Outcome::Follows, ..Fate::stays(None, why) };
        }
        let Some((first, _)) = self.places.first() else {
            return Fate::stays(None, "no policy removes tags here");
        };
        let mut fates: Vec<Fate> = self
            .places
            .iter()
            .filter(|(numbered, _)| numbered.rule.is_for(facts.tag))
            .map(|(numbered, places)| of_rule(numbered, places, facts))
            .collect();
        // What keeps it longest decides, otherwise the first rule that might have kept it.
        let longest = (fates.iter().enumerate())
            .filter(|(_, fate)| !fate.goes())
            .max_by_key(|(at, fate)| (fate.goes_in.unwrap_or(u64::MAX), Reverse(*at)))
            .map(|(at, _)| at);
        if fates.is_empty() {
            return Fate::goes_for(Some(first.policy), "no keep rule is for it");
        }
        fates.swap_remove(longest.unwrap_or(0))
    }
}

/// Says what a rule does for a tag that it is for.
fn of_rule(numbered: &NumberedRule<'_>, places: &ImagePlaces<'_>, facts: &TagFacts<'_>) -> Fate {
    let NumberedRule { policy, number, rule } = numbered;
    let mut keys = Vec::new();
    if let Some(last) = rule.last {
        let place = places.0.get(facts.digest).copied().unwrap_or_default();
        let by = if rule.order == KeepOrder::Semver { " by semver" } else { "" };
        let nth = match place.is_free {
            true => format!("stays in any case, as new as those that count{by}"),
            false => format!("{} newest{by}", ordinal(place.nth)),
        };
        keys.push(RuleKey { holds: place.is_kept, is: nth, keeps: last.to_string(), left: None });
    }
    let mut age = |within: Option<Duration>, age: u64, did: &str, ago: &str| {
        let Some(within) = within else { return };
        let left = millis(within).checked_sub(age).filter(|left| *left > 0);
        keys.push(RuleKey {
            holds: left.is_some(),
            is: format!("{did} {} ago", in_units(Duration::from_millis(age))),
            keeps: format!("what was {ago} within {}", in_units(within)),
            left,
        });
    };
    age(rule.pushed_within, facts.age, "pushed", "pushed");
    let did = if facts.unused() < facts.age { "pulled" } else { "pushed, and not pulled since," };
    age(rule.pulled_within, facts.unused(), did, "pulled");
    let goes = keys.iter().any(|key| !key.holds);
    keys.retain(|key| key.holds != goes);
    let joined =
        |text: fn(&RuleKey) -> &str, between: &str| keys.iter().map(text).collect::<Vec<_>>().join(between);
    let why = match keys.is_empty() {
        true => format!("policy {policy} rule {number} keeps it"),
        false => format!(
            "{}, policy {policy} rule {number} keeps {}",
            joined(|key| &key.is, ", "),
            joined(|key| &key.keeps, ", and "),
        ),
    };
    let outcome = if goes { Outcome::Goes } else { Outcome::Stays };
    let goes_in = keys.iter().filter_map(|key| key.left).min();
    Fate { outcome, why, policy: Some(*policy), goes_in }
}

/// A key of a rule, for one tag.
struct RuleKey {
    holds: bool,
    /// What the tag is.
    is: String,
    /// What the key keeps.
    keeps: String,
    /// For how long it still holds, if that ends.
    left: Option<u64>,
}

/// The place of an image among those of a rule.
#[derive(Debug, Clone, Copy, Default)]
struct ImagePlace {
    /// Its place, counted from 1.
    nth: usize,
    /// Whether it is among those that are kept.
    is_kept: bool,
    /// Whether it takes no place, since it stays in any case.
    is_free: bool,
}

/// The highest version of an image's tags, and the rank of the one that was set last.
type ImageRank<'a> = (Option<TagVersion<'a>>, (Option<u64>, &'a Tag));

/// The places of the images that a rule counts.
struct ImagePlaces<'a>(HashMap<&'a ContentDigest, ImagePlace>);

impl<'a> ImagePlaces<'a> {
    fn of(numbered: &NumberedRule<'_>, tags: &[&TagFacts<'a>], anyway: &HashSet<&ContentDigest>) -> Self {
        let rule = numbered.rule;
        let Some(last) = rule.last else { return Self(HashMap::new()) };
        let mut newest: HashMap<&ContentDigest, ImageRank<'a>> = HashMap::new();
        for facts in tags.iter().filter(|facts| rule.is_for(facts.tag)) {
            let version = match rule.order {
                KeepOrder::Pushed => None,
                KeepOrder::Semver => TagVersion::of(facts.tag.as_str()),
            };
            match newest.entry(facts.digest) {
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert((version, facts.rank()));
                }
                std::collections::hash_map::Entry::Occupied(mut entry) => {
                    let (highest, rank) = entry.get_mut();
                    *rank = facts.rank().max(*rank);
                    if version > *highest {
                        *highest = version;
                    }
                }
            }
        }
        let mut images: Vec<_> = newest.into_iter().collect();
        images.sort_unstable_by(|(_, one), (_, other)| other.cmp(one));
        let mut taken = 0;
        let place = |(digest, _): (&'a ContentDigest, _)| {
            let is_free = anyway.contains(digest);
            let place =
                ImagePlace { nth: taken + 1, is_kept: taken < last, is_free: is_free && taken < last };
            taken += usize::from(!is_free);
            (digest, place)
        };
        Self(images.into_iter().map(place).collect())
    }
}

/// Writes a number as the place in an order: 1st, 2nd.
fn ordinal(number: usize) -> String {
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// Decides whether an untagged manifest stays. `age` counts from its push or from the loss of its last tag;
/// `older_than` is an age requested in addition to the policies.
pub(super) fn evaluate_untagged(policies: &PolicySet, age: u64, older_than: Option<Duration>) -> Fate {
    let (untagged, policy) = policies.untagged();
    let of_policy = match untagged {
        Untagged::Keep => None,
        Untagged::RemoveAfter(age) => Some(age),
    };
    let age_max = match (of_policy, older_than) {
        (Some(one), Some(other)) => one.min(other),
        (Some(age), None) | (None, Some(age)) => age,
        (None, None) => return Fate::stays(policy, "untagged = \"keep\""),
    };
    match millis(age_max).checked_sub(age).filter(|left| *left > 0) {
        Some(left) => Fate { goes_in: Some(left), ..Fate::stays(policy, "untagged, but it is young") },
        None => Fate::goes_for(policy, "it has been untagged for long enough"),
    }
}

#[cfg(test)]
mod tests;
