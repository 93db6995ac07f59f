//! Policies against their plainest reading.

use proptest::prelude::*;

use super::*;

const DAY: u64 = 24 * 60 * 60 * 1000;

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

/// A tag: its name, its order, and how old it is.
type Row<'a> = (&'a str, Option<u64>, u64);

fn kept(policy: &Policy, rows: &[Row<'_>]) -> Vec<String> {
    let tags: Vec<Tag> = rows.iter().map(|(name, ..)| tag(name)).collect();
    let facts = |(tag, (_, order, age)): (_, &Row<'_>)| TagFacts { tag, order: *order, age: *age };
    let facts: Vec<TagFacts<'_>> = tags.iter().zip(rows).map(facts).collect();
    let fates = evaluate(policy, &facts);
    assert_eq!(fates.len(), tags.len());
    let kept = tags.iter().zip(&fates).filter(|(_, fate)| !fate.goes());
    kept.map(|(tag, _)| tag.as_str().to_owned()).collect()
}

fn patterns(texts: &[&str]) -> Vec<crate::base::Pattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn last(count: usize) -> Policy {
    Policy { keep_last: Some(count), ..Policy::default() }
}

fn young(days: u64) -> Policy {
    Policy { keep_younger_than: Some(Duration::from_millis(days * DAY)), ..Policy::default() }
}

#[test]
fn without_a_line_about_tags_all_stay() {
    let rows = [("a", Some(1), u64::MAX), ("b", None, u64::MAX)];
    assert_eq!(kept(&Policy::default(), &rows), ["a", "b"]);
}

#[test]
fn each_line_keeps_what_it_names_and_the_rest_goes() {
    let rows = [
        ("v1", Some(2), 30 * DAY),
        ("v2", Some(3), 20 * DAY),
        ("dev", Some(4), 10 * DAY),
        ("old", Some(1), 40 * DAY),
        ("odd", None, 0),
    ];
    let of_pattern = Policy { keep_tags: patterns(&["v*"]), ..Policy::default() };
    assert_eq!(kept(&of_pattern, &rows), ["v1", "v2"]);
    assert_eq!(kept(&last(2), &rows), ["v2", "dev"]);
    // What is exactly that old is not younger.
    assert_eq!(kept(&young(30), &rows), ["v2", "dev", "odd"]);
    let none = Policy { immutable: patterns(&["old"]), ..last(0) };
    assert_eq!(kept(&none, &rows), ["old"]);
}

#[test]
fn the_last_tags_are_those_that_were_set_last_whatever_their_age() {
    for ages in [[3, 4, 0, 1], [u64::MAX, 4, 5, 6], [0, 0, 0, 0]] {
        let rows = [("z", Some(0)), ("y", Some(1)), ("x", Some(2)), ("w", Some(3))];
        let rows: Vec<_> = rows.iter().zip(ages).map(|((name, order), age)| (*name, *order, age)).collect();
        assert_eq!(kept(&last(2), &rows), ["x", "w"], "{ages:?}");
    }
}

#[test]
fn tags_without_an_order_come_before_those_with_one() {
    let rows = [("z", None, 0), ("y", Some(1), 5 * DAY), ("x", None, 0)];
    assert_eq!(kept(&last(2), &rows), ["z", "y"]);
}

#[test]
fn untagged_manifests_go_only_where_asked_for_and_when_old() {
    let after = |millis| Policy {
        untagged: Untagged::RemoveAfter(Duration::from_millis(millis)),
        ..Policy::default()
    };
    let goes = |policy: &Policy, age, asked: Option<u64>| {
        evaluate_untagged(policy, age, asked.map(Duration::from_millis)).goes()
    };
    assert!(!goes(&Policy::default(), u64::MAX, None));
    assert!(goes(&Policy::default(), 5, Some(5)) && !goes(&Policy::default(), 4, Some(5)));
    assert!(goes(&after(5), 5, None) && !goes(&after(5), 4, None));
    assert!(goes(&after(5), 3, Some(2)) && goes(&after(2), 3, Some(5)));
}

proptest! {
    /// The newest `keep_last` stay whatever the others say, and nothing stays that no line keeps.
    #[test]
    fn exactly_what_a_line_names_stays(
        rows in prop::collection::vec((prop::option::of(0..20_u64), 0..25_u64), 0..12),
        last in prop::option::of(0..6_usize),
        young in prop::option::of(0..20_u64),
        pattern in prop::option::of("t[0-5]"),
    ) {
        let tags: Vec<Tag> = (0..rows.len()).map(|at| tag(&format!("t{at}"))).collect();
        let facts: Vec<TagFacts<'_>> = tags
            .iter()
            .zip(&rows)
            .map(|(tag, (order, age))| TagFacts { tag, order: *order, age: *age })
            .collect();
        let policy = Policy {
            keep_tags: pattern.iter().map(|text| text.parse().unwrap()).collect(),
            keep_last: last,
            keep_younger_than: young.map(Duration::from_millis),
            ..Policy::default()
        };
        let rank = |one: &TagFacts<'_>| (one.order, one.tag.clone());
        for (one, fate) in facts.iter().zip(evaluate(&policy, &facts)) {
            let newer = facts.iter().filter(|other| rank(other) > rank(one)).count();
            let none = last.is_none() && young.is_none() && pattern.is_none();
            let stays = none
                || pattern.as_deref() == Some(one.tag.as_str())
                || last.is_some_and(|last| newer < last)
                || young.is_some_and(|young| one.age < young);
            prop_assert_eq!(!fate.goes(), stays, "{:?} {:?}", one, fate);
        }
    }
}
