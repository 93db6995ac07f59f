//! What the log says of changes, in which shape, and how it goes on.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use smol::block_on;

use crate::admin::log::{LogRequest, LogStream};
use crate::meta::Origin;
use crate::registry::{Chunk, Condition, PutManifest, PutTarget, Registry, RegistryOptions, Storage};
use crate::spec::{ContentDigest, RepoName};

fn registry() -> Registry {
    Registry::open(RegistryOptions::new(Storage::Memory)).unwrap()
}

fn repo(name: &str) -> RepoName {
    name.parse().unwrap()
}

fn index(number: u64) -> Arc<[u8]> {
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({
        "schemaVersion": 2, "mediaType": media_type, "manifests": [],
        "annotations": {"n": number.to_string()},
    });
    index.to_string().into_bytes().into()
}

fn put(registry: &Registry, name: &str, number: u64, tag: &str) -> String {
    let (target, bytes) = (PutTarget::Tag(tag.parse().unwrap()), index(number));
    let digest = ContentDigest::sha256_of(&bytes).to_string();
    let put = PutManifest { target, content_type: None, bytes, condition: Condition::Always };
    block_on(registry.put_manifest(&repo(name), put)).unwrap();
    digest
}

fn everything() -> LogRequest {
    LogRequest { repo: None, since_ms: None, follow: true }
}

/// Reads to the end, and returns the changes without their times, which it checks.
fn read_on(log: &mut LogStream) -> Vec<Value> {
    let mut changes = Vec::new();
    loop {
        let page = log.page().unwrap();
        changes.extend(page.changes);
        if page.at_end {
            break;
        }
    }
    for change in &mut changes {
        let at = change.as_object_mut().unwrap().remove("at_ms").unwrap().as_u64().unwrap();
        assert!(at > 1_600_000_000_000, "{at}");
    }
    changes
}

/// The fields are documented in docs/control.md.
#[test]
fn a_change_has_the_documented_fields() {
    let registry = registry();
    let name = repo("app");
    let content = b"content";
    let digest = ContentDigest::sha256_of(content);
    let id = block_on(registry.begin_upload(&name, None)).unwrap();
    let chunk = Chunk { body: &content[..], length: None, range: None };
    block_on(registry.finish_upload(&name, id, &digest.into(), chunk)).unwrap();
    let client = registry.on_behalf_of(Origin::default().client("oras").request("r"));
    let first = put(&client, "app", 1, "v1");
    let second = put(&registry, "app", 2, "v1");
    block_on(registry.delete_tag(&name, &"v1".parse().unwrap())).unwrap();
    block_on(registry.delete_manifest(&name, &first.parse().unwrap())).unwrap();
    block_on(registry.delete_manifest(&name, &second.parse().unwrap())).unwrap();
    block_on(registry.delete_blob(&name, &digest.into())).unwrap();
    // The lines carry content, and no change shows it.
    assert!(registry.content().unfiled().bytes() > 0);
    let mut log = LogStream::open(&registry, everything()).unwrap();
    let by = json!({"client": "oras", "request": "r"});
    let digest = digest.to_string();
    let changes = read_on(&mut log);
    let seq = |at: usize| changes[at]["seq"].clone();
    assert_eq!(
        changes,
        [
            json!({"seq": 2, "change": "blob-added", "repo": "app", "digest": digest}),
            json!({"seq": 3, "change": "manifest-pushed", "repo": "app", "digest": first, "by": by}),
            json!({"seq": 3, "change": "tag-set", "repo": "app", "tag": "v1", "digest": first, "by": by}),
            json!({"seq": seq(3), "change": "manifest-pushed", "repo": "app", "digest": second}),
            json!({
                "seq": seq(3), "change": "tag-moved", "repo": "app", "tag": "v1", "digest": second,
                "was": first,
            }),
            json!({"seq": seq(5), "change": "tag-removed", "repo": "app", "tag": "v1", "digest": second}),
            json!({"seq": seq(6), "change": "manifest-removed", "repo": "app", "digest": first}),
            json!({"seq": seq(7), "change": "manifest-removed", "repo": "app", "digest": second}),
            json!({"seq": seq(8), "change": "blob-removed", "repo": "app", "digest": digest}),
            json!({"seq": seq(8), "change": "repository-removed", "repo": "app"}),
        ]
    );
}

#[test]
fn only_changes_that_are_asked_for_are_sent() {
    let registry = registry();
    put(&registry, "app", 1, "v1");
    put(&registry, "other", 2, "v1");
    let of = |request| read_on(&mut LogStream::open(&registry, request).unwrap()).len();
    assert_eq!(of(everything()), 4);
    assert_eq!(of(LogRequest { repo: Some(repo("other")), ..everything() }), 2);
    assert_eq!(of(LogRequest { since_ms: Some(1), ..everything() }), 4);
    assert_eq!(of(LogRequest { since_ms: Some(u64::MAX), ..everything() }), 0);
}

#[test]
fn a_page_is_short_however_much_there_is() {
    let registry = registry();
    for number in 0..600 {
        put(&registry, "app", number, "latest");
    }
    let mut log = LogStream::open(&registry, everything()).unwrap();
    let lengths: Vec<usize> = std::iter::repeat_with(|| log.page().unwrap())
        .map(|page| page.changes.len())
        .take_while(|length| *length > 0)
        .collect();
    assert_eq!(lengths.iter().sum::<usize>(), 1200);
    assert!(lengths.len() > 3 && lengths.iter().all(|length| *length < 300), "{lengths:?}");
}

#[test]
fn a_follower_is_woken_by_each_change() {
    let registry = registry();
    let mut log = LogStream::open(&registry, everything()).unwrap();
    for number in 0..3 {
        put(&registry, "app", number, "latest");
        // Another commit, such as the beginning of an upload, may have woken it before.
        while read_on(&mut log).is_empty() {
            block_on(log.changed());
        }
    }
    assert!(read_on(&mut log).is_empty());
}

/// What memory keeps for readers is 4 MiB.
#[test]
fn a_reader_that_fell_behind_gets_a_line_that_says_so() {
    let registry = registry();
    let mut log = LogStream::open(&registry, everything()).unwrap();
    put(&registry, "app", 0, "first");
    let name = repo("app");
    let many = |number: u64| {
        let tags = (0..100).map(|tag| format!("{tag:0>100}").parse().unwrap()).collect();
        let bytes = index(number);
        let digest = ContentDigest::sha256_of(&bytes).into();
        let target = PutTarget::Digest { digest, tags };
        PutManifest { target, content_type: None, bytes, condition: Condition::Always }
    };
    for number in 1..200 {
        block_on(registry.put_manifest(&name, many(number))).unwrap();
    }
    let missed = log.page().unwrap();
    assert_eq!(missed.changes[0]["change"], "missed");
    let last = missed.changes[0]["seq"].as_u64().unwrap();
    let next = log.page().unwrap().changes[0]["seq"].as_u64().unwrap();
    assert!(last > 0 && next == last + 1, "{last} {next}");
}

#[test]
fn a_folder_without_a_store_is_refused() {
    struct NoSink;
    impl crate::admin::AnswerSink for NoSink {
        fn progress(&mut self, _: &str, _: u64, _: u64) {}
        fn item(&mut self, _: Value) -> Result<(), crate::admin::AdminError> {
            Ok(())
        }
        fn check_wanted(&self) -> Result<(), crate::admin::AdminError> {
            Ok(())
        }
    }
    let empty = tempfile::tempdir().unwrap();
    let read = |folder: &Path| everything().read_stopped(folder, &mut NoSink);
    assert!(read(empty.path()).is_err());
    assert!(std::fs::read_dir(empty.path()).unwrap().next().is_none());
}
