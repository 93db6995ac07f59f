//! The rules for sweeping: a sweep removes only what is still as it was found.

use super::*;
use crate::meta::model::{Policies, Policy, SweptImage, TagRow};

fn tags(name: &str, named: &str, content: &str) -> Command {
    let row =
        TagRow { digest: digest(content), noted: NOW, order: Some(ORDER), optional: Optional::default() };
    Command::Sweep(Sweep::Tags { repo: repo(name), tags: vec![(tag(named), row)] })
}

fn manifests(name: &str, contents: &[&str]) -> Command {
    let manifests = contents.iter().map(|content| digest(content)).collect();
    Command::Sweep(Sweep::Manifests { repo: repo(name), manifests })
}

fn links(name: &str, contents: &[&str]) -> Command {
    let links = contents.iter().map(|content| digest(content)).collect();
    Command::Sweep(Sweep::Links { repo: repo(name), links })
}

fn content(contents: &[&str]) -> Command {
    Command::Sweep(Sweep::Content { content: contents.iter().map(|content| digest(content)).collect() })
}

#[test]
fn a_tag_that_has_moved_is_not_swept() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &["a"]));
    rules.carry_out(&put_manifest("app", "two", &["a"]));
    assert_eq!(rules.carry_out(&tags("app", "a", "one")), []);
    let facts = rules.carry_out(&tags("app", "a", "two"));
    let gone = Fact::Tag { repo: repo("app"), tag: tag("a"), row: None, was: Some(digest("two")) };
    assert_eq!(facts, [gone, manifest_fact("two")]);
    assert_eq!(rules.carry_out(&tags("app", "a", "two")), []);
}

#[test]
fn an_image_is_swept_whole_or_not_at_all() {
    let image = |named: &[&str]| {
        let row = || TagRow {
            digest: digest("one"),
            noted: NOW,
            order: Some(ORDER),
            optional: Optional::default(),
        };
        let tags = named.iter().map(|named| (tag(named), row())).collect();
        let images = vec![SweptImage { tags, manifests: vec![digest("one"), digest("two")] }];
        Command::Sweep(Sweep::Images { repo: repo("app"), images })
    };
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &["a", "b"]));
    assert_eq!(rules.carry_out(&image(&["a", "b"])), [], "a manifest of it is gone");
    rules.carry_out(&put_manifest("app", "two", &[]));
    assert_eq!(rules.carry_out(&image(&["a"])), [], "another tag names it");
    assert_eq!(rules.carry_out(&image(&["a", "b", "c"])), [], "a tag of it is gone");
    assert_eq!(rules.carry_out(&image(&["a", "b"])).len(), 5, "two tags, two manifests, the repository");
    assert_eq!(rules.carry_out(&image(&[])), []);
}

#[test]
fn an_immutable_tag_is_not_swept() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &["a"]));
    let pattern = || vec!["*".parse().unwrap()];
    let policy = Policy { repositories: pattern(), immutable: pattern(), ..Policy::default() };
    let checks = PolicyChecks::over(Policies::new(vec![policy]), rules.view()).unwrap();
    let decided = decide(rules.view(), stamp(NOW), checks.check(), &tags("app", "a", "one")).unwrap();
    assert_eq!(decided.facts, []);
}

#[test]
fn a_manifest_that_a_tag_names_is_not_swept() {
    let mut rules = Rules::default();
    let mut command = put("app", "one", &["a"]);
    command.row.subject = Some(digest("subject").into());
    rules.carry_out(&Command::PutManifest(command));
    rules.carry_out(&put_manifest("app", "two", &[]));
    let facts = rules.carry_out(&manifests("app", &["one", "two", "three"]));
    assert_eq!(facts, [Fact::Manifest { repo: repo("app"), digest: digest("two"), row: None }]);
    rules.carry_out(&Command::DeleteTag { repo: repo("app"), tag: tag("a") });
    rules.carry_out(&manifests("app", &["one"]));
    let referrers = rules.view().referrers(&repo("app"), &Digest::from(digest("subject")), None, 9).unwrap();
    assert!(referrers.is_empty());
    assert_eq!(rules.view().repository(&repo("app")).unwrap(), None, "nothing is left in it");
}

#[test]
fn the_last_link_takes_the_repository_with_it() {
    let mut rules = Rules::default();
    for content in ["one", "two", "three"] {
        rules.carry_out(&link("app", content));
    }
    rules.carry_out(&link("app/sub", "one"));
    rules.carry_out(&links("app", &["one", "two", "four"]));
    assert!(rules.view().repository(&repo("app")).unwrap().is_some());
    rules.carry_out(&links("app", &["three"]));
    assert_eq!(rules.view().repository(&repo("app")).unwrap(), None);
    assert!(rules.view().repository(&repo("app/sub")).unwrap().is_some());
}

#[test]
fn content_is_swept_once() {
    let mut rules = Rules::default();
    rules.carry_out(&link("app", "one"));
    let gone = Fact::Blob { digest: digest("one"), row: None, content: None };
    assert_eq!(rules.carry_out(&content(&["one", "two"])), [gone]);
    assert_eq!(rules.carry_out(&content(&["one"])), []);
}

#[test]
fn a_sweep_without_claims_removes_nothing() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = open(&disk);
    run(&meta, link("app", "one")).unwrap();
    run(&meta, links("app", &["one"])).unwrap();
    run(&meta, content(&["one"])).unwrap();
    assert!(meta.view().link(&repo("app"), &digest("one")).unwrap().is_some());
    assert!(meta.view().blob(&digest("one")).unwrap().is_some());
}
