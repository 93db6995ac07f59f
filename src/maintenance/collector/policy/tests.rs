//! Policies against their plainest reading.

mod reading;

use super::*;
use crate::base::Chance;
use crate::meta::{KeepRule, Policies, Policy};

const DAY: u64 = 24 * 60 * 60 * 1000;

/// A tag: its name, the number of its image, its order, and how old it is.
type Row<'a> = (&'a str, u64, Option<u64>, u64);

fn digest(number: u64) -> ContentDigest {
    format!("sha256:{number:064x}").parse().unwrap()
}

fn set(policies: Vec<Policy>) -> PolicySet {
    let all = || vec!["*".parse().unwrap()];
    let policies = policies.into_iter().map(|policy| Policy { repositories: all(), ..policy }).collect();
    Policies::new(policies).of(&"app".parse().unwrap())
}

fn keeping(keep: Vec<KeepRule>) -> PolicySet {
    set(vec![Policy { keep, ..Policy::default() }])
}

fn fates(policies: &PolicySet, rows: &[Row<'_>]) -> Vec<Fate> {
    let tags: Vec<(Tag, ContentDigest)> =
        rows.iter().map(|(name, image, ..)| (name.parse().unwrap(), digest(*image))).collect();
    let facts: Vec<TagFacts<'_>> = (tags.iter().zip(rows))
        .map(|((tag, digest), (_, _, order, age))| TagFacts {
            tag,
            digest,
            order: *order,
            age: *age,
            pulled: None,
        })
        .collect();
    evaluate(policies, &facts)
}

fn kept<'a>(policies: &PolicySet, rows: &[Row<'a>]) -> Vec<&'a str> {
    let fates = fates(policies, rows);
    assert_eq!(fates.len(), rows.len());
    rows.iter().zip(&fates).filter(|(_, fate)| !fate.goes()).map(|(row, _)| row.0).collect()
}

fn why(policies: &PolicySet, rows: &[Row<'_>]) -> Vec<String> {
    fates(policies, rows).into_iter().map(|fate| fate.why).collect()
}

fn tagged(texts: &[&str]) -> KeepRule {
    KeepRule { tags: texts.iter().map(|text| text.parse().unwrap()).collect(), ..KeepRule::default() }
}

fn last(texts: &[&str], count: usize) -> KeepRule {
    KeepRule { last: Some(count), ..tagged(texts) }
}

fn semver(texts: &[&str], count: usize) -> KeepRule {
    KeepRule { order: KeepOrder::Semver, ..last(texts, count) }
}

fn young(days: u64) -> KeepRule {
    KeepRule { pushed_within: Some(Duration::from_millis(days * DAY)), ..KeepRule::default() }
}

/// Numbers names from the oldest to the newest, each an image of its own.
fn in_order<'a>(names: &[&'a str]) -> Vec<Row<'a>> {
    names.iter().zip(0..).map(|(name, at)| (*name, at, Some(at), 0)).collect()
}

#[test]
fn without_a_rule_all_tags_stay() {
    let rows = [("a", 1, Some(1), u64::MAX), ("b", 2, None, u64::MAX)];
    assert_eq!(kept(&set(Vec::new()), &rows), ["a", "b"]);
    assert_eq!(kept(&keeping(Vec::new()), &rows), ["a", "b"]);
}

#[test]
fn each_rule_keeps_what_it_is_for_and_the_rest_goes() {
    let rows = [
        ("v1", 1, Some(2), 30 * DAY),
        ("v2", 2, Some(3), 20 * DAY),
        ("dev", 3, Some(4), 10 * DAY),
        ("old", 4, Some(1), 40 * DAY),
        ("odd", 5, None, 0),
    ];
    assert_eq!(kept(&keeping(vec![tagged(&["v*"])]), &rows), ["v1", "v2"]);
    assert_eq!(kept(&keeping(vec![tagged(&["regex:v.|o.d"])]), &rows), ["v1", "v2", "old", "odd"]);
    assert_eq!(kept(&keeping(vec![last(&[], 2)]), &rows), ["v2", "dev"]);
    // What is exactly that old is not younger.
    assert_eq!(kept(&keeping(vec![young(30)]), &rows), ["v2", "dev", "odd"]);
    assert_eq!(kept(&keeping(vec![last(&["v*"], 1), young(1)]), &rows), ["v2", "odd"], "one is enough");
    let both = KeepRule { tags: vec!["v*".parse().unwrap()], ..young(30) };
    assert_eq!(kept(&keeping(vec![both]), &rows), ["v2"], "all keys must hold");
    let none =
        Policy { immutable: vec!["old".parse().unwrap()], keep: vec![last(&[], 0)], ..Policy::default() };
    assert_eq!(kept(&set(vec![none]), &rows), ["old"]);
}

#[test]
fn what_any_policy_keeps_stays() {
    let policy = |keep| Policy { keep: vec![keep], ..Policy::default() };
    let immutable = Policy { immutable: vec!["a".parse().unwrap()], ..Policy::default() };
    let policies = set(vec![policy(last(&["v*"], 1)), immutable, policy(tagged(&["dev"]))]);
    assert_eq!(kept(&policies, &in_order(&["a", "v1", "v2", "dev", "b"])), ["a", "v2", "dev"]);
}

#[test]
fn last_counts_images_and_keeps_all_of_their_tags() {
    let rows = [
        ("v1.0", 1, Some(1), 0),
        ("v1.1", 2, Some(2), 0),
        ("v1.1.0", 2, Some(3), 0),
        ("v1.2", 3, Some(4), 0),
        ("v1.2.0", 3, Some(4), 0),
        ("v1", 3, Some(4), 0),
    ];
    assert_eq!(kept(&keeping(vec![last(&["v*"], 2)]), &rows), ["v1.1", "v1.1.0", "v1.2", "v1.2.0", "v1"]);
    let moved = [("v1.0", 1, Some(1), 0), ("v1.1", 2, Some(2), 0), ("v1", 1, Some(3), 0)];
    assert_eq!(
        kept(&keeping(vec![last(&["v*"], 1)]), &moved),
        ["v1.0", "v1"],
        "its newest tag ranks an image"
    );
}

#[test]
fn what_stays_in_any_case_takes_no_place() {
    let rows = in_order(&["v1", "v2", "v3", "v4", "stable", "latest"]);
    let rule = || last(&[], 2);
    assert_eq!(kept(&keeping(vec![rule(), tagged(&["stable"])]), &rows), ["v3", "v4", "stable", "latest"]);
    let immutable =
        Policy { immutable: vec!["v4".parse().unwrap()], keep: vec![rule()], ..Policy::default() };
    assert_eq!(kept(&set(vec![immutable]), &rows), ["v3", "v4", "stable", "latest"]);
    // The image of `latest` takes no place, and its version stays; that of an old image goes.
    let mut same = in_order(&["v1", "v2", "v3", "v4", "v5"]);
    same.extend([("latest", 4, Some(9), 0), ("old", 0, Some(8), 0)]);
    let policies = keeping(vec![last(&["v*"], 2), tagged(&["old"])]);
    assert_eq!(kept(&policies, &same), ["v3", "v4", "v5", "latest", "old"]);
}

#[test]
fn each_last_counts_its_own_images() {
    let rows =
        [("v1", 1, Some(1), 0), ("v2", 2, Some(2), 0), ("pr-1", 2, Some(3), 0), ("pr-2", 3, Some(4), 0)];
    let policies = keeping(vec![last(&["v*"], 1), last(&["pr-*"], 1)]);
    assert_eq!(kept(&policies, &rows), ["v2", "pr-2"]);
}

#[test]
fn latest_goes_only_where_a_rule_names_it() {
    let rows = in_order(&["latest", "a", "b"]);
    assert_eq!(kept(&keeping(vec![last(&["*"], 1)]), &rows), ["latest", "b"]);
    assert_eq!(kept(&keeping(vec![last(&["latest", "*"], 1)]), &rows), ["b"]);
}

#[test]
fn by_semver_the_highest_stay_and_what_is_no_version_comes_last() {
    let rows = in_order(&["v1.10.0", "v1.9.0", "v2.0.0-rc.1", "other", "1.9.1", "abc"]);
    assert_eq!(kept(&keeping(vec![semver(&[], 3)]), &rows), ["v1.10.0", "v2.0.0-rc.1", "1.9.1"]);
    assert_eq!(kept(&keeping(vec![semver(&[], 5)]), &rows).len(), 5);
    assert!(
        !kept(&keeping(vec![semver(&[], 5)]), &rows).contains(&"other"),
        "the older of those that are none"
    );
}

#[test]
fn tags_of_signatures_are_neither_counted_nor_judged() {
    let sign = |image: u64, suffix: &str| format!("sha256-{image:064x}{suffix}");
    let (one, two, three) = (sign(0, ".sig"), sign(1, ".att"), sign(1, ""));
    let mut rows = in_order(&["v1", "v2"]);
    rows.extend([(&*one, 7, Some(7), 0), (&*two, 8, Some(8), 0), (&*three, 9, Some(9), 0)]);
    assert_eq!(kept(&keeping(vec![last(&[], 1)]), &rows), ["v2", &one, &two, &three]);
    let fates = fates(&keeping(vec![last(&[], 1)]), &rows);
    assert!(fates[2..].iter().all(|fate| fate.outcome == Outcome::Follows));
    // One that names its subject is like others.
    let own = sign(5, "");
    assert_eq!(
        kept(&keeping(vec![last(&["v*"], 1)]), &[("v1", 0, Some(1), 0), (&own, 5, Some(2), 0)]),
        ["v1"]
    );
}

#[test]
fn the_last_tags_are_those_that_were_set_last_whatever_their_age() {
    for ages in [[3, 4, 0, 1], [u64::MAX, 4, 5, 6], [0, 0, 0, 0]] {
        let rows: Vec<Row<'_>> = (in_order(&["z", "y", "x", "w"]).into_iter().zip(ages))
            .map(|((name, image, order, _), age)| (name, image, order, age))
            .collect();
        assert_eq!(kept(&keeping(vec![last(&[], 2)]), &rows), ["x", "w"], "{ages:?}");
    }
}

#[test]
fn tags_without_an_order_come_before_those_with_one() {
    let rows = [("z", 1, None, 0), ("y", 2, Some(1), 5 * DAY), ("x", 3, None, 0)];
    assert_eq!(kept(&keeping(vec![last(&[], 2)]), &rows), ["z", "y"]);
}

#[test]
fn a_fate_says_which_rule_decided_and_for_how_long() {
    let rows = in_order(&["v1", "v2", "v3", "dev"]);
    let policies = keeping(vec![tagged(&["release"]), semver(&["v*"], 2)]);
    let said = [
        "3rd newest by semver, policy 1 rule 2 keeps 2",
        "2nd newest by semver, policy 1 rule 2 keeps 2",
        "1st newest by semver, policy 1 rule 2 keeps 2",
        "no keep rule is for it",
    ];
    assert_eq!(why(&policies, &rows), said);
    let aged = [("a", 1, Some(1), 40 * DAY), ("b", 2, Some(2), 12 * DAY)];
    let policies = keeping(vec![young(30)]);
    let said = [
        "pushed 40 d ago, policy 1 rule 1 keeps what was pushed within 30 d",
        "pushed 12 d ago, policy 1 rule 1 keeps what was pushed within 30 d",
    ];
    assert_eq!(why(&policies, &aged), said);
    assert_eq!(fates(&policies, &aged)[1].goes_in, Some(18 * DAY));
    // What keeps it for longer is named.
    let policies = keeping(vec![young(30), tagged(&["b"])]);
    assert_eq!(fates(&policies, &aged)[1].goes_in, None);
    assert_eq!(why(&policies, &aged)[1], "policy 1 rule 2 keeps it");
}

#[test]
fn what_was_pulled_lately_stays() {
    let rule = KeepRule { pulled_within: Some(Duration::from_millis(90 * DAY)), ..KeepRule::default() };
    let (tag, image) = ("v1".parse().unwrap(), digest(1));
    for (age, pulled, stays) in
        [(100, Some(10), true), (100, None, false), (10, None, true), (100, Some(95), false)]
    {
        let pulled = pulled.map(|days| days * DAY);
        let facts = TagFacts { tag: &tag, digest: &image, order: None, age: age * DAY, pulled };
        let fates = evaluate(&keeping(vec![rule.clone()]), &[facts]);
        assert_eq!(!fates[0].goes(), stays, "{age} {pulled:?}");
    }
}

#[test]
fn untagged_manifests_go_only_where_asked_for_and_when_old() {
    let after = |millis| {
        let untagged = Some(Untagged::RemoveAfter(Duration::from_millis(millis)));
        set(vec![Policy { untagged, ..Policy::default() }])
    };
    let goes = |policies: &PolicySet, age, asked: Option<u64>| {
        evaluate_untagged(policies, age, asked.map(Duration::from_millis)).goes()
    };
    assert!(!goes(&set(Vec::new()), u64::MAX, None));
    assert!(goes(&set(Vec::new()), 5, Some(5)) && !goes(&set(Vec::new()), 4, Some(5)));
    assert!(goes(&after(5), 5, None) && !goes(&after(5), 4, None));
    assert!(goes(&after(5), 3, Some(2)) && goes(&after(2), 3, Some(5)));
}

/// How many random repositories the two readings are compared on.
const REPOSITORIES: u64 = 30_000;

/// The names that random tags are drawn from.
const NAMES: [&str; 16] = [
    "v1",
    "v1.0",
    "1.0.0",
    "v1.0.1",
    "v1.1.0-rc.1",
    "v1.1.0-rc.2",
    "1.1.0",
    "v2.0.0",
    "v10.0",
    "pr-1",
    "pr-2",
    "pr-30",
    "dev",
    "latest",
    "stable",
    "20260101",
];

const PATTERNS: [&str; 9] =
    ["v*", "*", "pr-*", "latest", "stable", "1.*", "regex:v?[0-9.]+", "regex:(pr|v)-?1", "none"];

/// Draws policies; not all of them are for the repository.
fn any_policies(chance: &mut Chance, patterns: &[crate::meta::TagPattern]) -> Vec<Policy> {
    let mut policies = Vec::new();
    for _ in 0..chance.below(4) {
        let mut policy = Policy::default();
        let repositories = ["*", "app", "a*", "other"][chance.below(4) as usize];
        policy.repositories = vec![repositories.parse().unwrap()];
        if chance.below(4) == 0 {
            policy.immutable =
                vec![["v1*", "stable", "pr-*", "sha*"][chance.below(4) as usize].parse().unwrap()];
        }
        for _ in 0..chance.below(3) {
            let within =
                |chance: &mut Chance| (chance.below(3) == 0).then(|| Duration::from_millis(chance.below(25)));
            policy.keep.push(KeepRule {
                tags: (0..chance.below(3)).map(|_| patterns[chance.below(9) as usize].clone()).collect(),
                last: (chance.below(3) > 0).then(|| chance.below(4) as usize + 1),
                order: if chance.below(2) == 0 { KeepOrder::Pushed } else { KeepOrder::Semver },
                pushed_within: within(chance),
                pulled_within: within(chance),
            });
        }
        policies.push(policy);
    }
    policies
}

/// What happens to a tag in a random repository.
fn any_tags(chance: &mut Chance) -> Vec<reading::Tagged> {
    let mut tags = Vec::new();
    for name in NAMES {
        if chance.below(3) > 0 {
            let order = (chance.below(8) > 0).then(|| chance.below(12));
            let (age, pulled) = (chance.below(30), (chance.below(2) == 0).then(|| chance.below(30)));
            tags.push(reading::Tagged { name: name.to_owned(), image: chance.below(7), order, age, pulled });
        }
    }
    for suffix in ["", ".sig"] {
        if chance.below(4) == 0 {
            let name = format!("sha256-{:064x}{suffix}", chance.below(7));
            let (image, order) = (chance.below(9), Some(chance.below(12)));
            tags.push(reading::Tagged { name, image, order, age: 3, pulled: None });
        }
    }
    tags
}

#[test]
fn the_fates_are_those_of_the_plainest_reading() {
    let patterns: Vec<_> = PATTERNS.iter().map(|text| text.parse().unwrap()).collect();
    let mut chance = Chance::of(14);
    let (mut went, mut stayed) = (0, 0);
    for number in 0..REPOSITORIES {
        let (policies, tags) = (any_policies(&mut chance, &patterns), any_tags(&mut chance));
        let named: Vec<(Tag, ContentDigest)> =
            tags.iter().map(|one| (one.name.parse().unwrap(), digest(one.image))).collect();
        let facts: Vec<TagFacts<'_>> = (named.iter().zip(&tags))
            .map(|((tag, digest), one)| TagFacts {
                tag,
                digest,
                order: one.order,
                age: one.age,
                pulled: one.pulled,
            })
            .collect();
        let fates = evaluate(&Policies::new(policies.clone()).of(&"app".parse().unwrap()), &facts);
        for (one, fate) in tags.iter().zip(&fates) {
            let read = reading::outcome(&policies, &tags, one);
            assert_eq!(fate.outcome, read, "{number}: {one:?} of {tags:#?} by {policies:#?}: {}", fate.why);
            went += u64::from(fate.goes());
            stayed += u64::from(!fate.goes());
        }
    }
    assert!(went > REPOSITORIES && stayed > REPOSITORIES, "{went} {stayed}");
}
