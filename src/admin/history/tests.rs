//! What the history has, in which order, and how long.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use smol::block_on;

use super::{HistoryEntry, HistoryRequest, history};
use crate::admin::error::AdminError;
use crate::admin::sink::AnswerSink;
use crate::disk::{Disk, MemoryDisk};
use crate::meta::{IndexKind, MetaOptions, Origin};
use crate::registry::{Backing, Condition, PutManifest, PutTarget, Registry, RegistryOptions, Storage};
use crate::spec::{ContentDigest, RepoName};

/// Collects what is sent.
struct Items(Vec<HistoryEntry>);

impl AnswerSink for Items {
    fn progress(&mut self, _: &str, _: u64, _: u64) {}

    fn item(&mut self, item: Value) -> Result<(), AdminError> {
        self.0.push(serde_json::from_value(item).unwrap());
        Ok(())
    }

    fn check_wanted(&self) -> Result<(), AdminError> {
        Ok(())
    }
}

/// Opens a registry whose journal rotates after a few lines and keeps no old files.
fn open(disk: &Arc<dyn Disk>) -> Registry {
    let options = RegistryOptions::new(Storage::Memory);
    let meta =
        MetaOptions { journal_min_bytes: 1000, history_max_bytes: 0, ..MetaOptions::new(IndexKind::Map) };
    Registry::open_on(options, Backing { disk: Arc::clone(disk), lock: None, meta }).unwrap()
}

fn repo() -> RepoName {
    "app".parse().unwrap()
}

fn put(registry: &Registry, number: u64, tag: &str) -> ContentDigest {
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({
        "schemaVersion": 2, "mediaType": media_type, "manifests": [],
        "annotations": {"n": number.to_string()},
    });
    let bytes: Arc<[u8]> = index.to_string().into_bytes().into();
    let digest = ContentDigest::sha256_of(&bytes);
    let target = PutTarget::Tag(tag.parse().unwrap());
    let put = PutManifest { target, content_type: None, bytes, condition: Condition::Always };
    block_on(registry.put_manifest(&repo(), put)).unwrap();
    digest
}

fn everything() -> HistoryRequest {
    HistoryRequest { repo: None, tag: None, before_ms: None, last: 1000 }
}

/// Returns what the history says: what happened, to which tag, what it named then and before, and why.
fn said(registry: &Registry, request: &HistoryRequest) -> Vec<String> {
    let mut items = Items(Vec::new());
    history(registry, request, &mut items).unwrap();
    let orders: Vec<u64> = items.0.iter().map(|entry| entry.order).collect();
    assert!(orders.is_sorted_by(|newer, older| newer >= older), "{orders:?}");
    assert!(items.0.iter().all(|entry| entry.at_ms > 1_600_000_000_000));
    let short = |digest: Option<ContentDigest>| digest.map_or("-".to_owned(), |digest| digest.to_string());
    let line = |entry: HistoryEntry| {
        let by = entry.by.map_or("?".to_owned(), |by| by.to_string());
        let change = serde_json::to_value(entry.change).unwrap();
        let change = change.as_str().unwrap();
        format!("{} {change} {} {} {by}", entry.tag, short(entry.digest), short(entry.was))
    };
    items.0.into_iter().map(line).collect()
}

#[test]
fn each_set_move_and_removal_of_a_tag_is_there_and_an_unchanged_push_is_not() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open(&disk);
    let client = registry.on_behalf_of(Origin::default().client("oras"));
    let one = put(&client, 1, "v1");
    put(&client, 1, "v1");
    put(&client, 1, "v1");
    let two = put(&registry, 2, "v1");
    block_on(registry.delete_tag(&repo(), &"v1".parse().unwrap())).unwrap();
    put(&client, 2, "v1");
    put(&client, 2, "other");
    // Both tags go with the manifest.
    block_on(client.delete_manifest(&repo(), &two.into())).unwrap();
    let expected = [
        format!("v1 tag-removed - {two} oras"),
        format!("other tag-removed - {two} oras"),
        format!("other tag-set {two} - oras"),
        format!("v1 tag-set {two} - oras"),
        format!("v1 tag-removed - {two} ?"),
        format!("v1 tag-moved {two} {one} ?"),
        format!("v1 tag-set {one} - oras"),
    ];
    assert_eq!(said(&registry, &everything()), expected);
    let of_tag = HistoryRequest { repo: Some(repo()), tag: Some("other".parse().unwrap()), ..everything() };
    assert_eq!(said(&registry, &of_tag), expected[1..3]);
    assert_eq!(said(&registry, &HistoryRequest { last: 2, ..everything() }), expected[..2]);
    let other = HistoryRequest { repo: Some("ap".parse().unwrap()), ..everything() };
    assert!(said(&registry, &other).is_empty());
    assert!(said(&registry, &HistoryRequest { before_ms: Some(1), ..everything() }).is_empty());
}

#[test]
fn the_history_outlasts_the_journal_and_the_repository() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open(&disk);
    let first = put(&registry, 0, "v1");
    let journal = || disk.list("journal".as_ref()).unwrap().into_iter().map(|entry| entry.name).min();
    let oldest = journal();
    let mut pushed = 0;
    // Until a checkpoint replaces the file with the first push.
    for number in 1..10_000 {
        pushed = number;
        put(&registry, number, "v1");
        if journal() != oldest {
            break;
        }
    }
    assert_ne!(journal(), oldest);
    let last = put(&registry, pushed, "v1");
    for number in 0..=pushed {
        let digest = put(&registry, number, "v2");
        block_on(registry.delete_manifest(&repo(), &digest.into())).unwrap();
    }
    assert!(registry.view().repository(&repo()).unwrap().is_none());
    let before = said(&registry, &everything());
    drop(registry);
    let registry = open(&disk);
    let after = said(&registry, &everything());
    assert!(after == before);
    assert_eq!(after.last().unwrap(), &format!("v1 tag-set {first} - ?"));
    assert!(after.contains(&format!("v1 tag-removed - {last} ?")));
}

#[test]
fn no_order_comes_twice_after_a_restart() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open(&disk);
    put(&registry, 1, "v1");
    block_on(registry.delete_tag(&repo(), &"v1".parse().unwrap())).unwrap();
    drop(registry);
    // No tag has an order now: only the history does.
    let registry = open(&disk);
    put(&registry, 1, "v1");
    assert_eq!(said(&registry, &everything()).len(), 3);
}

#[test]
fn a_pass_trims_what_is_older_than_it_is_kept_and_nothing_else() {
    for (keep, left) in [(Duration::from_secs(3600), 2), (Duration::ZERO, 0)] {
        let options = RegistryOptions { history_keep: keep, ..RegistryOptions::new(Storage::Memory) };
        let registry = Registry::open(options).unwrap();
        put(&registry, 1, "v1");
        block_on(registry.delete_tag(&repo(), &"v1".parse().unwrap())).unwrap();
        let collector = crate::maintenance::Collector::new(&registry, Default::default());
        collector.run(&Default::default(), &mut |_| ()).unwrap();
        assert_eq!(said(&registry, &everything()).len(), left);
    }
}

#[test]
fn a_pass_keeps_the_newest_of_too_many_changes_of_a_tag() {
    let registry = Registry::open(RegistryOptions::new(Storage::Memory)).unwrap();
    let most = crate::maintenance::CHANGES_PER_TAG_MAX as u64;
    for number in 0..most + 5 {
        put(&registry, number % 2, "v1");
        put(&registry, 0, "other");
    }
    let newest = said(&registry, &HistoryRequest { last: 10_000, ..everything() });
    let collector = crate::maintenance::Collector::new(&registry, Default::default());
    collector.run(&Default::default(), &mut |_| ()).unwrap();
    let left = said(&registry, &HistoryRequest { last: 10_000, ..everything() });
    assert_eq!(left.len() as u64, most + 1);
    assert_eq!(left[..left.len() - 1], newest[..left.len() - 1]);
    assert!(left.last().unwrap().starts_with("other tag-set"));
}
