//! What immutable tags lead to cannot be deleted.

use std::sync::Arc;

use serde_json::{Value, json};
use smol::block_on;

use super::{by_tag, image, open_on, push_blob, repo, sha256, tag};
use crate::disk::{Disk, MemoryDisk};
use crate::meta::{Command, MetaError, Policies, Policy, Refusal};
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

#[test]
fn a_deletion_that_a_push_overtakes_changes_nothing() {
    let (registry, _) = open();
    let layer = blob(&registry, "layer");
    let name = repo("app");
    let before = registry.inner.leases.pushes(&name);
    push_image(&registry, "v1");
    let after = registry.inner.leases.pushes(&name);
    assert_ne!(before, after);
    let unlink = || Command::Unlink { repo: name.clone(), digest: layer.content().unwrap() };
    let unless_pushed = |count: u64| {
        let (leases, name) = (Arc::clone(&registry.inner.leases), name.clone());
        block_on(registry.command_if(Box::new(move || leases.pushes(&name) == count), unlink()))
    };
    let overtaken = unless_pushed(before);
    assert!(matches!(overtaken, Err(MetaError::Refused(Refusal::Overtaken))), "{overtaken:?}");
    assert!(registry.view().link(&name, &layer.content().unwrap()).unwrap().is_some());
    unless_pushed(after).unwrap();
    assert!(registry.view().link(&name, &layer.content().unwrap()).unwrap().is_none());
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
