//! Policies on a registry: tags that go by themselves, tags that may not change, quotas.

use std::sync::Arc;
use std::time::Duration;

use smol::block_on;
use smol::io::Cursor;

use super::clients::{push_all, push_blob, put, repo, tag};
use super::content::{blob, manifest};
use super::{collect, in_memory, no_step, open_with};
use crate::disk::MemoryDisk;
use crate::maintenance::collector::options::CollectOptions;
use crate::meta::{DAY_MS, KeepRule, Policy, SetClock, TODAY_MS, Untagged};
use crate::registry::{Chunk, Registry, RegistryError};

fn policy() -> Policy {
    Policy { repositories: vec!["a*".parse().unwrap()], ..Policy::default() }
}

fn push(registry: &Registry, name: &str, number: usize, named: Option<&str>) {
    block_on(push_all(registry, name, number, named)).unwrap();
}

fn tags(registry: &Registry, name: &str) -> Vec<String> {
    let page = crate::registry::Page { limit: 100, last: None };
    let listed = block_on(registry.tags(&repo(name), &page)).unwrap();
    listed.items.iter().map(|tag| tag.as_str().to_owned()).collect()
}

fn is_denied<T>(done: &Result<T, RegistryError>) -> bool {
    matches!(done, Err(RegistryError::Denied(_)))
}

#[test]
fn tags_that_no_line_keeps_go_with_all_that_only_they_need() {
    let policy = Policy {
        keep: vec![KeepRule::tagged("v1".parse().unwrap())],
        untagged: Some(Untagged::RemoveAfter(Duration::ZERO)),
        ..policy()
    };
    let registry = in_memory(Some(policy));
    for name in ["a", "b"] {
        push(&registry, name, 0, Some("v1"));
        push(&registry, name, 2, Some("v2"));
    }
    let dry = CollectOptions { dry_run: true, ..CollectOptions::default() };
    let would = collect(&registry, &dry);
    assert_eq!((tags(&registry, "a"), would.tags.removed.count), (vec!["v1".to_owned(), "v2".to_owned()], 1));
    let did = collect(&registry, &CollectOptions::default());
    assert_eq!(tags(&registry, "a"), ["v1"]);
    assert_eq!(tags(&registry, "b"), ["v1", "v2"], "the policy is not for it");
    assert_eq!((would.manifests.removed, would.links.removed), (did.manifests.removed, did.links.removed));
    assert_eq!((did.manifests.removed.count, did.links.removed.count), (1, 2));
}

#[test]
fn what_loses_its_tag_by_policy_counts_as_untagged_from_then_on() {
    let untagged = Some(Untagged::RemoveAfter(Duration::from_millis(DAY_MS)));
    let policy = Policy { keep: vec![KeepRule::newest(0)], untagged, ..policy() };
    let clock = SetClock::new(TODAY_MS);
    let registry = open_with(Arc::new(MemoryDisk::new()), Duration::ZERO, Some(policy), clock.clock());
    push(&registry, "a", 0, Some("v1"));
    // It is old, and was tagged all the time.
    clock.pass(2 * DAY_MS);
    let dry = CollectOptions { dry_run: true, ..CollectOptions::default() };
    for options in [dry, CollectOptions::default()] {
        let report = collect(&registry, &options);
        assert_eq!((report.tags.removed.count, report.manifests.removed.count), (1, 0), "{options:?}");
    }
}

#[test]
fn an_immutable_tag_neither_moves_nor_goes() {
    let policy =
        Policy { immutable: vec!["v*".parse().unwrap()], keep: vec![KeepRule::newest(0)], ..policy() };
    let registry = in_memory(Some(policy));
    push(&registry, "a", 0, Some("v1"));
    push(&registry, "a", 1, Some("dev"));
    assert!(is_denied(&block_on(put(&registry, "a", 1, Some("v1")))));
    assert!(is_denied(&block_on(registry.delete_tag(&repo("a"), &tag("v1")))));
    assert!(is_denied(&block_on(registry.delete_manifest(&repo("a"), &manifest(0).digest.into()))));
    block_on(put(&registry, "a", 0, Some("v1"))).unwrap();
    block_on(put(&registry, "a", 0, Some("dev"))).unwrap();
    collect(&registry, &CollectOptions::default());
    assert_eq!(tags(&registry, "a"), ["v1"]);
    // Elsewhere it may.
    push(&registry, "b", 0, Some("v1"));
    push(&registry, "b", 1, Some("v1"));
}

#[test]
fn a_quota_refuses_what_is_too_much_and_keeps_what_is_there() {
    let image: u64 = manifest(0).blobs.iter().map(|number| blob(*number).len() as u64).sum();
    let most = image + manifest(0).bytes.len() as u64;
    let registry = in_memory(Some(Policy { quota_bytes: Some(most), ..policy() }));
    push(&registry, "a", 0, Some("v1"));
    assert!(is_denied(&block_on(push_blob(&registry, "a", 3))));
    assert!(is_denied(&block_on(push_blob(&registry, "a2", 0))), "all repositories of a policy share it");
    // What is there already takes nothing more.
    block_on(put(&registry, "a", 0, Some("v2"))).unwrap();
    push(&registry, "b", 2, Some("v1"));
    let digest = super::content::blob_digest(5).into();
    assert!(is_denied(&block_on(registry.mount(&repo("a"), &digest, Some(&repo("b"))))));
    assert_eq!(registry.upkeep().unnamed(no_step).unwrap(), Vec::new(), "nothing of it is left over");

    block_on(registry.delete_manifest(&repo("a"), &manifest(0).digest.into())).unwrap();
    collect(&registry, &CollectOptions::default());
    block_on(push_blob(&registry, "a", 3)).unwrap();
}

/// Pushes a blob as clients do that name its digest only at the end.
fn push_unnamed(registry: &Registry, name: &str, number: usize) -> Result<(), RegistryError> {
    let chunk = |body| Chunk { body: Cursor::new(body), length: None, range: None };
    let id = block_on(registry.begin_upload(&repo(name), None))?;
    for part in blob(number).chunks(100) {
        block_on(registry.append(&repo(name), id, chunk(part.to_vec())))?;
    }
    let digest = super::content::blob_digest(number).into();
    block_on(registry.finish_upload(&repo(name), id, &digest, chunk(Vec::new()))).map(drop)
}

#[test]
fn an_image_that_is_there_can_be_pushed_again_when_the_quota_is_used_up() {
    let image: u64 = manifest(0).blobs.iter().map(|number| blob(*number).len() as u64).sum();
    let most = image + manifest(0).bytes.len() as u64;
    let registry = in_memory(Some(Policy { quota_bytes: Some(most), ..policy() }));
    push(&registry, "a", 0, Some("v1"));
    for number in manifest(0).blobs.iter().copied() {
        block_on(push_blob(&registry, "a", number)).unwrap();
        push_unnamed(&registry, "a", number).unwrap();
    }
    push(&registry, "a", 0, Some("v2"));
    block_on(put(&registry, "a", 0, None)).unwrap();
    assert!(is_denied(&block_on(push_blob(&registry, "a", 3))), "none of that counted, or came off");

    // What another repository of the policy has is new here.
    assert!(is_denied(&push_unnamed(&registry, "a2", 0)));
    // It could be one of those that are there, as far as is known before its end; the other is too long.
    assert!(blob(3).len() as u64 <= most);
    assert!(is_denied(&push_unnamed(&registry, "a", 3)));
    let id = block_on(registry.begin_upload(&repo("a"), None)).unwrap();
    let body = Cursor::new(vec![0; usize::try_from(most).unwrap() + 1]);
    let long = block_on(registry.append(&repo("a"), id, Chunk { body, length: None, range: None }));
    assert!(is_denied(&long));
    assert_eq!(registry.upkeep().unnamed(no_step).unwrap(), Vec::new(), "nothing of it is left over");
}
