//! The rules for deleting, and when a repository appears and disappears.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::meta::index::{IndexError, Made};
use crate::meta::model::FACTS_MAX;
use crate::meta::rules::{CommandProgress, TAGS_PER_STEP_MAX};
use crate::meta::tests::hooked::{IndexCall, hooked};
use crate::meta::{Policies, Policy};

fn delete_manifest(content: &str) -> Command {
    Command::DeleteManifest { repo: repo("app"), digest: digest(content) }
}

fn delete_tag(name: &str) -> Command {
    Command::DeleteTag { repo: repo("app"), tag: tag(name) }
}

fn unlink(content: &str) -> Command {
    Command::Unlink { repo: repo("app"), digest: digest(content) }
}

fn exists(rules: &Rules, name: &str) -> bool {
    rules.view().repository(&repo(name)).unwrap().is_some()
}

#[test]
fn deleting_a_tag_keeps_the_manifest() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &["latest"]));
    let facts = rules.carry_out(&delete_tag("latest"));
    let was = Some(digest("one"));
    let gone = Fact::Tag { repo: repo("app"), tag: tag("latest"), row: None, was };
    assert_eq!(facts, [gone, manifest_fact("one")]);
    let view = rules.view();
    assert!(view.manifest(&repo("app"), &digest("one")).unwrap().is_some());
    assert_eq!(view.tags_of(&repo("app"), &digest("one"), 9).unwrap(), []);
    assert_eq!(rules.refusal(&delete_tag("latest")), Refusal::TagUnknown(tag("latest")));
    assert!(exists(&rules, "app"));
}

#[test]
fn deleting_a_manifest_takes_its_tags_and_no_others() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &["a", "b"]));
    rules.carry_out(&put_manifest("app", "two", &["b", "c"]));
    let facts = rules.carry_out(&delete_manifest("one"));
    let was = Some(digest("one"));
    let expected = [
        Fact::Tag { repo: repo("app"), tag: tag("a"), row: None, was },
        Fact::Manifest { repo: repo("app"), digest: digest("one"), row: None },
    ];
    assert_eq!(facts, expected);
    assert_eq!(rules.view().tags(&repo("app"), None, 9).unwrap(), [tag("b"), tag("c")]);
    assert_eq!(rules.refusal(&delete_manifest("one")), Refusal::ManifestUnknown(digest("one")));
}

#[test]
fn deleting_a_manifest_takes_it_from_its_subjects_referrers() {
    let mut rules = Rules::default();
    let subject = Digest::from(digest("subject"));
    for content in ["one", "two"] {
        let mut command = put("app", content, &[]);
        command.row.subject = Some(subject.clone());
        rules.carry_out(&Command::PutManifest(command));
    }
    let facts = rules.carry_out(&delete_manifest("one"));
    let gone =
        Fact::Referrer { repo: repo("app"), subject: subject.clone(), digest: digest("one"), present: false };
    assert!(facts.contains(&gone), "{facts:?}");
    assert_eq!(rules.view().referrers(&repo("app"), &subject, None, 9).unwrap(), [digest("two")]);
}

#[test]
fn a_manifest_of_many_tags_goes_in_steps_that_are_each_correct() {
    let mut rules = Rules::default();
    let names: Vec<String> = (0..2500).map(|number| format!("t{number}")).collect();
    for some in names.chunks(100) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        rules.carry_out(&put_manifest("app", "one", &some));
    }
    let mut left = names.len();
    for expected in [TAGS_PER_STEP_MAX; 6] {
        let Decision { facts, again } = rules.decide(&delete_manifest("one")).unwrap();
        assert_eq!(again, Some(CommandProgress::GoesOn));
        assert_eq!(facts.len(), expected);
        rules.apply(&facts);
        left -= expected;
        let view = rules.view();
        assert!(view.manifest(&repo("app"), &digest("one")).unwrap().is_some());
        assert_eq!(view.tags(&repo("app"), None, usize::MAX).unwrap().len(), left);
        assert_eq!(view.tags_of(&repo("app"), &digest("one"), usize::MAX).unwrap().len(), left);
    }
    let facts = rules.carry_out(&delete_manifest("one"));
    // The other tags, the manifest and its repository.
    assert_eq!(facts.len(), 2500 - 6 * TAGS_PER_STEP_MAX + 2);
    assert!(facts.len() <= FACTS_MAX);
    let kept: Vec<Tree> = rows(&rules.index).into_iter().map(|(tree, _, _)| tree).collect();
    assert_eq!(kept, [Tree::Blobs]);
}

#[test]
fn exactly_one_steps_worth_of_tags_goes_in_one_step() {
    let mut rules = Rules::default();
    let names: Vec<String> = (0..TAGS_PER_STEP_MAX).map(|number| format!("t{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    rules.carry_out(&put_manifest("app", "one", &names));
    assert_eq!(rules.carry_out(&delete_manifest("one")).len(), TAGS_PER_STEP_MAX + 2);
}

#[test]
fn a_repository_lasts_as_long_as_anything_is_in_it() {
    let mut rules = Rules::default();
    rules.carry_out(&link("app", "layer"));
    rules.carry_out(&put_manifest("app", "one", &["latest"]));
    rules.carry_out(&put_manifest("app", "two", &[]));
    rules.carry_out(&put_manifest("app2", "one", &[]));
    for command in [delete_manifest("one"), unlink("layer")] {
        rules.carry_out(&command);
        assert!(exists(&rules, "app"), "{command:?}");
    }
    let facts = rules.carry_out(&delete_manifest("two"));
    assert_eq!(facts.last(), Some(&Fact::Repository { repo: repo("app"), row: None }));
    assert!(!exists(&rules, "app"));
    assert!(exists(&rules, "app2"));
}

#[test]
fn the_last_blob_takes_the_repository_with_it_too() {
    let mut rules = Rules::default();
    rules.carry_out(&link("app", "one"));
    rules.carry_out(&link("app", "two"));
    rules.carry_out(&unlink("one"));
    assert!(exists(&rules, "app"));
    assert_eq!(rules.refusal(&unlink("one")), Refusal::BlobUnknown(digest("one")));
    rules.carry_out(&unlink("two"));
    assert!(!exists(&rules, "app"));
    // The content itself stays until it is collected.
    assert!(rules.view().blob(&digest("two")).unwrap().is_some());
}

#[test]
fn a_blob_can_be_deleted_while_a_manifest_references_it() {
    let mut rules = Rules::default();
    rules.carry_out(&link("app", "layer"));
    let mut command = put("app", "one", &[]);
    command.blobs = [Digest::from(digest("layer"))].into();
    rules.carry_out(&Command::PutManifest(command));
    rules.carry_out(&unlink("layer"));
    assert!(rules.view().link(&repo("app"), &digest("layer")).unwrap().is_none());
    assert!(rules.view().manifest(&repo("app"), &digest("one")).unwrap().is_some());
}

#[test]
fn a_repository_that_comes_back_is_a_new_one() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &[]));
    rules.carry_out(&delete_manifest("one"));
    let Decision { facts, .. } = decide(
        rules.view(),
        stamp(NOW + 5),
        PolicyChecks::default().check(),
        &put_manifest("app", "one", &[]),
    )
    .unwrap();
    rules.apply(&facts);
    assert_eq!(rules.view().repository(&repo("app")).unwrap().unwrap().since, NOW + 5);
}

#[test]
fn deleting_from_an_unknown_repository_says_so() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("other", "one", &["latest"]));
    let unknown = Refusal::NameUnknown(repo("app"));
    for command in [delete_manifest("one"), delete_tag("latest"), unlink("one")] {
        assert_eq!(rules.refusal(&command), unknown);
    }
}

#[test]
fn deleting_a_manifest_reads_the_rows_of_each_of_its_tags_about_twice_however_many_there_are() {
    const TAGS: usize = 12_000;
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let make = move |_| -> Result<Arc<dyn Index>, IndexError> {
        let read = Arc::clone(&counter);
        Ok(hooked(MapIndex::new(), move |call| {
            read.fetch_add(usize::from(matches!(call, IndexCall::Get | IndexCall::Row)), Ordering::SeqCst);
            Ok(())
        }))
    };
    let immutable = Policy {
        repositories: vec!["*".parse().unwrap()],
        immutable: vec!["v*".parse().unwrap()],
        ..Policy::default()
    };
    let options = MetaOptions {
        policies: Policies::new(vec![immutable]),
        ..MetaOptions::new(IndexKind::Made(Made(Arc::new(make))))
    };
    let meta = Meta::open(Arc::new(MemoryDisk::new()), options).unwrap();
    let names: Vec<String> = (0..TAGS).map(|number| format!("t{number}")).collect();
    for some in names.chunks(1000) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        run(&meta, put_manifest("app", "one", &some)).unwrap();
    }
    // One immutable tag keeps all of them, including those that earlier steps would delete.
    run(&meta, put_manifest("app", "one", &["v1"])).unwrap();
    let refused = run(&meta, delete_manifest("one"));
    assert!(matches!(refused, Err(MetaError::Refused(Refusal::Immutable(_)))), "{refused:?}");
    assert_eq!(tags(&meta, "app").len(), TAGS + 1);

    let other = "other";
    for some in names.chunks(1000) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        run(&meta, put_manifest("app", other, &some)).unwrap();
    }
    read.store(0, Ordering::SeqCst);
    run(&meta, delete_manifest(other)).unwrap();
    let read = read.load(Ordering::SeqCst);
    assert_eq!(tags(&meta, "app"), ["v1"]);
    // Each tag has two rows: one names it, and one is its own. A third one, of the history, is new.
    assert!(read < 2 * 2 * TAGS + TAGS + TAGS, "{read}");
}

#[test]
fn no_step_of_a_deletion_reads_more_than_some_of_the_tags() {
    let mut rules = Rules::default();
    let mut names: Vec<String> = (0..4500).map(|number| format!("t{number:04}")).collect();
    names.push("v1".to_owned());
    for some in names.chunks(100) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        rules.carry_out(&put_manifest("app", "one", &some));
    }
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let counting = hooked(rules.index, move |call| {
        counter.fetch_add(usize::from(matches!(call, IndexCall::Get | IndexCall::Row)), Ordering::SeqCst);
        Ok(())
    });
    let (view, everything) = (View::new(counting.as_ref()), vec!["*".parse().unwrap()]);
    let checks = |immutable: &str| {
        let (repositories, immutable) = (everything.clone(), vec![immutable.parse().unwrap()]);
        let policies = Policies::new(vec![Policy { repositories, immutable, ..Policy::default() }]);
        PolicyChecks::over(policies, view).unwrap()
    };
    for (immutable, is_deleted) in [("v*", false), ("w*", true)] {
        let (checks, mut progress, mut steps) = (checks(immutable), Some(CommandProgress::Begins), 0);
        while let Some(at) = progress.take() {
            read.store(0, Ordering::SeqCst);
            let decided = decide(view, stamp(NOW), checks.check().at(&at), &delete_manifest("one"));
            let read = read.load(Ordering::SeqCst);
            assert!(read < 2100, "{at:?}: {read}");
            steps += 1;
            match decided {
                Ok(Decision { facts, again }) => {
                    assert_eq!(facts.is_empty(), matches!(again, Some(CommandProgress::Checked(_))));
                    counting.apply(100 + steps, &changes_of(&facts).unwrap()).unwrap();
                    progress = again;
                }
                Err(DecideError::Refused(Refusal::Immutable(tag))) => assert_eq!(tag.as_str(), "v1"),
                Err(error) => panic!("{error:?}"),
            }
        }
        let left = view.tags(&repo("app"), None, usize::MAX).unwrap().len();
        assert_eq!(left, if is_deleted { 0 } else { 4501 });
        assert_eq!(view.manifest(&repo("app"), &digest("one")).unwrap().is_none(), is_deleted);
    }
}
