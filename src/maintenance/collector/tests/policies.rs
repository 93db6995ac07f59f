//! Policies on a registry: tags that go by themselves, tags that may not change, quotas.

use std::sync::Arc;
use std::time::Duration;

use smol::block_on;
use smol::io::Cursor;

use super::clients::{push_all, push_blob, put, repo, tag};
use super::content::{MANIFESTS, blob, manifest, signature_of};
use super::{collect, in_memory, no_step, open_on, open_with, pass};
use crate::disk::MemoryDisk;
use crate::maintenance::collector::options::CollectOptions;
use crate::meta::{DAY_MS, KeepRule, Policy, SetClock, TODAY_MS, Untagged};
use crate::registry::{Chunk, Registry, RegistryError};
use crate::spec::Reference;

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

/// Returns the numbers of the manifests that a repository has.
fn manifests(registry: &Registry, name: &str) -> Vec<usize> {
    let there = registry.view().manifests(&repo(name), None, 100).unwrap();
    let is_there = |number: &usize| there.iter().any(|(digest, _)| *digest == manifest(*number).digest);
    (0..MANIFESTS.len()).filter(is_there).collect()
}

/// Pushes two indexes with their children, referrers and signatures, and removes the first one by a rule.
fn signed_images(untagged: Option<Untagged>) -> Registry {
    let policy = Policy { keep: vec![KeepRule::newest(1)], untagged, ..policy() };
    let registry = open_on(Arc::new(MemoryDisk::new()), Duration::from_secs(3600), Some(policy));
    registry.upkeep().complete_now();
    // An index of 0 and 1, its referrer, the referrers of 0.
    push(&registry, "a", 3, Some("v1"));
    for number in [5, 6, 7] {
        push(&registry, "a", number, None);
    }
    push(&registry, "a", 2, Some("v2"));
    registry
}

#[test]
fn an_image_goes_with_its_children_referrers_and_signatures_whatever_is_said_of_untagged_ones() {
    for untagged in [None, Some(Untagged::Keep), Some(Untagged::RemoveAfter(Duration::from_secs(3600)))] {
        let registry = signed_images(untagged);
        // The signatures of an index, of a child of it, and of the image that stays; they share one manifest.
        for number in [3, 0, 2] {
            push(&registry, "a", 1, Some(&signature_of(number)));
        }
        registry.upkeep().grow_older(Duration::from_secs(7200));
        let dry = CollectOptions { dry_run: true, ..CollectOptions::default() };
        let would = collect(&registry, &dry);
        let did = collect(&registry, &CollectOptions::default());
        assert_eq!(tags(&registry, "a"), [signature_of(2), "v2".to_owned()], "{untagged:?}");
        assert_eq!(manifests(&registry, "a"), [1, 2], "{untagged:?}");
        assert_eq!((would.manifests.removed, would.tags.removed), (did.manifests.removed, did.tags.removed));
        assert_eq!((did.manifests.removed.count, did.tags.removed.count), (5, 3));
    }
}

#[test]
fn a_signature_goes_with_an_image_that_lost_its_tag_and_stays_where_there_is_no_image() {
    let untagged = Some(Untagged::RemoveAfter(Duration::ZERO));
    let registry = in_memory(Some(Policy { untagged, ..policy() }));
    push(&registry, "a", 0, Some("v1"));
    push(&registry, "a", 2, Some(&signature_of(0)));
    push(&registry, "a", 5, Some(&signature_of(1)));
    collect(&registry, &CollectOptions::default());
    assert_eq!(tags(&registry, "a").len(), 3, "one belongs to what stays, one to what is not there");
    assert_eq!(manifests(&registry, "a"), [0, 2, 5]);
    push(&registry, "a", 3, Some("v1"));
    block_on(registry.delete_tag(&repo("a"), &tag("v1"))).unwrap();
    collect(&registry, &CollectOptions::default());
    // Each belonged to a child of the index.
    assert_eq!(manifests(&registry, "a"), Vec::<usize>::new());
    assert!(!registry.view().has_anything(&repo("a")).unwrap());
}

#[test]
fn tags_that_belong_to_each_other_stay() {
    let registry =
        in_memory(Some(Policy { untagged: Some(Untagged::RemoveAfter(Duration::ZERO)), ..policy() }));
    push(&registry, "a", 0, Some(&signature_of(2)));
    push(&registry, "a", 2, Some(&signature_of(0)));
    // One that names its own subject is a tag like others.
    push(&registry, "a", 1, Some(&signature_of(1)));
    collect(&registry, &CollectOptions::default());
    assert_eq!((tags(&registry, "a").len(), manifests(&registry, "a")), (3, vec![0, 1, 2]));
}

/// At any step of a pass the image is there with all that belongs to it, or nothing of it is. If a client
/// finds a part of it, all of it stays.
#[test]
fn an_image_goes_whole_or_not_at_all() {
    let (mut kept, mut went) = (0, 0);
    for asked in [None, Some(0), Some(5), Some(6)] {
        for step in 0..24 {
            let registry = signed_images(None);
            push(&registry, "a", 6, Some(&signature_of(1)));
            registry.upkeep().grow_older(Duration::from_secs(7200));
            let (mut steps, mut found) = (0, false);
            let mut between = || {
                let there = (tags(&registry, "a").len(), manifests(&registry, "a").len());
                assert!([(3, 7), (1, 1)].contains(&there), "{asked:?} {step}: {there:?}");
                if steps == step
                    && let Some(number) = asked
                {
                    let digest = Reference::Digest(manifest(number).digest.into());
                    found = block_on(registry.manifest_info(&repo("a"), &digest)).is_ok();
                }
                steps += 1;
            };
            pass(&registry, &CollectOptions::default(), &mut between, &mut |_| {});
            let left = manifests(&registry, "a");
            assert_eq!(left.len(), if found { 7 } else { 1 }, "{asked:?} {step}: {left:?}");
            *(if found { &mut kept } else { &mut went }) += 1;
        }
    }
    assert!(kept > 3 && went > 24, "{kept} {went}");
}

#[test]
fn what_loses_its_tag_by_a_move_or_a_deletion_counts_as_untagged_from_then_on() {
    let untagged = Some(Untagged::RemoveAfter(Duration::from_millis(DAY_MS)));
    let policy = Policy { keep: vec![KeepRule::newest(1)], untagged, ..policy() };
    let clock = SetClock::new(TODAY_MS);
    let registry = open_with(Arc::new(MemoryDisk::new()), Duration::ZERO, Some(policy), clock.clock());
    push(&registry, "a", 0, Some("v1"));
    // It is old, and was tagged all the time.
    clock.pass(2 * DAY_MS);
    push(&registry, "a", 2, Some("v1"));
    let dry = CollectOptions { dry_run: true, ..CollectOptions::default() };
    for options in [dry, CollectOptions::default()] {
        let report = collect(&registry, &options);
        assert_eq!((report.tags.removed.count, report.manifests.removed.count), (0, 0), "{options:?}");
    }
    clock.pass(2 * DAY_MS);
    assert_eq!(collect(&registry, &CollectOptions::default()).manifests.removed.count, 1);
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
