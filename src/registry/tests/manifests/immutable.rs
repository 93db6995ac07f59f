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

/// Pushes an image that no immutable tag leads to.
fn loose(registry: &Registry, name: &str) -> Digest {
    push_image(registry, &format!("loose-{name}"))[0].clone()
}

fn assert_denied(done: &Result<(), RegistryError>) {
    assert!(matches!(done, Err(RegistryError::Denied(_))), "{done:?}");
}

#[test]
fn config_and_layers_of_an_immutable_image_cannot_be_deleted() {
    let (registry, _) = open();
    let [manifest, config, layer] = push_image(&registry, "v1");
    for blob in [&config, &layer] {
        assert_denied(&delete_blob(&registry, blob));
        assert!(has_blob(&registry, blob));
    }
    assert_denied(&delete_manifest(&registry, &manifest));
}

/// No row says which manifests need a blob, and the collector removes what none needs.
#[test]
fn blobs_can_be_deleted_only_where_no_tags_are_immutable() {
    let (registry, _) = open();
    let [image, config, layer] = push_image(&registry, "latest");
    for blob in [&config, &layer, &blob(&registry, "loose")] {
        assert_denied(&delete_blob(&registry, blob));
    }
    delete_manifest(&registry, &image).unwrap();
    let absent = delete_blob(&registry, &sha256(b"absent"));
    assert!(matches!(absent, Err(RegistryError::BlobUnknown(_))), "{absent:?}");
    let elsewhere = block_on(push_blob(&registry, "elsewhere", b"loose"));
    block_on(registry.delete_blob(&repo("elsewhere"), &elsewhere)).unwrap();
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
    let [image, inner_image, later] =
        ["latest", "other", "later"].map(|name| push_image(&registry, name)[0].clone());
    push_image(&registry, "v1");
    delete_manifest(&registry, &loose(&registry, "one")).unwrap();
    put(&registry, "v2", &index(&[&image]));
    assert_denied(&delete_manifest(&registry, &image));
    // An index that another manifest mentions, and that comes after it.
    let body = index(&[&inner_image]);
    let later_index = sha256(body.to_string().as_bytes()).to_string();
    put(&registry, "v3", &json!({"mediaType": "a/b", "mentions": later_index}));
    delete_manifest(&registry, &loose(&registry, "two")).unwrap();
    put(&registry, "inner", &body);
    assert_denied(&delete_manifest(&registry, &inner_image));
    // A tag of an index that was there.
    put(&registry, "nightly", &index(&[&later]));
    delete_manifest(&registry, &loose(&registry, "three")).unwrap();
    put(&registry, "v4", &index(&[&later]));
    assert_denied(&delete_manifest(&registry, &later));
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

fn has_manifest(registry: &Registry, digest: &Digest) -> bool {
    registry.view().manifest(&repo("app"), &digest.content().unwrap()).unwrap().is_some()
}

#[test]
fn a_deletion_that_an_immutable_push_overtakes_changes_nothing() {
    let (registry, _) = open();
    let image = loose(&registry, "one");
    let listed = image.clone();
    overtake(&registry, move |registry| drop(put(registry, "v1", &index(&[&listed]))));
    assert_denied(&delete_manifest(&registry, &image));
    assert!(has_manifest(&registry, &image));
}

#[test]
fn a_deletion_that_an_immutable_tag_of_its_own_overtakes_changes_nothing() {
    let (registry, _) = open();
    let [image, _, _] = push_image(&registry, "latest");
    overtake(&registry, |registry| {
        let [config, layer] = ["config of latest", "layer of latest"].map(|part| blob(registry, part));
        let bytes = super::image(&config, std::slice::from_ref(&layer));
        block_on(registry.put_manifest(&repo("app"), by_tag("v1", &bytes))).unwrap();
    });
    assert_denied(&delete_manifest(&registry, &image));
    assert!(has_manifest(&registry, &image));
}

/// The child was there before, and nothing led to it.
#[test]
fn a_deletion_is_overtaken_also_by_an_index_of_what_was_there_before() {
    let (registry, _) = open();
    let [child, _, _] = push_image(&registry, "latest");
    let inner = put(&registry, "inner", &index(&[&child]));
    for name in ["v1", "v2"] {
        let listed = inner.clone();
        overtake(&registry, move |registry| drop(put(registry, name, &index(&[&listed]))));
        assert_denied(&delete_manifest(&registry, &child));
    }
    assert!(has_manifest(&registry, &child));
}

#[test]
fn no_push_that_leads_elsewhere_makes_a_deletion_fail() {
    let (registry, _) = open();
    push_image(&registry, "v0");
    for round in 1..6 {
        let loose = loose(&registry, &round.to_string());
        overtake(&registry, move |registry| {
            // A count of pushes by less than the name of a repository would count some of these for `app`.
            for other in 0..300 {
                let name = repo(&format!("other{other}"));
                let body = json!({"mediaType": "a/b", "round": round}).to_string();
                let bytes: Arc<[u8]> = body.into_bytes().into();
                block_on(registry.put_manifest(&name, by_tag("v1", &bytes))).unwrap();
            }
            let [listed, _, _] = push_image(registry, "latest");
            put(registry, "index", &index(&[&listed]));
            push_image(registry, &format!("v{round}"));
        });
        delete_manifest(&registry, &loose).unwrap();
        assert!(!has_manifest(&registry, &loose));
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
fn no_index_is_read_twice_whatever_is_pushed() {
    let (registry, _) = open();
    for number in 0..3 {
        put(&registry, &format!("v{number}"), &mentions(1000, number));
    }
    let loose = ["a", "b", "c", "d"].map(|name| loose(&registry, name));
    let deletion_reads = |digest: &Digest| {
        let begun = bytes_read(&registry);
        delete_manifest(&registry, digest).unwrap();
        bytes_read(&registry) - begun
    };
    let first = deletion_reads(&loose[0]);
    assert!(first > 3 * 1000 * 64, "{first}");
    assert_eq!(deletion_reads(&loose[1]), 0);
    // An image lists no manifest, and no immutable tag leads to that index.
    push_image(&registry, "v3");
    put(&registry, "latest", &mentions(1000, 3));
    assert_eq!(deletion_reads(&loose[2]), 0);
    put(&registry, "v4", &mentions(1000, 4));
    let last = deletion_reads(&loose[3]);
    assert!(last < first / 2, "{last}");
}

#[test]
fn nothing_is_deleted_where_immutable_tags_lead_to_more_than_can_be_known() {
    let (registry, _) = open();
    for number in 0..11 {
        put(&registry, &format!("v{number}"), &mentions(40_000, number));
    }
    let digest = loose(&registry, "one");
    assert_denied(&delete_manifest(&registry, &digest));
    assert!(has_manifest(&registry, &digest));
}

#[test]
fn deletions_of_what_is_not_there_have_nothing_read() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let [all, versions] = ["*", "v*"].map(|text| vec![text.parse().unwrap()]);
    let policy = Policy { repositories: all, immutable: versions, ..Policy::default() };
    let registry = open_on(disk, |options| options.policies = Policies::new(vec![policy]));
    put(&registry, "v1", &mentions(1000, 1));
    let loose = ["a", "b"].map(|name| loose(&registry, name));
    delete_manifest(&registry, &loose[0]).unwrap();
    let begun = bytes_read(&registry);
    let absent = sha256(b"absent");
    for name in ["app", "elsewhere"] {
        block_on(registry.delete_blob(&repo(name), &absent)).unwrap_err();
        block_on(registry.delete_manifest(&repo(name), &absent)).unwrap_err();
    }
    delete_manifest(&registry, &loose[1]).unwrap();
    assert_eq!(bytes_read(&registry), begun);
}

#[test]
fn a_deletion_waits_for_memory_before_it_reads_a_long_manifest() {
    let (registry, _) = open();
    put(&registry, "v1", &mentions(1000, 0));
    let loose = loose(&registry, "one");
    let memory = block_on(registry.inner.manifest_memory.reserve(u64::MAX));
    let begun = bytes_read(&registry);
    let name = repo("app");
    let mut deleting = Box::pin(registry.delete_manifest(&name, &loose));
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
fn a_deletion_that_is_given_up_harms_no_later_one() {
    let (registry, _) = open();
    put(&registry, "v1", &mentions(1000, 1));
    let [image, _, _] = push_image(&registry, "latest");
    put(&registry, "v2", &index(&[&image]));
    let name = repo("app");
    for polls in 0..1000 {
        // An index that is pushed has all of them read again.
        if polls % 100 == 0 {
            put(&registry, &format!("v-more{polls}"), &mentions(1, polls));
        }
        let mut given_up = Box::pin(registry.delete_manifest(&name, &image));
        let done = block_on(smol::future::poll_once(&mut given_up));
        drop(given_up);
        if let Some(done) = done {
            assert_denied(&done);
        }
        std::thread::yield_now();
    }
    assert_denied(&delete_manifest(&registry, &image));
    delete_manifest(&registry, &loose(&registry, "one")).unwrap();
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
        let loose = loose(&registry, &number.to_string());
        put(&registry, &format!("v{number}"), &index(&[&image]));
        assert_denied(&delete_blob(&registry, &layer));
        assert_denied(&delete_manifest(&registry, &image));
        let gone = delete_manifest(&registry, &loose);
        assert!(matches!(gone, Ok(()) | Err(RegistryError::Unavailable(_))), "{gone:?}");
    }
    ends.store(true, Ordering::SeqCst);
    noise.join().unwrap();
}

#[test]
fn nothing_is_deleted_while_an_immutable_index_cannot_be_read() {
    let (registry, disk) = open();
    let [manifest, _, _] = push_image(&registry, "latest");
    let inner = put(&registry, "v1", &index(&[&manifest]));
    let other = loose(&registry, "one");
    block_on(registry.close()).unwrap();
    drop(registry);
    let content = inner.content().unwrap();
    disk.remove(&crate::blobs::blob_path(&content)).unwrap();
    let [app, versions] = ["app", "v*"].map(|text| vec![text.parse().unwrap()]);
    let policy = Policy { repositories: app, immutable: versions, ..Policy::default() };
    let registry = open_on(disk, |options| options.policies = Policies::new(vec![policy]));
    assert_denied(&delete_manifest(&registry, &manifest));
    assert_denied(&delete_manifest(&registry, &other));
    assert!(has_manifest(&registry, &other));
}
