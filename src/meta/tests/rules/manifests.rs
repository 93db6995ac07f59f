//! The rules for storing manifests and setting tags.

use super::*;
use crate::meta::model::{BlobRow, Policies, Policy, RepositoryRow, TagRow};

/// How far from now a noted time must be for an unchanged push to change it, in milliseconds.
const PUSHED_AGAIN: u64 = 60 * 60 * 1000;

fn tag_fact(name: &str, was: Option<&str>, now: &str) -> Fact {
    let row =
        Some(TagRow { digest: digest(now), noted: NOW, order: Some(ORDER), optional: Optional::default() });
    Fact::Tag { repo: repo("app"), tag: tag(name), row, was: was.map(digest) }
}

fn with(condition: Condition, content: &str, tags: &[&str]) -> Command {
    Command::PutManifest(PutManifestCommand { condition, ..put("app", content, tags) })
}

#[test]
fn a_first_manifest_makes_repository_content_and_tag() {
    let mut rules = Rules::default();
    let facts = rules.carry_out(&put_manifest("app", "one", &["latest"]));
    let expected = [
        Fact::Blob {
            digest: digest("one"),
            row: Some(BlobRow { size: 3, optional: Optional::default() }),
            content: None,
        },
        Fact::Repository {
            repo: repo("app"),
            row: Some(RepositoryRow { since: NOW, optional: Optional::default() }),
        },
        manifest_fact("one"),
        tag_fact("latest", None, "one"),
    ];
    assert_eq!(facts, expected);
    assert_eq!(rules.view().tags_of(&repo("app"), &digest("one"), 9).unwrap(), [tag("latest")]);
}

#[test]
fn the_same_push_again_makes_no_facts() {
    let mut rules = Rules::default();
    let command = put_manifest("app", "one", &["latest", "1"]);
    rules.carry_out(&command);
    assert_eq!(rules.carry_out(&command), []);
}

#[test]
fn a_tag_that_is_pushed_again_after_a_while_counts_as_set_again() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &["latest"]));
    let later = |minutes: u64| {
        let now = NOW + minutes * 60 * 1000;
        let again = put_manifest("app", "one", &["latest"]);
        (now, decide(rules.view(), stamp(now), PolicyChecks::default().check(), &again).unwrap().facts)
    };
    assert_eq!(later(59).1, []);
    let (now, facts) = later(60);
    let row =
        Some(TagRow { digest: digest("one"), noted: now, order: Some(ORDER), optional: Optional::default() });
    assert_eq!(facts, [Fact::Tag { repo: repo("app"), tag: tag("latest"), row, was: None }]);
    rules.apply(&facts);
    assert_eq!(rules.view().tags_of(&repo("app"), &digest("one"), 9).unwrap(), [tag("latest")]);
}

#[test]
fn another_media_type_for_the_same_bytes_replaces_the_row() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &[]));
    let mut command = put("app", "one", &[]);
    command.row.media_type = MediaType::DOCKER_MANIFEST.parse().unwrap();
    let row = Some(command.row.clone().noted(NOW));
    let facts = rules.carry_out(&Command::PutManifest(command));
    assert_eq!(facts, [Fact::Manifest { repo: repo("app"), digest: digest("one"), row }]);
}

#[test]
fn a_tag_that_moves_says_what_it_was_and_leaves_the_old_manifest() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &["latest"]));
    let facts = rules.carry_out(&put_manifest("app", "two", &["latest"]));
    assert_eq!(facts[facts.len() - 2..], [tag_fact("latest", Some("one"), "two"), manifest_fact("one")]);
    let view = rules.view();
    assert_eq!(
        view.tag(&repo("app"), &tag("latest")).unwrap(),
        Some(TagRow { digest: digest("two"), noted: NOW, order: Some(ORDER), optional: Optional::default() })
    );
    assert_eq!(view.tags_of(&repo("app"), &digest("one"), 9).unwrap(), []);
    assert_eq!(view.tags_of(&repo("app"), &digest("two"), 9).unwrap(), [tag("latest")]);
    assert!(view.manifest(&repo("app"), &digest("one")).unwrap().is_some());
}

#[test]
fn a_tag_named_twice_in_one_push_is_set_once() {
    let mut rules = Rules::default();
    let facts = rules.carry_out(&put_manifest("app", "one", &["a", "b", "a"]));
    let tags: Vec<_> = facts.into_iter().filter(|fact| matches!(fact, Fact::Tag { .. })).collect();
    assert_eq!(tags, [tag_fact("a", None, "one"), tag_fact("b", None, "one")]);
}

#[test]
fn only_tags_that_change_are_set() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &["a", "b"]));
    rules.carry_out(&put_manifest("app", "two", &["b"]));
    let facts = rules.carry_out(&put_manifest("app", "one", &["a", "b", "c"]));
    let expected = [tag_fact("b", Some("two"), "one"), tag_fact("c", None, "one"), manifest_fact("two")];
    assert_eq!(facts, expected);
}

#[test]
fn content_that_another_repository_has_is_stored_once() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &[]));
    let facts = rules.carry_out(&put_manifest("other", "one", &[]));
    assert!(!facts.iter().any(|fact| matches!(fact, Fact::Blob { .. })), "{facts:?}");
    assert!(rules.view().manifest(&repo("other"), &digest("one")).unwrap().is_some());
}

#[test]
fn a_subject_makes_a_referrer_whether_or_not_it_exists() {
    let mut rules = Rules::default();
    let subject = Digest::from(digest("absent"));
    let mut command = put("app", "signature", &[]);
    command.row.subject = Some(subject.clone());
    let command = Command::PutManifest(command);
    let facts = rules.carry_out(&command);
    let (repo, digest) = (repo("app"), digest("signature"));
    let expected = Fact::Referrer { repo: repo.clone(), subject: subject.clone(), digest, present: true };
    assert_eq!(facts.last(), Some(&expected));
    assert_eq!(rules.view().referrers(&repo, &subject, None, 9).unwrap(), [digest]);
    assert_eq!(rules.carry_out(&command), []);
}

#[test]
fn what_a_manifest_references_must_be_in_its_own_repository() {
    let mut rules = Rules::default();
    rules.carry_out(&link("other", "layer"));
    let mut command = put("app", "one", &["latest"]);
    command.blobs = [Digest::from(digest("layer"))].into();
    let command = Command::PutManifest(command);
    assert_eq!(rules.refusal(&command), Refusal::ReferenceUnknown(digest("layer").into()));
    rules.carry_out(&link("app", "layer"));
    rules.carry_out(&command);
}

#[test]
fn a_manifest_is_no_blob_but_a_child_may_be_either() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "child", &[]));
    rules.carry_out(&link("app", "layer"));
    let mut command = put("app", "index", &[]);
    command.blobs = [Digest::from(digest("child"))].into();
    let refusal = rules.refusal(&Command::PutManifest(command.clone()));
    assert_eq!(refusal, Refusal::ReferenceUnknown(digest("child").into()));
    command.blobs = Arc::default();
    command.children = [Digest::from(digest("child")), digest("layer").into()].into();
    rules.carry_out(&Command::PutManifest(command.clone()));
    command.children = [Digest::from(digest("missing"))].into();
    let refusal = rules.refusal(&Command::PutManifest(command));
    assert_eq!(refusal, Refusal::ReferenceUnknown(digest("missing").into()));
}

#[test]
fn a_reference_by_an_algorithm_that_cannot_be_computed_is_unknown() {
    let rules = Rules::default();
    let strange: Digest = "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8".parse().unwrap();
    for (blobs, children) in [(vec![strange.clone()], vec![]), (vec![], vec![strange.clone()])] {
        let command =
            PutManifestCommand { blobs: blobs.into(), children: children.into(), ..put("app", "one", &[]) };
        let refusal = rules.refusal(&Command::PutManifest(command));
        assert_eq!(refusal, Refusal::ReferenceUnknown(strange.clone()));
    }
}

fn is_refused(rules: &Rules, condition: Condition, content: &str, tags: &[&str]) -> bool {
    match rules.decide(&with(condition, content, tags)) {
        Ok(_) => false,
        Err(DecideError::Refused(Refusal::ConditionFailed(_))) => true,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn conditions_are_asked_of_the_tag_as_it_is_before() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &["latest"]));
    let (one, two) = (Digest::from(digest("one")), Digest::from(digest("two")));
    let both = vec![two.clone(), one.clone()];
    let (new, known) = (["new"], ["latest"]);
    for (condition, refused_for_known, refused_for_new) in [
        (Condition::Always, false, false),
        (Condition::Exists, false, true),
        (Condition::Absent, true, false),
        (Condition::Matches(both.clone()), false, true),
        (Condition::Matches(vec![two.clone()]), true, true),
        (Condition::MatchesNone(both), true, false),
        (Condition::MatchesNone(vec![two]), false, false),
    ] {
        let refused = |tags| is_refused(&rules, condition.clone(), "two", tags);
        assert_eq!(refused(&known), refused_for_known, "{condition:?}");
        assert_eq!(refused(&new), refused_for_new, "{condition:?}");
    }
}

#[test]
fn a_condition_must_hold_for_each_of_several_tags() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &["latest"]));
    assert!(is_refused(&rules, Condition::Absent, "two", &["new", "latest"]));
    assert!(is_refused(&rules, Condition::Exists, "two", &["latest", "new"]));
    assert!(!is_refused(&rules, Condition::Absent, "two", &["new", "newer"]));
}

#[test]
fn without_tags_a_condition_is_asked_of_the_digest() {
    let mut rules = Rules::default();
    assert!(is_refused(&rules, Condition::Exists, "one", &[]));
    assert!(!is_refused(&rules, Condition::Absent, "one", &[]));
    rules.carry_out(&put_manifest("app", "one", &[]));
    assert!(!is_refused(&rules, Condition::Exists, "one", &[]));
    assert!(is_refused(&rules, Condition::Absent, "one", &[]));
    assert!(!is_refused(&rules, Condition::Matches(vec![digest("one").into()]), "one", &[]));
    // In another repository the same manifest does not satisfy the condition.
    let command = PutManifestCommand { condition: Condition::Exists, ..put("other", "one", &[]) };
    assert!(matches!(rules.refusal(&Command::PutManifest(command)), Refusal::ConditionFailed(_)));
}

/// Decides an unchanged push of `latest` at a store time, with the tag at `order`, perhaps under a policy.
fn again(rules: &Rules, noted: u64, order: u64, policy: Option<Policy>) -> Vec<Fact> {
    let checks = PolicyChecks::over(Policies::new(policy.into_iter().collect()), rules.view()).unwrap();
    let command = put_manifest("app", "one", &["latest"]);
    let now = Stamp { noted, order, ..stamp(NOW) };
    decide(rules.view(), now, checks.check(), &command).unwrap().facts
}

#[test]
fn a_push_as_it_is_counts_as_set_last_where_the_last_tags_stay() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &["latest"]));
    let keeps_last = || {
        let repositories = vec!["app".parse().unwrap()];
        Some(Policy { repositories, keep: vec![crate::meta::KeepRule::newest(2)], ..Policy::default() })
    };
    assert_eq!(again(&rules, NOW, ORDER + 1, keeps_last()), [], "it was set last");
    assert_eq!(again(&rules, NOW, ORDER + 2, None), [], "no policy needs the order");
    let row = Some(TagRow {
        digest: digest("one"),
        noted: NOW,
        order: Some(ORDER + 2),
        optional: Optional::default(),
    });
    let facts = again(&rules, NOW, ORDER + 2, keeps_last());
    assert_eq!(facts, [Fact::Tag { repo: repo("app"), tag: tag("latest"), row, was: None }]);
}

#[test]
fn a_push_as_it_is_is_noted_again_after_an_hour_and_where_the_time_cannot_be() {
    let far = PUSHED_AGAIN;
    for (noted, now, again_noted) in [
        (NOW, NOW, false),
        (NOW, NOW + far - 1, false),
        (NOW, NOW + far, true),
        (NOW + far - 1, NOW, false),
        (NOW + far, NOW, true),
        (u64::MAX, NOW, true),
    ] {
        let mut rules = Rules::default();
        rules.carry_out(&put_manifest("app", "one", &["latest"]));
        let row =
            Some(TagRow { digest: digest("one"), noted, order: Some(ORDER), optional: Optional::default() });
        rules.apply(&[Fact::Tag { repo: repo("app"), tag: tag("latest"), row, was: None }]);
        let row = Some(TagRow {
            digest: digest("one"),
            noted: now,
            order: Some(ORDER + 9),
            optional: Optional::default(),
        });
        let expected = [Fact::Tag { repo: repo("app"), tag: tag("latest"), row, was: None }];
        let facts = again(&rules, now, ORDER + 9, None);
        assert_eq!(facts, if again_noted { &expected[..] } else { &[] }, "{noted} {now}");
    }
}

/// A downtime may have followed that is not counted yet.
#[test]
fn a_push_as_it_is_is_noted_again_in_each_run() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &["latest"]));
    rules.carry_out(&put_manifest("app", "two", &[]));
    let facts = |name: &str, tags: &[&str], began| {
        let (now, checks) = (Stamp { noted: NOW + 5, began, ..stamp(NOW) }, PolicyChecks::default());
        decide(rules.view(), now, checks.check(), &put_manifest("app", name, tags)).unwrap().facts
    };
    for (name, tags) in [("one", &["latest"][..]), ("two", &[])] {
        assert_eq!(facts(name, tags, NOW), []);
        assert_eq!(facts(name, tags, NOW + 1).len(), 1);
    }
}
