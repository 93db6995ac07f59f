//! What clients push here.

use std::sync::{Arc, LazyLock};

use crate::spec::{ContentDigest, MediaType};

pub(super) const REPOS: [&str; 2] = ["a", "b"];

/// The manifest that [`SIGNATURE`] belongs to.
pub(super) const SIGNED: usize = 2;

/// The tag of a signature, which clients set to whatever they push.
pub(super) static SIGNATURE: LazyLock<&'static str> = LazyLock::new(|| signature_of(SIGNED).leak());

/// The tags that clients set.
pub(super) static TAGS: LazyLock<[&'static str; 4]> = LazyLock::new(|| ["v1", "v2", "v3", *SIGNATURE]);

/// Returns the tag of a signature as cosign names it.
pub(super) fn signature_of(number: usize) -> String {
    format!("sha256-{}.sig", manifest(number).digest.encoded())
}

/// How many blobs there are.
pub(super) const BLOBS: usize = 6;

/// A manifest, with what it references by number.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) bytes: Arc<[u8]>,
    pub(super) digest: ContentDigest,
    pub(super) blobs: Vec<usize>,
    pub(super) children: Vec<usize>,
    pub(super) subject: Option<usize>,
}

pub(super) fn blob(number: usize) -> Vec<u8> {
    format!("blob {number} ").repeat(number * 40 + 1).into_bytes()
}

pub(super) fn blob_digest(number: usize) -> ContentDigest {
    ContentDigest::sha256_of(&blob(number))
}

/// Images that share blobs, an index of two of them, an index of that index, referrers of an image, of a
/// referrer, and of an index.
pub(super) static MANIFESTS: LazyLock<Vec<Content>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for (blobs, children, subject) in [
        (&[0, 1, 2][..], &[][..], None),
        (&[0, 1, 3], &[], None),
        (&[4, 2, 5], &[], None),
        (&[], &[0, 1], None),
        (&[], &[3, 2], None),
        (&[0, 4], &[], Some(0)),
        (&[0, 5], &[], Some(5)),
        (&[0, 3], &[], Some(3)),
    ] {
        let made = make(&all, all.len(), blobs, children, subject);
        all.push(made);
    }
    all
});

fn make(
    before: &[Content],
    number: usize,
    blobs: &[usize],
    children: &[usize],
    subject: Option<usize>,
) -> Content {
    let described =
        |digest: ContentDigest| serde_json::json!({"mediaType": "a/b", "digest": digest, "size": 1});
    let mut body = serde_json::json!({"schemaVersion": 2, "annotations": {"number": number.to_string()}});
    if children.is_empty() {
        body["mediaType"] = MediaType::OCI_MANIFEST.into();
        body["config"] = described(blob_digest(blobs[0]));
        body["layers"] = blobs[1..].iter().map(|blob| described(blob_digest(*blob))).collect();
    } else {
        body["mediaType"] = MediaType::OCI_INDEX.into();
        body["manifests"] = children.iter().map(|child| described(before[*child].digest)).collect();
    }
    if let Some(subject) = subject {
        body["subject"] = described(before[subject].digest);
    }
    let bytes: Arc<[u8]> = body.to_string().into_bytes().into();
    let digest = ContentDigest::sha256_of(&bytes);
    Content { bytes, digest, blobs: blobs.to_vec(), children: children.to_vec(), subject }
}

pub(super) fn manifest(number: usize) -> &'static Content {
    &MANIFESTS[number]
}
