//! A removal that ends before its end.

use std::cell::Cell;
use std::sync::Arc;

use serde_json::{Value, json};
use smol::block_on;

use crate::admin::error::{AdminError, AdminErrorKind};
use crate::admin::rm::{RmTarget, remove};
use crate::admin::sink::AnswerSink;
use crate::meta::{Policies, Policy};
use crate::registry::{Condition, PutManifest, PutTarget, Registry, RegistryOptions, Storage};
use crate::spec::{ContentDigest, RepoName};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A client that leaves after this many checks.
struct GoneAfter(Cell<u32>);

impl AnswerSink for GoneAfter {
    fn progress(&mut self, _: &str, _: u64, _: u64) {}

    fn item(&mut self, _: Value) -> Result<(), AdminError> {
        Ok(())
    }

    fn check_wanted(&self) -> Result<(), AdminError> {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        if left == 0 { Err(AdminError::gone()) } else { Ok(()) }
    }
}

fn put(registry: &Registry, manifest: &Value, target: PutTarget) {
    let bytes: Arc<[u8]> = manifest.to_string().into_bytes().into();
    let put = PutManifest { target, content_type: None, bytes, condition: Condition::Always };
    block_on(registry.put_manifest(&app(), put)).unwrap();
}

fn app() -> RepoName {
    "app".parse().unwrap()
}

/// An empty index with this tag, and this many referrers of it.
fn with_referrers(count: usize) -> Registry {
    let registry = Registry::open(RegistryOptions::new(Storage::Memory)).unwrap();
    let root = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []});
    put(&registry, &root, PutTarget::Tag("v1".parse().unwrap()));
    let bytes = root.to_string();
    let subject = json!({
        "mediaType": OCI_INDEX,
        "digest": ContentDigest::sha256_of(bytes.as_bytes()),
        "size": bytes.len(),
    });
    for number in 0..count {
        let referrer = json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "subject": subject,
            "artifactType": "application/example", "annotations": {"number": number.to_string()},
        });
        let digest = ContentDigest::sha256_of(referrer.to_string().as_bytes()).into();
        put(&registry, &referrer, PutTarget::Digest { digest, tags: Vec::new() });
    }
    registry
}

fn left(registry: &Registry) -> usize {
    registry.view().manifests(&app(), None, usize::MAX).unwrap().len()
}

#[test]
fn all_that_refers_to_what_is_removed_goes_with_it() {
    let registry = with_referrers(300);
    let tag = RmTarget::Tag("v1".parse().unwrap());
    let removed = remove(&registry, &app(), (&tag, false), &mut GoneAfter(Cell::new(u32::MAX))).unwrap();
    assert_eq!((removed.manifest_count, removed.manifests.len(), left(&registry)), (301, 301, 0));
}

#[test]
fn what_an_immutable_tag_leads_to_is_not_removed() {
    let mut options = RegistryOptions::new(Storage::Memory);
    let repositories = vec!["app".parse().unwrap()];
    let immutable = vec!["v*".parse().unwrap()];
    options.policies = Policies::new(vec![Policy { repositories, immutable, ..Policy::default() }]);
    let registry = Registry::open(options).unwrap();
    let child = json!({"mediaType": OCI_INDEX, "manifests": []});
    let digest = ContentDigest::sha256_of(child.to_string().as_bytes());
    put(&registry, &child, PutTarget::Tag("child".parse().unwrap()));
    let listed = json!({"mediaType": OCI_INDEX, "digest": digest, "size": child.to_string().len()});
    let index = json!({"mediaType": OCI_INDEX, "manifests": [listed]});
    put(&registry, &index, PutTarget::Tag("v1".parse().unwrap()));
    let by_digest = RmTarget::Manifest(digest.into());
    let refused =
        remove(&registry, &app(), (&by_digest, true), &mut GoneAfter(Cell::new(u32::MAX))).unwrap_err();
    assert_eq!(refused.kind, AdminErrorKind::Refused);
    let by_tag = RmTarget::Tag("child".parse().unwrap());
    let removed = remove(&registry, &app(), (&by_tag, false), &mut GoneAfter(Cell::new(u32::MAX))).unwrap();
    assert!(removed.kept.is_some() && left(&registry) == 2, "{removed:?}");
}

#[test]
fn a_removal_ends_soon_after_its_client_is_gone() {
    for what in [RmTarget::Tag("v1".parse().unwrap()), RmTarget::All] {
        let registry = with_referrers(300);
        // Enough to see the indexes there are, and to begin.
        let failure = remove(&registry, &app(), (&what, false), &mut GoneAfter(Cell::new(4))).unwrap_err();
        assert_eq!(failure.kind, AdminErrorKind::Gone);
        let left = left(&registry);
        assert!(0 < left && left < 301, "{left} are left of {what:?}");
    }
}
