//! What a manifest references and a repository need not have: what it has of that is kept all the same.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use smol::block_on;
use smol::future::poll_once;

use super::clients::{push_blob, put, repo, tag};
use super::content::{blob_digest, manifest};
use super::model::blobs_of;
use super::random::removing_untagged;
use super::{collect, in_memory, pass};
use crate::disk::{Disk, MemoryDisk};
use crate::maintenance::collector::options::CollectOptions;
use crate::meta::{IndexKind, MetaOptions, Policies};
use crate::registry::{Backing, Condition, PutManifest, PutTarget, Registry, RegistryOptions, Storage};
use crate::spec::{ContentDigest, MediaType};

fn put_of(named: &str, body: &Value) -> (ContentDigest, PutManifest) {
    let bytes: Arc<[u8]> = body.to_string().into_bytes().into();
    let (digest, target) = (ContentDigest::sha256_of(&bytes), PutTarget::Tag(tag(named)));
    (digest, PutManifest { target, content_type: None, bytes, condition: Condition::Always })
}

fn put_body(registry: &Registry, named: &str, body: &Value) {
    block_on(registry.put_manifest(&repo("a"), put_of(named, body).1)).unwrap();
}

fn index_of(children: &[usize]) -> Value {
    let listed = |child: &usize| json!({"mediaType": "a/b", "digest": manifest(*child).digest, "size": 1});
    let children: Vec<_> = children.iter().map(listed).collect();
    json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": children})
}

/// An image whose layer, blob 1, may come from elsewhere.
fn with_a_foreign_layer() -> Value {
    let foreign = json!({
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "digest": blob_digest(1),
        "size": 1,
        "urls": ["https://example.com/layer"],
    });
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": {"mediaType": "a/b", "digest": blob_digest(0), "size": 1},
        "layers": [foreign],
    })
}

/// A manifest of a type whose references no specification describes.
fn mentioning(digest: ContentDigest) -> Value {
    json!({"mediaType": "application/vnd.example+json", "parts": [{"blobSum": digest}]})
}

/// What a manifest references that its repository need not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Optional {
    /// Image 0, which a sparse index lists.
    Child,
    /// Blob 1, a layer that may come from elsewhere.
    Layer,
    /// Image 0, which a manifest of an unknown type names in a field of its own.
    MentionedImage,
    /// Blob 1, likewise.
    MentionedBlob,
}

impl Optional {
    const ALL: [Self; 4] = [Self::Child, Self::Layer, Self::MentionedImage, Self::MentionedBlob];

    fn body(self) -> Value {
        match self {
            Self::Child => index_of(&[0]),
            Self::Layer => with_a_foreign_layer(),
            Self::MentionedImage => mentioning(manifest(0).digest),
            Self::MentionedBlob => mentioning(blob_digest(1)),
        }
    }

    fn is_there(self, registry: &Registry) -> bool {
        match self {
            Self::Child | Self::MentionedImage => {
                registry.view().manifest(&repo("a"), &manifest(0).digest).unwrap().is_some()
            }
            Self::Layer | Self::MentionedBlob => {
                registry.view().link(&repo("a"), &blob_digest(1)).unwrap().is_some()
            }
        }
    }

    fn push(self, registry: &Registry) {
        for blob in &manifest(0).blobs {
            block_on(push_blob(registry, "a", *blob)).unwrap();
        }
        if matches!(self, Self::Child | Self::MentionedImage) {
            block_on(put(registry, "a", 0, None)).unwrap();
        } else {
            // The config must be there when the image comes, whatever is swept before.
            put_body(registry, "config", &image_of_config());
        }
    }
}

fn image_of_config() -> Value {
    let config = json!({"mediaType": "a/b", "digest": blob_digest(0), "size": 1});
    json!({"schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": config, "layers": []})
}

/// Opens a registry whose indexes may be sparse, and where manifests go that no tag leads to.
fn sparse(disk: Arc<dyn Disk>, lease: Duration) -> Registry {
    let mut options = RegistryOptions::new(Storage::Memory);
    (options.lease, options.grace) = (lease, Duration::ZERO);
    options.sparse_indexes = true;
    // A push that is polled once comes to the lock that holds it, whatever other threads do.
    options.blocks_inline = true;
    options.policies = Policies::new(vec![removing_untagged()]);
    Registry::open_on(options, Backing { disk, lock: None, meta: MetaOptions::new(IndexKind::Map) }).unwrap()
}

/// A push that was checked before a pass, whose barrier knows nothing of that, and ends at a step of it.
/// Returns whether what is optional was there when it ended, if the pass has that many steps, and is there
/// after the pass.
fn push_amid_a_pass(optional: Optional, end: usize) -> (Option<bool>, bool) {
    let registry = sparse(Arc::new(MemoryDisk::new()), Duration::ZERO);
    optional.push(&registry);
    let (digest, put) = put_of("v1", &optional.body());
    let mut held = Some(registry.hold_storing(&digest));
    let name = repo("a");
    let mut pushing = pin!(registry.put_manifest(&name, put));
    assert!(block_on(poll_once(pushing.as_mut())).is_none(), "it is held");
    let (mut steps, mut there) = (0, None);
    let mut between = || {
        steps += 1;
        if steps == end {
            drop(held.take());
            block_on(pushing.as_mut()).unwrap();
            there = Some(optional.is_there(&registry));
        }
    };
    pass(&registry, &CollectOptions::default(), &mut between, &mut |_| {});
    (there, optional.is_there(&registry))
}

#[test]
fn what_is_optional_and_there_when_a_push_ends_amid_a_pass_stays() {
    for optional in Optional::ALL {
        let (mut end, mut kept, mut gone) = (1, 0, 0);
        while let (Some(there), stays) = push_amid_a_pass(optional, end) {
            assert!(stays || !there, "{optional:?}: the push ended at step {end}");
            (kept, gone) = (kept + usize::from(there), gone + usize::from(!there));
            end += 1;
        }
        assert!(kept > 0 && gone > 0, "{optional:?}: there {kept} times, and {gone} times not");
    }
}

#[test]
fn what_is_optional_and_there_when_a_push_begins_is_leased_to_it() {
    for optional in Optional::ALL {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let registry = sparse(Arc::clone(&disk), Duration::ZERO);
        optional.push(&registry);
        block_on(registry.close()).unwrap();
        drop(registry);
        // The lease of its push has ended.
        let registry = sparse(disk, Duration::from_secs(3600));
        registry.upkeep().complete_now();
        let (digest, put) = put_of("v1", &optional.body());
        let held = registry.hold_storing(&digest);
        let name = repo("a");
        let mut pushing = pin!(registry.put_manifest(&name, put));
        assert!(block_on(poll_once(pushing.as_mut())).is_none(), "it is held");
        collect(&registry, &CollectOptions::default());
        drop(held);
        block_on(pushing).unwrap();
        assert!(optional.is_there(&registry), "{optional:?}");
    }
}

#[test]
fn a_layer_that_may_come_from_elsewhere_stays_where_it_was_pushed() {
    let registry = in_memory(None);
    for number in [0, 1] {
        block_on(push_blob(&registry, "a", number)).unwrap();
    }
    put_body(&registry, "v1", &with_a_foreign_layer());
    collect(&registry, &CollectOptions::default());
    assert_eq!(blobs_of(&registry, "a"), [0, 1]);
}

#[test]
fn what_a_client_leased_meanwhile_is_not_deleted_for_having_no_tag() {
    let registry = in_memory(None);
    for blob in &manifest(0).blobs {
        block_on(push_blob(&registry, "a", *blob)).unwrap();
    }
    block_on(put(&registry, "a", 0, None)).unwrap();
    let delete = || block_on(registry.delete_untagged(&repo("a"), manifest(0).digest)).unwrap();
    let watch = registry.watch(&repo("a"));
    let elsewhere = registry.watch(&repo("b"));
    put_body(&registry, "all", &index_of(&[0]));
    assert!(!delete(), "an index lists it since the look began");
    drop((watch, elsewhere));
    let _watch = registry.watch(&repo("a"));
    assert!(delete(), "no client leased it since this look began");
}

#[test]
fn what_an_unknown_type_mentions_stays_and_its_subject_does_not() {
    let registry = sparse(Arc::new(MemoryDisk::new()), Duration::ZERO);
    for optional in [Optional::MentionedBlob, Optional::MentionedImage] {
        optional.push(&registry);
    }
    let mut body = json!({"mediaType": "application/vnd.example+json", "x": {"y": blob_digest(2)}});
    body["subject"] = json!({"mediaType": "a/b", "digest": manifest(0).digest, "size": 1});
    put_body(&registry, "v1", &body);
    put_body(&registry, "v2", &mentioning(blob_digest(1)));
    collect(&registry, &CollectOptions::default());
    assert_eq!(blobs_of(&registry, "a"), [0, 1, 2], "blob 0 is the config of a tagged image");
    assert!(!Optional::MentionedImage.is_there(&registry));
}
