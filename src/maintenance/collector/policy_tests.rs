//! Policies against their plainest reading.

use proptest::prelude::*;

use super::*;

const DAY: u64 = 24 * 60 * 60 * 1000;

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

/// A tag: its name, its order, and how old it is.
type Row<'a> = (&'a str, Option<u64>, Age);

fn kept(policy: &Policy, rows: &[Row<'_>]) -> Vec<String> {
    let tags: Vec<Tag> = rows.iter().map(|(name, ..)| tag(name)).collect();
    let facts = |(tag, (_, order, age)): (_, &Row<'_>)| TagFacts { tag, order: *order, at: None, age: *age };
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
    let rows = [("a", Some(1), Age::Known(u64::MAX)), ("b", None, Age::Unknown)];
    assert_eq!(kept(&Policy::default(), &rows), ["a", "b"]);
}

#[test]
fn each_line_keeps_what_it_names_and_the_rest_goes() {
    let rows = [
        ("v1", Some(2), Age::Known(30 * DAY)),
        ("v2", Some(3), Age::Known(20 * DAY)),
        ("dev", Some(4), Age::Known(10 * DAY)),
        ("old", Some(1), Age::Known(40 * DAY)),
        ("odd", None, Age::Unknown),
    ];
    let of_pattern = Policy { keep_tags: patterns(&["v*"]), ..Policy::default() };
    assert_eq!(kept(&of_pattern, &rows), ["v1", "v2"]);
    assert_eq!(kept(&last(2), &rows), ["v2", "dev"]);
    // What is exactly that old is not younger; of what nobody knows the age, nobody can say that it is old.
    assert_eq!(kept(&young(30), &rows), ["v2", "dev", "odd"]);
    let none = Policy { immutable: patterns(&["old"]), ..last(0) };
    assert_eq!(kept(&none, &rows), ["old"]);
}

#[test]
fn the_last_tags_are_those_that_were_set_last_whatever_the_clock_said() {
    // For each tag, what the clock said when it was set, in the order in which they were.
    for clock in [
        [Some(3 * DAY), Some(4 * DAY), Some(0), Some(DAY)],
        [Some(u64::MAX), Some(4 * DAY), Some(5 * DAY), Some(6 * DAY)],
        [None, None, None, None],
        [Some(DAY), None, Some(DAY), None],
    ] {
        let tags = ["z", "y", "x", "w"].map(tag);
        let facts = |(order, (tag, at)): (usize, (_, &Option<u64>))| TagFacts {
            tag,
            order: Some(order as u64),
            at: *at,
            age: Age::of(*at, Some(9 * DAY)),
        };
        let facts: Vec<_> = tags.iter().zip(&clock).enumerate().map(facts).collect();
        let fates: Vec<bool> = evaluate(&last(2), &facts).iter().map(Fate::goes).collect();
        assert_eq!(fates, [true, true, false, false], "{clock:?}");
    }
}

#[test]
fn tags_without_an_order_come_before_those_with_one_by_their_time() {
    let tags = ["z", "y", "x"].map(tag);
    let row = |at: usize, order, time| TagFacts { tag: &tags[at], order, at: time, age: Age::Unknown };
    let facts = [row(0, None, Some(DAY)), row(1, Some(1), Some(0)), row(2, None, Some(2 * DAY))];
    let fates: Vec<bool> = evaluate(&last(2), &facts).iter().map(Fate::goes).collect();
    assert_eq!(fates, [true, false, false]);
}

#[test]
fn an_age_is_known_where_both_times_are_and_the_future_is_young() {
    for (noted, now, age) in [
        (Some(3), Some(10), Age::Known(7)),
        (Some(10), Some(10), Age::Known(0)),
        (Some(u64::MAX), Some(10), Age::Known(0)),
        (None, Some(10), Age::Unknown),
        (Some(3), None, Age::Rests),
        (None, None, Age::Rests),
    ] {
        assert_eq!(Age::of(noted, now), age, "{noted:?} {now:?}");
    }
}

#[test]
fn one_tag_of_the_future_keeps_no_other() {
    let rows = [("a", Some(1), Age::of(Some(u64::MAX), Some(9 * DAY))), ("b", Some(2), Age::Known(2 * DAY))];
    assert_eq!(kept(&young(1), &rows), ["a"]);
}

#[test]
fn nothing_is_old_while_the_clock_cannot_be_relied_on_but_the_last_are_still_the_last() {
    let rows = [("a", Some(1), Age::Rests), ("b", Some(2), Age::Rests)];
    assert_eq!(kept(&young(0), &rows), ["a", "b"]);
    assert_eq!(kept(&last(1), &rows), ["b"]);
}

#[test]
fn untagged_manifests_go_only_when_somebody_says_so_and_they_are_old() {
    let after = |millis| Policy {
        untagged: Untagged::RemoveAfter(Duration::from_millis(millis)),
        ..Policy::default()
    };
    let goes = |policy: &Policy, age, asked: Option<u64>| {
        evaluate_untagged(policy, age, asked.map(Duration::from_millis)).goes()
    };
    let known = Age::Known;
    assert!(!goes(&Policy::default(), known(u64::MAX), None));
    assert!(goes(&Policy::default(), known(5), Some(5)) && !goes(&Policy::default(), known(4), Some(5)));
    assert!(goes(&after(5), known(5), None) && !goes(&after(5), known(4), None));
    assert!(goes(&after(5), known(3), Some(2)) && goes(&after(2), known(3), Some(5)));
    assert!(!goes(&after(0), Age::Unknown, Some(0)), "its age is not known");
    assert!(!goes(&after(0), Age::Rests, Some(0)), "the clock cannot be relied on");
}

proptest! {
    /// The newest `keep_last` stay whatever the others say, and nothing stays that no line keeps.
    #[test]
    fn exactly_what_a_line_names_stays(
        rows in prop::collection::vec((prop::option::of(0..20_u64), prop::option::of(0..20_u64)), 0..12),
        last in prop::option::of(0..6_usize),
        young in prop::option::of(0..20_u64),
        pattern in prop::option::of("t[0-5]"),
        now in prop::option::of(0..25_u64),
    ) {
        let tags: Vec<Tag> = (0..rows.len()).map(|at| tag(&format!("t{at}"))).collect();
        let facts: Vec<TagFacts<'_>> = tags
            .iter()
            .zip(&rows)
            .map(|(tag, (order, at))| TagFacts { tag, order: *order, at: *at, age: Age::of(*at, now) })
            .collect();
        let policy = Policy {
            keep_tags: pattern.iter().map(|text| text.parse().unwrap()).collect(),
            keep_last: last,
            keep_younger_than: young.map(Duration::from_millis),
            ..Policy::default()
        };
        let newer = |one: &TagFacts<'_>, other: &TagFacts<'_>| match (one.order, other.order) {
            (None, None) => (one.at, one.tag) > (other.at, other.tag),
            (one_order, other_order) => (one_order, one.tag) > (other_order, other.tag),
        };
        for (one, fate) in facts.iter().zip(evaluate(&policy, &facts)) {
            let newer = facts.iter().filter(|other| newer(other, one)).count();
            let none = last.is_none() && young.is_none() && pattern.is_none();
            let is_old = |young: u64| {
                one.at.zip(now).is_some_and(|(at, now)| now.saturating_sub(at) >= young)
            };
            let stays = none
                || pattern.as_deref() == Some(one.tag.as_str())
                || last.is_some_and(|last| newer < last)
                || young.is_some_and(|young| !is_old(young));
            prop_assert_eq!(!fate.goes(), stays, "{:?} {:?}", one, fate);
        }
    }
}
