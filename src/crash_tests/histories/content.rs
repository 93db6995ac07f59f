//! The content that the histories push.

use std::sync::{Arc, LazyLock};

use crate::spec::{ContentDigest, MediaType};

/// The lengths of the blobs: the third is longer than a sector, the last than a page of the disk.
const LENGTHS: [usize; 7] = [1, 40, 700, 3000, 5000, 9000, 70_000];

/// A blob.
pub(crate) struct Blob {
    pub(crate) digest: ContentDigest,
    pub(crate) bytes: Vec<u8>,
}

/// A manifest and what it refers to.
pub(crate) struct ManifestOf {
    pub(crate) digest: ContentDigest,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) media_type: MediaType,
    pub(crate) blobs: Vec<ContentDigest>,
    pub(crate) children: Vec<ContentDigest>,
    pub(crate) subject: Option<ContentDigest>,
}

static BLOBS: LazyLock<Vec<Blob>> = LazyLock::new(|| {
    LENGTHS
        .iter()
        .zip(1_u32..)
        .map(|(length, seed)| {
            let byte = |at: u32| (at.wrapping_mul(seed).wrapping_mul(2_654_435_761) >> 13) as u8;
            let bytes: Vec<u8> = (1..).take(*length).map(byte).collect();
            Blob { digest: ContentDigest::sha256_of(&bytes), bytes }
        })
        .collect()
});

/// Manifests 0 to 2 are images, 3 and 4 refer to 0, 5 to 1; 6 is an index of 0 and 1.
static MANIFESTS: LazyLock<Vec<ManifestOf>> = LazyLock::new(|| {
    let mut all = vec![image("a", &[0, 1], None), image("b", &[0, 2], None), image("c", &[3, 1, 4], None)];
    let (first, second) = ((all[0].digest, all[0].bytes.len()), (all[1].digest, all[1].bytes.len()));
    all.push(image("d", &[0], Some(first)));
    all.push(image("e", &[1], Some(first)));
    all.push(image("f", &[0, 1], Some(second)));
    all.push(index(&[first, second]));
    all
});

fn image(name: &str, blobs: &[usize], subject: Option<(ContentDigest, usize)>) -> ManifestOf {
    let described: Vec<String> = blobs
        .iter()
        .map(|number| {
            let blob = blob(*number);
            let media_type = MediaType::OCI_CONFIG;
            format!(
                r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#,
                blob.digest,
                blob.bytes.len()
            )
        })
        .collect();
    let refers = subject.map_or(String::new(), |(digest, size)| {
        let media_type = MediaType::OCI_MANIFEST;
        format!(r#","subject":{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
    });
    let annotations = format!(r#""annotations":{{"name":"{name}"}}"#);
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]{refers},{annotations}}}"#,
        MediaType::OCI_MANIFEST,
        described[0],
        described[1..].join(","),
    );
    ManifestOf {
        digest: ContentDigest::sha256_of(text.as_bytes()),
        bytes: text.as_bytes().into(),
        media_type: MediaType::OCI_MANIFEST.parse().unwrap(),
        blobs: blobs.iter().map(|number| blob(*number).digest).collect(),
        children: Vec::new(),
        subject: subject.map(|(digest, _)| digest),
    }
}

fn index(children: &[(ContentDigest, usize)]) -> ManifestOf {
    let listed: Vec<String> = children
        .iter()
        .map(|(digest, size)| {
            let media_type = MediaType::OCI_MANIFEST;
            format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
        })
        .collect();
    let media_type = MediaType::OCI_INDEX;
    let text =
        format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{}]}}"#, listed.join(","));
    ManifestOf {
        digest: ContentDigest::sha256_of(text.as_bytes()),
        bytes: text.as_bytes().into(),
        media_type: MediaType::OCI_INDEX.parse().unwrap(),
        blobs: Vec::new(),
        children: children.iter().map(|(digest, _)| *digest).collect(),
        subject: None,
    }
}

/// Returns a blob.
pub(crate) fn blob(number: usize) -> &'static Blob {
    &BLOBS[number]
}

/// Returns all blobs.
pub(crate) fn blobs() -> &'static [Blob] {
    &BLOBS
}

/// Returns a manifest.
pub(crate) fn manifest(number: usize) -> &'static ManifestOf {
    &MANIFESTS[number]
}

/// Returns all manifests.
pub(crate) fn manifests() -> &'static [ManifestOf] {
    &MANIFESTS
}
