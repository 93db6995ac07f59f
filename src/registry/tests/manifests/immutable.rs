//! What immutable tags lead to cannot be deleted.

use std::sync::Arc;

use serde_json::{Value, json};
use smol::block_on;

use super::{by_tag, image, open_on, push_blob, repo, sha256, tag};
use crate::disk::{Disk, MemoryDisk};
use crate::meta::{Policies, Policy};
use crate::registry::{Registry, RegistryError};
use crate::spec::{Digest, MediaType};

/// Opens a registry where the tags `v*` of the repository `app` are immutable.
fn open() -> (Registry, Arc<dyn Disk>) {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let [app, versions] = ["app", "v*"].map(|text| vec![text.parse().unwrap()]);
    let policy = Policy { repositories: app, immutable: versions, ..Policy::default() };
    let registry = open_on(Arc::clone(&disk), |options| options.policies = Policies::new(vec![policy]));
    (registry, disk)
}

fn put(registry: &Registry, name: &str, body: &Value) -> Digest {
    let bytes: Arc<[u8]> = body.to_string().into_bytes().into();
    block_on(registry.put_manifest(&repo("app"), by_tag(name, &bytes))).unwrap();
    sha256(&bytes)
}

fn index(children: &[&Digest]) -> Value {
    let children: Vec<_> =
        children.iter().map(|child| json!({"mediaType": "a/b", "digest": child, "size": 1})).collect();
    json!({"mediaType": MediaType::OCI_INDEX, "manifests": children})
}

fn blob(registry: &Registry, name: &str) -> Digest {
    block_on(push_blob(registry, "app", name.as_bytes()))
}

/// Pushes an image with a config and a layer of its own, and returns all three.
fn push_image(registry: &Registry, name: &str) -> [Digest; 3] {
    let [config, layer] = ["config", "layer"].map(|part| blob(registry, &format!("{part} of {name}")));
    let bytes = image(&config, std::slice::from_ref(&layer));
    block_on(registry.put_manifest(&repo("app"), by_tag(name, &bytes))).unwrap();
    [sha256(&bytes), config, layer]
}

fn delete_blob(registry: &Registry, digest: &Digest) -> Result<(), RegistryError> {
    block_on(registry.delete_blob(&repo("app"), digest))
}

fn delete_manifest(registry: &Registry, digest: &Digest) -> Result<(), RegistryError> {
    block_on(registry.delete_manifest(&repo("app"), digest))
}

fn assert_denied(done: &Result<(), RegistryError>) {
    assert!(matches!(done, Err(RegistryError::Denied(_))), "{done:?}");
}

#[test]
fn config_and_layers_of_an_immutable_image_cannot_be_deleted() {
    let (registry, _) = open();
    let [manifest, config, layer] = push_image(&registry, "v1");
    let [other, other_config, other_layer] = push_image(&registry, "latest");
    for blob in [&config, &layer] {
        assert_denied(&delete_blob(&registry, blob));
    }
    assert_denied(&delete_manifest(&registry, &manifest));
    for blob in [&other_config, &other_layer, &blob(&registry, "loose")] {
        delete_blob(&registry, blob).unwrap();
    }
    delete_manifest(&registry, &other).unwrap();
    let gone = delete_blob(&registry, &other_layer);
    assert!(matches!(gone, Err(RegistryError::BlobUnknown(_))), "{gone:?}");
}

#[test]
fn children_of_an_immutable_index_cannot_be_deleted_at_any_depth() {
    let (registry, _) = open();
    let [child, config, layer] = push_image(&registry, "latest");
    let inner = put(&registry, "inner", &index(&[&child]));
    put(&registry, "v1", &index(&[&inner]));
    for manifest in [&child, &inner] {
        assert_denied(&delete_manifest(&registry, manifest));
    }
    for blob in [&config, &layer] {
        assert_denied(&delete_blob(&registry, blob));
    }
    // The tags of children are no part of the image.
    block_on(registry.delete_tag(&repo("app"), &tag("latest"))).unwrap();
    assert_denied(&delete_manifest(&registry, &child));
}

/// A signature says something of an image and is not a part of it.
#[test]
fn a_referrer_of_an_immutable_image_can_be_deleted() {
    let (registry, _) = open();
    let [subject, _, _] = push_image(&registry, "v1");
    let mut body = index(&[]);
    body["subject"] = json!({"mediaType": MediaType::OCI_MANIFEST, "digest": subject, "size": 1});
    let signature = put(&registry, "signature", &body);
    delete_manifest(&registry, &signature).unwrap();
}

/// What was found out for one deletion must not outlive a push.
#[test]
fn a_push_between_two_deletions_is_seen_by_the_second() {
    let (registry, _) = open();
    let [image, _, layer] = push_image(&registry, "latest");
    push_image(&registry, "v1");
    delete_blob(&registry, &blob(&registry, "loose")).unwrap();
    put(&registry, "v2", &index(&[&image]));
    assert_denied(&delete_blob(&registry, &layer));
    assert_denied(&delete_manifest(&registry, &image));
}

/// Runs `push` each time between the check of a deletion and its turn in the writer.
fn overtake(registry: &Registry, push: impl Fn(&Registry) + Send + 'static) {
    let pushing = registry.clone();
    registry.inner.options.between_looks.set(move || {
        push(&pushing);
        overtake(&pushing.clone(), push);
    });
}

fn has_blob(registry: &Registry, digest: &Digest) -> bool {
    registry.view().link(&repo("app"), &digest.content().unwrap()).unwrap().is_some()
}

#[test]
fn a_deletion_that_an_immutable_push_overtakes_changes_nothing() {
    let (registry, _) = open();
    let layer = blob(&registry, "layer of v1");
    overtake(&registry, |registry| drop(push_image(registry, "v1")));
    assert_denied(&delete_blob(&registry, &layer));
    assert!(has_blob(&registry, &layer));
}

/// The child was there before, and nothing led to it.
#[test]
fn a_deletion_is_overtaken_also_by_an_index_of_what_was_there_before() {
    let (registry, _) = open();
    let [child, _, layer] = push_image(&registry, "latest");
    let inner = put(&registry, "inner", &index(&[&child]));
    for name in ["v1", "v2"] {
        let listed = inner.clone();
        overtake(&registry, move |registry| drop(put(registry, name, &index(&[&listed]))));
        assert_denied(&delete_blob(&registry, &layer));
    }
    assert_denied(&delete_manifest(&registry, &child));
    assert!(has_blob(&registry, &layer));
}

#[test]
fn no_push_that_leads_elsewhere_makes_a_deletion_fail() {
    let (registry, _) = open();
    push_image(&registry, "v0");
    for round in 1..6 {
        let loose = blob(&registry, &format!("loose {round}"));
        overtake(&registry, move |registry| {
            // A count of pushes by less than the name of a repository would count some of these for `app`.
            for other in 0..300 {
                let name = repo(&format!("other{other}"));
                let body = json!({"mediaType": "a/b", "round": round}).to_string();
                let bytes: Arc<[u8]> = body.into_bytes().into();
                block_on(registry.put_manifest(&name, by_tag("v1", &bytes))).unwrap();
            }
            push_image(registry, "latest");
            push_image(registry, &format!("v{round}"));
        });
        delete_blob(&registry, &loose).unwrap();
        assert!(!has_blob(&registry, &loose));
    }
}

/// Makes a manifest of an unknown type with `count` mentions of content that is not there.
fn mentions(count: usize, number: usize) -> Value {
    let mentioned = |at: usize| Value::from(sha256(format!("{number} {at}").as_bytes()).to_string());
    json!({"mediaType": "a/b", "all": (0..count).map(mentioned).collect::<Vec<_>>()})
}

fn bytes_read(registry: &Registry) -> u64 {
    registry.inner.counters.snapshot().bytes_read
}

#[test]
fn nothing_is_read_twice_however_much_the_tags_lead_to_and_whatever_is_pushed() {
    let (registry, _) = open();
    // More digests than the 262 144 that could be kept as keys.
    for number in 0..7 {
        put(&registry, &format!("v{number}"), &mentions(40_000, number));
    }
    let loose = ["a", "b", "c"].map(|name| blob(&registry, name));
    let begun = bytes_read(&registry);
    delete_blob(&registry, &loose[0]).unwrap();
    let first = bytes_read(&registry) - begun;
    assert!(first > 7 * 40_000 * 64, "{first}");
    delete_blob(&registry, &loose[1]).unwrap();
    let [_, _, layer] = push_image(&registry, "v7");
    delete_blob(&registry, &loose[2]).unwrap();
    assert_denied(&delete_blob(&registry, &layer));
    assert_denied(&delete_blob(&registry, &blob(&registry, "6 39999")));
    assert_eq!(bytes_read(&registry), begun + first);
}

#[test]
fn deletions_of_what_is_not_there_have_nothing_read_again() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let [all, versions] = ["*", "v*"].map(|text| vec![text.parse().unwrap()]);
    let policy = Policy { repositories: all, immutable: versions, ..Policy::default() };
    let registry = open_on(disk, |options| options.policies = Policies::new(vec![policy]));
    put(&registry, "v1", &mentions(1000, 1));
    let loose = ["a", "b"].map(|name| blob(&registry, name));
    delete_blob(&registry, &loose[0]).unwrap();
    let begun = bytes_read(&registry);
    let absent = sha256(b"absent");
    for name in ["app", "elsewhere"] {
        block_on(registry.delete_blob(&repo(name), &absent)).unwrap_err();
        block_on(registry.delete_manifest(&repo(name), &absent)).unwrap_err();
    }
    delete_blob(&registry, &loose[1]).unwrap();
    assert_eq!(bytes_read(&registry), begun);
}

#[test]
fn a_deletion_waits_for_memory_before_it_reads_a_long_manifest() {
    let (registry, _) = open();
    put(&registry, "v1", &mentions(1000, 0));
    let loose = blob(&registry, "loose");
    let memory = block_on(registry.inner.manifest_memory.reserve(u64::MAX));
    let begun = bytes_read(&registry);
    let name = repo("app");
    let mut deleting = Box::pin(registry.delete_blob(&name, &loose));
    for _ in 0..20 {
        let waited = block_on(smol::future::or(async { Some((&mut deleting).await) }, async {
            smol::Timer::after(std::time::Duration::from_millis(1)).await;
            None
        }));
        assert!(waited.is_none(), "{waited:?}");
    }
    assert_eq!(bytes_read(&registry), begun);
    drop(memory);
    block_on(deleting).unwrap();
}

#[test]
fn a_deletion_goes_on_where_an_earlier_one_was_given_up() {
    let (registry, _) = open();
    put(&registry, "v1", &mentions(1000, 1));
    put(&registry, "v2", &mentions(1000, 2));
    let [image, _, layer] = push_image(&registry, "latest");
    put(&registry, "v3", &index(&[&image]));
    let name = repo("app");
    for _ in 0..1000 {
        let mut given_up = Box::pin(registry.delete_blob(&name, &layer));
        let done = block_on(smol::future::poll_once(&mut given_up));
        drop(given_up);
        if let Some(done) = done {
            assert_denied(&done);
        }
        std::thread::yield_now();
    }
    assert_denied(&delete_blob(&registry, &layer));
    assert_denied(&delete_blob(&registry, &blob(&registry, "2 999")));
    delete_blob(&registry, &blob(&registry, "loose")).unwrap();
}

/// Pushes of all kinds go on in the same repository.
#[test]
fn what_an_immutable_tag_was_seen_to_lead_to_stays_while_clients_push() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (registry, _) = open();
    let ends = Arc::new(AtomicBool::new(false));
    let noise = {
        let (registry, ends) = (registry.clone(), Arc::clone(&ends));
        std::thread::spawn(move || {
            for number in 0.. {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let [image, _, _] = push_image(&registry, &format!("noise{number}"));
                put(&registry, &format!("v-noise{number}"), &index(&[&image]));
            }
        })
    };
    for number in 0..60 {
        let [image, _, layer] = push_image(&registry, &format!("t{number}"));
        let loose = blob(&registry, &format!("loose {number}"));
        put(&registry, &format!("v{number}"), &index(&[&image]));
        assert_denied(&delete_blob(&registry, &layer));
        assert_denied(&delete_manifest(&registry, &image));
        let gone = delete_blob(&registry, &loose);
        assert!(matches!(gone, Ok(()) | Err(RegistryError::Unavailable(_))), "{gone:?}");
    }
    ends.store(true, Ordering::SeqCst);
    noise.join().unwrap();
}

#[test]
fn nothing_is_deleted_while_an_immutable_image_cannot_be_read() {
    let (registry, disk) = open();
    let [manifest, _, layer] = push_image(&registry, "latest");
    put(&registry, "v1", &index(&[&manifest]));
    block_on(registry.close()).unwrap();
    drop(registry);
    let content = manifest.content().unwrap();
    disk.remove(&crate::blobs::blob_path(&content)).unwrap();
    let [app, versions] = ["app", "v*"].map(|text| vec![text.parse().unwrap()]);
    let policy = Policy { repositories: app, immutable: versions, ..Policy::default() };
    let registry = open_on(disk, |options| options.policies = Policies::new(vec![policy]));
    assert_denied(&delete_blob(&registry, &layer));
    assert_denied(&delete_blob(&registry, &blob(&registry, "loose")));
}
