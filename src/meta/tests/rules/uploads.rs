//! The rules for blobs and upload sessions.

use super::*;
use crate::meta::model::{BlobRow, LinkRow, RepositoryRow};

fn begin(number: u8) -> Command {
    Command::BeginUpload { id: upload_id(number), row: upload_row("app", 0) }
}

fn mount(from: &str, content: &str) -> Command {
    Command::Mount { repo: repo("app"), from: repo(from), digest: digest(content) }
}

#[test]
fn linking_ends_the_upload_that_brought_the_blob_and_no_other() {
    let mut rules = Rules::default();
    rules.carry_out(&begin(1));
    rules.carry_out(&begin(2));
    let command = Command::Link { repo: repo("app"), blob: blob("layer"), upload: upload_id(1) };
    let facts = rules.carry_out(&command);
    let expected = [
        Fact::Blob {
            digest: digest("layer"),
            row: Some(BlobRow { size: 5, optional: Optional::default() }),
            content: None,
        },
        Fact::Repository {
            repo: repo("app"),
            row: Some(RepositoryRow { since: NOW, optional: Optional::default() }),
        },
        Fact::Link {
            repo: repo("app"),
            digest: digest("layer"),
            row: Some(LinkRow { size: 5, optional: Optional::default() }),
        },
        Fact::Upload { id: upload_id(1), row: None },
    ];
    assert_eq!(facts, expected);
    assert!(rules.view().upload(upload_id(2)).unwrap().is_some());
}

#[test]
fn linking_what_is_there_only_ends_the_upload() {
    let mut rules = Rules::default();
    rules.carry_out(&link("app", "layer"));
    assert_eq!(rules.carry_out(&link("app", "layer")), []);
    rules.carry_out(&begin(1));
    let command = Command::Link { repo: repo("app"), blob: blob("layer"), upload: upload_id(1) };
    assert_eq!(rules.carry_out(&command), [Fact::Upload { id: upload_id(1), row: None }]);
}

#[test]
fn a_mount_takes_the_size_from_where_it_comes_and_stores_nothing() {
    let mut rules = Rules::default();
    rules.carry_out(&link("base", "layer"));
    let facts = rules.carry_out(&mount("base", "layer"));
    let expected = [
        Fact::Repository {
            repo: repo("app"),
            row: Some(RepositoryRow { since: NOW, optional: Optional::default() }),
        },
        Fact::Link {
            repo: repo("app"),
            digest: digest("layer"),
            row: Some(LinkRow { size: 5, optional: Optional::default() }),
        },
    ];
    assert_eq!(facts, expected);
    assert_eq!(rules.carry_out(&mount("base", "layer")), []);
}

#[test]
fn a_mount_from_where_the_blob_is_not_is_refused() {
    let mut rules = Rules::default();
    rules.carry_out(&link("other", "layer"));
    rules.carry_out(&put_manifest("base", "manifest", &[]));
    assert_eq!(rules.refusal(&mount("base", "layer")), Refusal::BlobUnknown(digest("layer")));
    assert_eq!(rules.refusal(&mount("base", "manifest")), Refusal::BlobUnknown(digest("manifest")));
    assert_eq!(rules.refusal(&mount("nowhere", "layer")), Refusal::BlobUnknown(digest("layer")));
}

#[test]
fn an_upload_advances_and_says_nothing_twice() {
    let mut rules = Rules::default();
    rules.carry_out(&begin(1));
    let row = UploadRow { state: Some("00".to_owned()), ..upload_row("app", 5) };
    let command = Command::AdvanceUpload { id: upload_id(1), row: row.clone() };
    let facts = rules.carry_out(&command);
    let row = UploadRow { at: Some(NOW), ..row };
    assert_eq!(facts, [Fact::Upload { id: upload_id(1), row: Some(row.clone()) }]);
    assert_eq!(rules.carry_out(&command), []);
    assert_eq!(rules.view().upload(upload_id(1)).unwrap(), Some(row));
}

#[test]
fn an_upload_that_has_ended_neither_advances_nor_ends_again() {
    let mut rules = Rules::default();
    rules.carry_out(&begin(1));
    let end = Command::EndUpload { id: upload_id(1) };
    assert_eq!(rules.carry_out(&end), [Fact::Upload { id: upload_id(1), row: None }]);
    let advance = Command::AdvanceUpload { id: upload_id(1), row: upload_row("app", 5) };
    for command in [end, advance] {
        assert_eq!(rules.refusal(&command), Refusal::UploadUnknown);
    }
    assert_eq!(rows(&rules.index), []);
}

#[test]
fn only_what_promises_nothing_may_be_answered_before_it_is_durable() {
    let rides = [begin(1), Command::AdvanceUpload { id: upload_id(1), row: upload_row("app", 5) }];
    assert!(rides.iter().all(Command::rides_along));
    let waits = [
        put_manifest("app", "one", &[]),
        link("app", "one"),
        mount("base", "one"),
        Command::EndUpload { id: upload_id(1) },
        Command::DeleteManifest { repo: repo("app"), digest: digest("one") },
        Command::DeleteTag { repo: repo("app"), tag: tag("latest") },
        Command::Unlink { repo: repo("app"), digest: digest("one") },
    ];
    assert!(!waits.iter().any(Command::rides_along));
}
