//! What a manifest references and a repository need not have: what it has of that is kept all the same.

use std::sync::Arc;

use serde_json::{Value, json};
use smol::block_on;

use super::clients::{push_blob, put, repo, tag};
use super::content::{blob_digest, manifest};
use super::model::blobs_of;
use super::{collect, in_memory};
use crate::maintenance::collector::options::CollectOptions;
use crate::registry::{Condition, PutManifest, PutTarget, Registry};
use crate::spec::MediaType;

fn put_body(registry: &Registry, named: &str, body: &Value) {
    let bytes: Arc<[u8]> = body.to_string().into_bytes().into();
    let target = PutTarget::Tag(tag(named));
    let put = PutManifest { target, content_type: None, bytes, condition: Condition::Always };
    block_on(registry.put_manifest(&repo("a"), put)).unwrap();
}

fn index_of(children: &[usize]) -> Value {
    let listed = |child: &usize| json!({"mediaType": "a/b", "digest": manifest(*child).digest, "size": 1});
    let children: Vec<_> = children.iter().map(listed).collect();
    json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": children})
}

#[test]
fn a_layer_that_may_come_from_elsewhere_stays_where_it_was_pushed() {
    let registry = in_memory(None);
    for number in [0, 1] {
        block_on(push_blob(&registry, "a", number)).unwrap();
    }
    let foreign = json!({
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "digest": blob_digest(1),
        "size": 1,
        "urls": ["https://example.com/layer"],
    });
    let config = json!({"mediaType": "a/b", "digest": blob_digest(0), "size": 1});
    let image = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": config,
        "layers": [foreign],
    });
    put_body(&registry, "v1", &image);
    collect(&registry, &CollectOptions::default());
    assert_eq!(blobs_of(&registry, "a"), [0, 1]);
}

#[test]
fn what_somebody_came_to_count_on_meanwhile_is_not_deleted_for_having_no_tag() {
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
    assert!(delete(), "nobody came since this look began");
}
