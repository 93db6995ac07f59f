//! Policies against their plainest reading.

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_000_000;

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn kept(policy: &Policy, now: u64, tags: &[(&str, Option<u64>)]) -> Vec<String> {
    let tags: Vec<(Tag, Option<u64>)> = tags.iter().map(|(name, since)| (tag(name), *since)).collect();
    let refs: Vec<TagSince<'_>> = tags.iter().map(|(tag, since)| (tag, *since)).collect();
    let fates = evaluate(policy, now, &refs);
    assert_eq!(fates.len(), tags.len());
    let kept = tags.iter().zip(&fates).filter(|(_, fate)| !fate.goes());
    kept.map(|((tag, _), _)| tag.as_str().to_owned()).collect()
}

fn patterns(texts: &[&str]) -> Vec<crate::spec::Pattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn without_a_line_about_tags_all_stay() {
    assert_eq!(kept(&Policy::default(), NOW, &[("a", Some(1)), ("b", None)]), ["a", "b"]);
}

#[test]
fn each_line_keeps_what_it_names_and_the_rest_goes() {
    let tags = [("v1", Some(1)), ("v2", Some(2)), ("dev", Some(3)), ("old", Some(0)), ("odd", None)];
    let of_pattern = Policy { keep_tags: patterns(&["v*"]), ..Policy::default() };
    assert_eq!(kept(&of_pattern, NOW, &tags), ["v1", "v2"]);
    let last = Policy { keep_last: Some(2), ..Policy::default() };
    assert_eq!(kept(&last, NOW, &tags), ["v2", "dev"]);
    let young = Policy { keep_younger_than: Some(Duration::from_millis(NOW - 1)), ..Policy::default() };
    // What is exactly that old is not younger; of what nobody knows the age, nobody can say that it is old.
    assert_eq!(kept(&young, NOW, &tags), ["v2", "dev", "odd"]);
    let none = Policy { keep_last: Some(0), immutable: patterns(&["old"]), ..Policy::default() };
    assert_eq!(kept(&none, NOW, &tags), ["old"]);
}

#[test]
fn no_tag_is_old_while_the_clock_is_behind() {
    let young = Policy { keep_younger_than: Some(Duration::ZERO), ..Policy::default() };
    assert_eq!(kept(&young, 10, &[("a", Some(1)), ("b", Some(11))]), ["a", "b"]);
    assert_eq!(kept(&young, 11, &[("a", Some(1)), ("b", Some(11))]), Vec::<String>::new());
}

#[test]
fn untagged_manifests_go_only_when_somebody_says_so_and_they_are_old() {
    let after = |millis| Policy {
        untagged: Untagged::RemoveAfter(Duration::from_millis(millis)),
        ..Policy::default()
    };
    let goes = |policy: &Policy, since, asked: Option<u64>| {
        evaluate_untagged(policy, NOW, since, asked.map(Duration::from_millis)).goes()
    };
    assert!(!goes(&Policy::default(), Some(0), None));
    assert!(
        goes(&Policy::default(), Some(NOW - 5), Some(5)) && !goes(&Policy::default(), Some(NOW - 4), Some(5))
    );
    assert!(goes(&after(5), Some(NOW - 5), None) && !goes(&after(5), Some(NOW - 4), None));
    assert!(goes(&after(5), Some(NOW - 3), Some(2)) && goes(&after(2), Some(NOW - 3), Some(5)));
    assert!(!goes(&after(0), None, Some(0)), "its age is not known");
    assert!(!goes(&after(0), Some(NOW + 1), None), "the clock is behind");
}

proptest! {
    /// The newest `keep_last` stay whatever the others say, and nothing stays that no line keeps.
    #[test]
    fn exactly_what_a_line_names_stays(
        sinces in prop::collection::vec(prop::option::of(0..20_u64), 0..12),
        last in prop::option::of(0..6_usize),
        young in prop::option::of(0..20_u64),
        pattern in prop::option::of("t[0-5]"),
        now in 0..25_u64,
    ) {
        let tags: Vec<(Tag, Option<u64>)> =
            sinces.iter().enumerate().map(|(at, since)| (tag(&format!("t{at}")), *since)).collect();
        let refs: Vec<TagSince<'_>> = tags.iter().map(|(tag, since)| (tag, *since)).collect();
        let policy = Policy {
            keep_tags: pattern.iter().map(|text| text.parse().unwrap()).collect(),
            keep_last: last,
            keep_younger_than: young.map(Duration::from_millis),
            ..Policy::default()
        };
        let behind = tags.iter().any(|(_, since)| since.is_some_and(|since| since > now));
        for ((name, since), fate) in tags.iter().zip(evaluate(&policy, now, &refs)) {
            let newer = tags.iter().filter(|other| (other.1, &other.0) > (*since, name)).count();
            let none = last.is_none() && young.is_none() && pattern.is_none();
            let stays = none
                || pattern.as_deref() == Some(name.as_str())
                || last.is_some_and(|last| newer < last)
                || young.is_some_and(|young| behind || since.is_none_or(|since| now - since < young));
            prop_assert_eq!(!fate.goes(), stays, "{} {:?}", name, fate);
        }
    }
}
