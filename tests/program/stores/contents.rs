//! What every frozen store has. These values never change: the stores in `tests/stores/` were made of them.

use std::path::Path;
use std::sync::Arc;

use pulk::{
    Algorithm, Chunk, Condition, ContentDigest, Digest, Origin, PutManifest, PutTarget, Registry,
    RegistryOptions, RepoName, Storage, Tag, UploadId,
};
use serde_json::{Value, json};
use smol::block_on;

use crate::common::{
    OCI_INDEX, OCI_MANIFEST, config_of, descriptor, manifest_of, push_blob, push_manifest, repo,
};

pub(crate) const APP: &str = "team/app";
pub(crate) const OTHER: &str = "team/other";

/// The unfinished upload, of which 5000 bytes had come. A stop keeps whole blocks of 4096.
pub(crate) const UPLOAD: [u8; 6000] = [b'u'; 6000];
pub(crate) const CAME_BYTES: usize = 5000;
pub(crate) const KEPT_BYTES: usize = 4096;

/// An image of a config and a layer.
pub(crate) struct Image {
    pub(crate) config: Vec<u8>,
    pub(crate) layer: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
}

impl Image {
    pub(crate) fn new(name: &str) -> Self {
        let (config, layer) = (config_of(name), format!("layer of {name}").into_bytes());
        let manifest = manifest_of(&config, &[&layer], &json!({"annotations": {"name": name}}));
        Self { config, layer, manifest }
    }

    pub(crate) fn push(&self, registry: &Registry, name: &str, tag: Option<&str>) {
        push_blob(registry, name, &self.config);
        push_blob(registry, name, &self.layer);
        push_manifest(registry, name, &self.manifest, tag);
    }
}

/// Content of another algorithm than SHA-256.
pub(crate) fn digest_by(algorithm: Algorithm, content: &[u8]) -> Digest {
    ContentDigest::of(algorithm, content).into()
}

/// An index of the images "one" and "two".
pub(crate) fn index() -> Vec<u8> {
    let children =
        [Image::new("one"), Image::new("two")].map(|image| descriptor(OCI_MANIFEST, &image.manifest));
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}).to_string().into_bytes()
}

/// What refers to image "one": with short annotations, and with some that no row repeats.
pub(crate) fn referrers() -> [Vec<u8>; 2] {
    [json!({"kind": "signature", "note": "\u{1}\"ü"}), json!({"kind": "sbom", "text": "long ".repeat(600)})]
        .map(|annotations: Value| {
            let subject = descriptor(OCI_MANIFEST, &Image::new("one").manifest);
            let more = json!({"artifactType": "text/plain", "subject": subject, "annotations": annotations});
            manifest_of(&config_of("one"), &[], &more)
        })
}

/// An image that only its SHA-512 digest names.
pub(crate) fn by_sha512() -> (Vec<u8>, Digest) {
    let manifest = manifest_of(&config_of("one"), &[], &json!({"annotations": {"name": "sha512"}}));
    let digest = digest_by(Algorithm::Sha512, &manifest);
    (manifest, digest)
}

pub(crate) const SHA512_BLOB: &[u8] = b"a layer by its SHA-512";

pub(crate) fn open(data: &Path) -> Registry {
    Registry::open(RegistryOptions::new(Storage::Folder(data.to_owned()))).unwrap()
}

pub(crate) fn put_by_digest(registry: &Registry, name: &str, (manifest, digest): (&[u8], &Digest)) {
    let target = PutTarget::Digest { digest: digest.clone(), tags: Vec::new() };
    let bytes: Arc<[u8]> = manifest.into();
    let put = PutManifest { target, content_type: None, bytes, condition: Condition::Always };
    block_on(registry.put_manifest(&repo(name), put)).unwrap();
}

pub(crate) fn push_blob_by(registry: &Registry, name: &str, (content, digest): (&[u8], &Digest)) {
    block_on(async {
        let algorithm = digest.content().unwrap().algorithm();
        let id = registry.begin_upload(&repo(name), Some(algorithm)).await.unwrap();
        registry.finish_upload(&repo(name), id, digest, chunk(content)).await.unwrap();
    });
}

pub(crate) fn chunk(body: &[u8]) -> Chunk<&[u8]> {
    Chunk { body, length: Some(body.len() as u64), range: None }
}

/// The first life of a store: nearly all that it has.
pub(crate) fn first(registry: &Registry) -> UploadId {
    Image::new("one").push(registry, APP, Some("v1"));
    push_manifest(registry, APP, &Image::new("one").manifest, Some("latest"));
    Image::new("two").push(registry, APP, Some("v2"));
    push_manifest(registry, APP, &index(), Some("all"));
    for referrer in referrers() {
        push_manifest(registry, APP, &referrer, None);
    }
    Image::new("untagged").push(registry, APP, None);
    Image::new("deleted").push(registry, APP, Some("gone"));
    let gone = crate::common::sha256(&Image::new("deleted").manifest);
    block_on(registry.delete_manifest(&repo(APP), &gone)).unwrap();
    let (manifest, digest) = by_sha512();
    put_by_digest(registry, APP, (&manifest, &digest));
    let blob = digest_by(Algorithm::Sha512, SHA512_BLOB);
    push_blob_by(registry, APP, (SHA512_BLOB, &blob));
    let mounted = crate::common::sha256(&Image::new("one").layer);
    assert!(block_on(registry.mount(&repo(OTHER), &mounted, Some(&repo(APP)))).unwrap());
    block_on(async {
        let id = registry.begin_upload(&repo(APP), None).await.unwrap();
        registry.append(&repo(APP), id, chunk(&UPLOAD[..CAME_BYTES])).await.unwrap();
        id
    })
}

/// The second life: what comes after the checkpoint.
pub(crate) fn second(registry: &Registry) {
    let registry = &registry.on_behalf_of(Origin::default().client("oras/1.3").request("r1"));
    push_manifest(registry, APP, &Image::new("two").manifest, Some("latest"));
    Image::new("three").push(registry, APP, Some("v3"));
    Image::new("three").push(registry, OTHER, Some("old"));
    block_on(registry.delete_tag(&repo(OTHER), &tag("old"))).unwrap();
    push_manifest(registry, OTHER, &Image::new("three").manifest, Some("new"));
}

pub(crate) fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

/// Each tag of a store, and the manifest that it names.
pub(crate) fn tags() -> Vec<(RepoName, &'static str, Vec<u8>)> {
    let manifest = |name: &str| Image::new(name).manifest;
    vec![
        (repo(APP), "all", index()),
        (repo(APP), "latest", manifest("two")),
        (repo(APP), "v1", manifest("one")),
        (repo(APP), "v2", manifest("two")),
        (repo(APP), "v3", manifest("three")),
        (repo(OTHER), "new", manifest("three")),
    ]
}
