//! What goes and what stays, one thing at a time, and what is said of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use smol::block_on;

use super::clients::{push_all, push_blob, repo, tag};
use super::content::{blob, blob_digest, manifest};
use super::model::{Model, blobs_of};
use super::random::removing_untagged;
use super::{collect, in_memory, no_step, open_on, pass};
use crate::blobs::blob_path;
use crate::disk::{Disk, MemoryDisk};
use crate::maintenance::collector::options::{CollectOptions, CollectorOptions};
use crate::maintenance::collector::report::{Thing, Verdict};
use crate::maintenance::collector::{CollectError, Collector};
use crate::registry::{Chunk, Condition, FILES_PER_STEP, PutManifest, PutTarget, Registry, RegistryError};
use crate::spec::{ContentDigest, Digest, MediaType, Reference};

fn options() -> CollectOptions {
    CollectOptions::default()
}

fn dry() -> CollectOptions {
    CollectOptions { dry_run: true, ..options() }
}

fn push(registry: &Registry, name: &str, number: usize, named: Option<&str>) {
    block_on(push_all(registry, name, number, named)).unwrap();
}

fn delete_manifest(registry: &Registry, name: &str, number: usize) {
    block_on(registry.delete_manifest(&repo(name), &manifest(number).digest.into())).unwrap();
}

fn has_manifest(registry: &Registry, name: &str, number: usize) -> bool {
    let reference = Reference::Digest(manifest(number).digest.into());
    block_on(registry.manifest(&repo(name), &reference)).is_ok()
}

#[test]
fn what_a_manifest_needs_stays_and_what_none_needs_goes() {
    let registry = in_memory(None);
    push(&registry, "a", 0, Some("v1"));
    push(&registry, "a", 2, None);
    block_on(push_blob(&registry, "a", 3)).unwrap();
    let report = collect(&registry, &options());
    assert_eq!(blobs_of(&registry, "a"), [0, 1, 2, 4, 5]);
    assert_eq!((report.links.removed.count, report.content.removed.count), (1, 1));
    assert_eq!(report.content.removed.bytes, blob(3).len() as u64);
    assert!(report.complete && report.repositories == 1);
    delete_manifest(&registry, "a", 2);
    collect(&registry, &options());
    assert_eq!(blobs_of(&registry, "a"), [0, 1, 2]);
}

#[test]
fn content_goes_only_when_no_repository_has_it() {
    let registry = in_memory(None);
    push(&registry, "a", 0, Some("v1"));
    push(&registry, "b", 0, Some("v1"));
    delete_manifest(&registry, "a", 0);
    let report = collect(&registry, &options());
    assert_eq!((report.links.removed.count, report.content.removed.count), (3, 0));
    assert_eq!(report.repositories_removed, 1, "its last link took the repository with it");
    assert!(matches!(
        block_on(registry.tags(&repo("a"), &crate::registry::Page { limit: 9, last: None })),
        Err(RegistryError::NameUnknown(_))
    ));
    delete_manifest(&registry, "b", 0);
    let report = collect(&registry, &options());
    assert_eq!((report.links.removed.count, report.content.removed.count), (3, 4));
    Model::new(false).check_nothing_else(&registry).unwrap();
}

#[test]
fn children_and_referrers_of_what_is_tagged_stay() {
    let registry = in_memory(Some(removing_untagged()));
    push(&registry, "a", 4, Some("v1"));
    for referrer in [5, 6, 7] {
        push(&registry, "a", referrer, None);
    }
    assert_eq!(collect(&registry, &options()).manifests.removed.count, 0);
    block_on(registry.delete_tag(&repo("a"), &tag("v1"))).unwrap();
    let report = collect(&registry, &options());
    assert_eq!(report.manifests.removed.count, 8);
    Model::new(true).check_nothing_else(&registry).unwrap();
}

#[test]
fn referrers_without_a_subject_go_only_by_policy() {
    for removes in [false, true] {
        let registry = in_memory(removes.then(removing_untagged));
        push(&registry, "a", 5, None);
        collect(&registry, &options());
        assert_eq!(has_manifest(&registry, "a", 5), !removes);
        push(&registry, "a", 5, Some("v1"));
        collect(&registry, &options());
        assert!(has_manifest(&registry, "a", 5), "a tag leads to it");
    }
}

#[test]
fn what_a_referrer_lists_stays_while_the_referrer_is_leased() {
    let lease = Duration::from_secs(20);
    let registry = open_on(Arc::new(MemoryDisk::new()), lease, Some(removing_untagged()));
    registry.upkeep().complete_now();
    push(&registry, "a", 0, None);
    push(&registry, "a", 2, None);
    let described =
        |number: usize| serde_json::json!({"mediaType": "a/b", "digest": manifest(number).digest, "size": 1});
    // It lists one image, and refers to another one.
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": [described(2)],
        "subject": described(0),
    });
    let bytes: Arc<[u8]> = index.to_string().into_bytes().into();
    let digest = ContentDigest::sha256_of(&bytes);
    let target = PutTarget::Digest { digest: digest.into(), tags: Vec::new() };
    let put = PutManifest { target, content_type: None, bytes, condition: Condition::Always };
    block_on(registry.put_manifest(&repo("a"), put)).unwrap();
    registry.upkeep().grow_older(3 * lease);
    let index_is_there =
        || block_on(registry.manifest(&repo("a"), &Reference::Digest(digest.into()))).is_ok();
    assert!(index_is_there(), "and the answer leases it");
    let report = collect(&registry, &options());
    assert_eq!(report.manifests.removed.count, 1);
    assert_eq!([0, 2].map(|number| has_manifest(&registry, "a", number)), [false, true]);
    assert!(index_is_there());
    registry.upkeep().grow_older(3 * lease);
    assert_eq!(collect(&registry, &options()).manifests.removed.count, 2);
}

#[test]
fn a_push_that_takes_longer_than_a_lease_keeps_what_it_began_with() {
    let lease = Duration::from_secs(20);
    let registry = open_on(Arc::new(MemoryDisk::new()), lease, Some(removing_untagged()));
    registry.upkeep().complete_now();
    // A child of an index that is still to come, and a layer; elsewhere, a layer of an abandoned push.
    push(&registry, "a", 0, None);
    block_on(push_blob(&registry, "a", 3)).unwrap();
    block_on(push_blob(&registry, "b", 4)).unwrap();
    let id = block_on(registry.begin_upload(&repo("a"), None)).unwrap();
    let last = blob(5);
    let (begin, rest) = last.split_at(3);
    for (number, stays) in [(0, true), (1, true), (2, false)] {
        registry.upkeep().grow_older(3 * lease);
        if stays {
            let chunk = Chunk { body: &begin[number..=number], length: Some(1), range: None };
            block_on(registry.append(&repo("a"), id, chunk)).unwrap();
        }
        collect(&registry, &options());
        assert_eq!(has_manifest(&registry, "a", 0), stays, "{number}");
        assert_eq!(blobs_of(&registry, "a").contains(&3), stays, "{number}");
        assert_eq!(blobs_of(&registry, "b"), [0; 0]);
    }
    let rest = Chunk { body: &last[2..], length: Some(rest.len() as u64 + 1), range: None };
    block_on(registry.finish_upload(&repo("a"), id, &blob_digest(5).into(), rest)).unwrap();
}

#[test]
fn made_up_layers_do_not_fill_the_leases() {
    let registry = open_on(Arc::new(MemoryDisk::new()), Duration::from_secs(3600), None);
    block_on(push_blob(&registry, "a", 0)).unwrap();
    let described =
        |digest: ContentDigest| serde_json::json!({"mediaType": "a/b", "digest": digest, "size": 1});
    let layers: Vec<_> = (0..100)
        .map(|number| {
            let mut layer = described(ContentDigest::sha256_of(format!("layer {number}").as_bytes()));
            layer["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into();
            layer
        })
        .collect();
    let image = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": described(blob_digest(0)),
        "layers": layers,
    });
    let bytes: Arc<[u8]> = image.to_string().into_bytes().into();
    let (target, condition) = (PutTarget::Tag(tag("v1")), Condition::Always);
    let put = PutManifest { target, content_type: None, bytes, condition };
    let before = registry.upkeep().leased();
    block_on(registry.put_manifest(&repo("a"), put)).unwrap();
    assert_eq!(registry.upkeep().leased(), before + 1, "the manifest itself");
}

#[test]
fn untagged_manifests_stay_and_it_is_said_what_they_cost() {
    let registry = in_memory(None);
    push(&registry, "a", 0, Some("v1"));
    push(&registry, "a", 2, None);
    let report = collect(&registry, &options());
    // Image 0 needs blob 2, too.
    let bytes = manifest(2).bytes.len() + blob(4).len() + blob(5).len();
    assert_eq!((report.untagged.count, report.untagged.bytes), (1, bytes as u64));
    assert!(report.untagged_advice.unwrap().contains("untagged = \"remove after 7d\""));
    let asked = CollectOptions { untagged_older_than: Some(Duration::ZERO), ..options() };
    let report = collect(&registry, &asked);
    assert_eq!((report.manifests.removed.count, report.untagged.count), (1, 0));
    assert_eq!(blobs_of(&registry, "a"), [0, 1, 2]);
}

#[test]
fn a_dry_run_says_why_and_removes_nothing() {
    let registry = in_memory(None);
    push(&registry, "a", 0, Some("v1"));
    block_on(push_blob(&registry, "a", 3)).unwrap();
    let mut verdicts: Vec<Verdict> = Vec::new();
    let report = pass(&registry, &dry(), &mut || {}, &mut |verdict| verdicts.push(verdict.clone()));
    assert_eq!(blobs_of(&registry, "a"), [0, 1, 2, 3]);
    assert_eq!((report.links.removed.count, report.dry_run), (1, true));
    let of = |what, digest: ContentDigest| {
        let found = verdicts.iter().find(|one| one.what == what && one.digest == Some(digest.to_string()));
        let found = found.unwrap_or_else(|| panic!("no word about {what} {digest}"));
        (found.stays, found.why.clone())
    };
    let owner = format!("a@{} tagged v1", manifest(0).digest);
    assert_eq!(of(Thing::Link, blob_digest(0)), (true, format!("kept: config of {owner}")));
    assert_eq!(of(Thing::Link, blob_digest(1)), (true, format!("kept: layer of {owner}")));
    assert_eq!(of(Thing::Manifest, manifest(0).digest), (true, "kept: tagged v1".to_owned()));
    assert_eq!(
        of(Thing::Link, blob_digest(3)),
        (false, "removed: no manifest of a references it".to_owned())
    );
    assert!(verdicts.iter().any(|one| one.what == Thing::Tag && one.stays));
}

#[test]
fn a_lease_keeps_what_a_client_asked_for() {
    let hour = Duration::from_secs(3600);
    let registry = open_on(Arc::new(MemoryDisk::new()), hour, None);
    block_on(push_blob(&registry, "a", 0)).unwrap();
    let report = collect(&registry, &options());
    assert_eq!((report.links.held.count, report.links.removed.count), (1, 0), "it was just pushed");
    assert!(!report.notes.is_empty(), "nothing is known of leases before the start");
    assert_eq!(collect(&registry, &CollectOptions { alone: true, ..options() }).links.removed.count, 1);

    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open_on(Arc::clone(&disk), hour, None);
    for number in [0, 1] {
        block_on(push_blob(&registry, "a", number)).unwrap();
    }
    block_on(registry.close()).unwrap();
    drop(registry);
    let registry = open_on(disk, hour, None);
    registry.upkeep().complete_now();
    let digest: Digest = blob_digest(1).into();
    assert!(block_on(registry.blob_size(&repo("a"), &digest)).is_ok());
    collect(&registry, &options());
    assert_eq!(blobs_of(&registry, "a"), [1]);
}

#[test]
fn a_manifest_that_cannot_be_read_keeps_its_repository_as_it_is() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open_on(Arc::clone(&disk), Duration::ZERO, None);
    for name in ["a", "b"] {
        push(&registry, name, 0, Some("v1"));
        block_on(push_blob(&registry, name, 3)).unwrap();
    }
    push(&registry, "a", 1, Some("v2"));
    registry.content().write_files().unwrap();
    disk.open_writable(&blob_path(&manifest(1).digest)).unwrap().write_at(b"?", 0).unwrap();
    let report = collect(&registry, &options());
    assert_eq!(report.unreadable.len(), 1);
    assert!(report.unreadable[0].contains(&manifest(1).digest.encoded()));
    assert_eq!((blobs_of(&registry, "a"), blobs_of(&registry, "b")), (vec![0, 1, 2, 3], vec![0, 1, 2]));
}

#[test]
fn a_reference_to_something_absent_references_nothing() {
    let registry = in_memory(None);
    push(&registry, "a", 3, Some("v1"));
    delete_manifest(&registry, "a", 1);
    let report = collect(&registry, &options());
    assert_eq!((report.unreadable.len(), report.links.removed.count), (0, 1));
    assert_eq!(blobs_of(&registry, "a"), [0, 1, 2]);
}

#[test]
fn files_that_nothing_names_go() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open_on(Arc::clone(&disk), Duration::ZERO, None);
    let path = blob_path(&blob_digest(0));
    disk.create_folder(path.parent().unwrap()).unwrap();
    disk.create(&path).unwrap().write_at(&blob(0), 0).unwrap();
    disk.create(Path::new("uploads/00000000-0000-4000-8000-000000000001")).unwrap();
    let live = block_on(registry.begin_upload(&repo("a"), None)).unwrap();
    let body = Chunk { body: &[7; 9000][..], length: Some(9000), range: None };
    block_on(registry.append(&repo("a"), live, body)).unwrap();
    let report = collect(&registry, &options());
    assert_eq!(report.files.removed.count, 2);
    assert!(disk.open(&path).is_err());
    let left = registry.upkeep().blobs().uploads().unwrap();
    assert_eq!(left.into_iter().map(|upload| upload.name).collect::<Vec<_>>(), [live.to_string()]);
}

#[test]
fn a_search_for_files_without_a_name_makes_pauses_and_ends_when_it_is_to() {
    let registry = in_memory(None);
    for number in 0..3 * FILES_PER_STEP {
        let bytes = format!("layer {number}").into_bytes();
        let (digest, length) = (ContentDigest::sha256_of(&bytes), Some(bytes.len() as u64));
        let id = block_on(registry.begin_upload(&repo("a"), None)).unwrap();
        let chunk = Chunk { body: &bytes[..], length, range: None };
        block_on(registry.finish_upload(&repo("a"), id, &digest.into(), chunk)).unwrap();
    }
    let mut steps = 0;
    let mut step = |stop_at: usize| {
        steps += 1;
        if steps == stop_at { Err(CollectError::Stopped) } else { Ok(()) }
    };
    assert_eq!(registry.upkeep().unnamed(|| step(4)).unwrap(), Vec::new());
    let stopped = registry.upkeep().unnamed(|| step(5));
    assert!(matches!(stopped, Err(CollectError::Stopped)), "{stopped:?}");
    assert_eq!(steps, 5);
}

#[test]
fn content_that_is_stored_for_what_is_refused_is_not_left_behind() {
    let registry = in_memory(None);
    push(&registry, "a", 0, Some("v1"));
    let condition = Condition::Absent;
    let (bytes, target) = (manifest(5).bytes.clone(), PutTarget::Tag(tag("v1")));
    block_on(push_blob(&registry, "a", 4)).unwrap();
    let put = PutManifest { target, content_type: None, bytes, condition };
    let refused = block_on(registry.put_manifest(&repo("a"), put));
    assert!(matches!(refused, Err(RegistryError::ConditionFailed(_))));
    assert_eq!(registry.upkeep().unnamed(no_step).unwrap(), Vec::new());
}

#[test]
fn a_collector_that_is_stopped_runs_no_more() {
    let registry = in_memory(None);
    push(&registry, "a", 0, None);
    let collector = Collector::new(&registry, CollectorOptions::default());
    assert!(collector.run(&options(), &mut |_| {}).unwrap().complete);
    collector.start().unwrap();
    assert!(collector.status().enabled);
    collector.stop();
    assert!(matches!(collector.run(&options(), &mut |_| {}), Err(CollectError::Stopped)));
    assert!(collector.status().passes >= 1);
    block_on(registry.close()).unwrap();
}

#[test]
fn nothing_goes_while_damaged_metadata_is_kept() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open_on(Arc::clone(&disk), Duration::ZERO, None);
    block_on(push_blob(&registry, "a", 0)).unwrap();
    block_on(registry.close()).unwrap();
    drop(registry);
    let kept = Path::new("journal/000000000001.damaged");
    disk.create(kept).unwrap();
    let registry = open_on(Arc::clone(&disk), Duration::ZERO, None);
    let report = collect(&registry, &options());
    assert!(!report.complete && report.notes[0].contains("damaged"), "{report:?}");
    assert_eq!(blobs_of(&registry, "a"), [0]);
    drop(registry);
    disk.remove(kept).unwrap();
    let registry = open_on(disk, Duration::ZERO, None);
    assert!(collect(&registry, &options()).complete);
    assert!(blobs_of(&registry, "a").is_empty());
}

#[test]
fn a_referrer_stays_whose_subject_comes_while_it_is_to_go() {
    // At whatever step the subject comes: before that one is marked, the referrer's own tag keeps it.
    for step in 0..40 {
        let registry = in_memory(Some(removing_untagged()));
        push(&registry, "a", 5, Some("v2"));
        let mut steps = 0;
        let mut between = || {
            steps += 1;
            if steps == step {
                push(&registry, "a", 0, Some("v1"));
                block_on(registry.delete_tag(&repo("a"), &tag("v2"))).unwrap();
            }
        };
        pass(&registry, &options(), &mut between, &mut |_| {});
        assert!(steps < step || step == 0 || has_manifest(&registry, "a", 5), "at step {step}");
    }
}

#[test]
fn a_manifest_that_cannot_be_read_keeps_its_repository_is_reported_and_scrubbed() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open_on(Arc::clone(&disk), Duration::ZERO, None);
    for name in ["a", "b"] {
        push(&registry, name, 0, Some("v1"));
        block_on(push_blob(&registry, name, 3)).unwrap();
    }
    push(&registry, "a", 2, None);
    let damaged = manifest(2).digest;
    registry.content().write_files().unwrap();
    let file = disk.open_writable(&blob_path(&damaged)).unwrap();
    file.write_at(b"damaged", 0).unwrap();
    let damage_reports = registry.scrub_waker().unwrap();
    let report = collect(&registry, &options());
    assert!(!report.complete && report.unreadable[0].contains(&damaged.to_string()), "{report:?}");
    assert_eq!(damage_reports.try_recv().unwrap(), Some(damaged));
    assert_eq!((blobs_of(&registry, "a").contains(&3), blobs_of(&registry, "b").contains(&3)), (true, false));
}
