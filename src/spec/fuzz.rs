//! What fuzzers feed with bytes of their own, and what must hold of any.

use std::fmt::Display;
use std::str::FromStr;

use crate::spec::{
    Algorithm, ByteRange, ByteSpan, ContentDigest, ContentRange, Digest, Manifest, MediaType, RANGES_MAX,
    Reference, RepoName, Tag,
};

/// A `Range` header for content of a length that the first byte makes: parts lie within the content. And a
/// `Content-Range`.
pub(crate) fn range(bytes: &[u8]) {
    let Some((first, header)) = bytes.split_first() else { return };
    let header = String::from_utf8_lossy(header);
    // From nothing over small lengths, where ends meet, to the largest.
    let length = match first {
        0..=127 => u64::from(*first),
        _ => u64::MAX >> (first - 128).min(63),
    };
    match ByteRange::parse(&header, length) {
        ByteRange::Part(span) => lies_within(span, length),
        ByteRange::Parts(mut spans) => {
            assert!((2..=RANGES_MAX).contains(&spans.len()));
            spans.iter().for_each(|span| lies_within(*span, length));
            spans.sort_unstable();
            assert!(spans.is_sorted_by(|one, next| one.last() < next.offset), "a byte would be sent twice");
        }
        ByteRange::Unsatisfiable => assert!(length > 0, "nothing has no ranges"),
        ByteRange::Whole => {}
    }
    if let Ok(range) = header.parse::<ContentRange>() {
        assert!(range.first <= range.last && range.length() == range.last - range.first + 1);
        assert_eq!(range.to_string().parse(), Ok(range));
    }
}

fn lies_within(span: ByteSpan, length: u64) {
    assert!(span.length > 0 && span.offset.checked_add(span.length).is_some_and(|end| end <= length));
}

/// A manifest: what is understood of it is the same each time, and its own digests are digests.
pub(crate) fn manifest(bytes: &[u8]) {
    let types = [None, MediaType::OCI_MANIFEST.parse::<MediaType>().ok(), MediaType::OCI_INDEX.parse().ok()];
    for media_type in &types {
        let Ok(manifest) = Manifest::parse(bytes, media_type.as_ref()) else { continue };
        assert_eq!(manifest.size(), bytes.len() as u64);
        let own = Some(manifest.media_type().clone());
        assert_eq!(Manifest::parse(bytes, own.as_ref()).as_ref(), Ok(&manifest), "read again it is another");
        for descriptor in manifest.blobs().chain(manifest.children()).chain(manifest.subject()) {
            holds::<Digest>(descriptor.digest.as_str());
        }
        let referrer = manifest.referrer(bytes, ContentDigest::sha256_of(bytes));
        assert!(referrer.is_ok_and(|referrer| serde_json::to_vec(&referrer).is_ok()));
    }
    if let Some(manifest) = Manifest::recognise(bytes) {
        let own = Some(manifest.media_type().clone());
        assert_eq!(Manifest::parse(bytes, own.as_ref()), Ok(manifest), "recognised as what it is not");
    }
}

/// A digest, a name, a tag and what else has a grammar: what is taken is what it is written as again.
pub(crate) fn name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let is_path_safe = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-:+=".contains(&byte))
            && !text.split('/').any(|part| matches!(part, "" | "." | ".."))
    };
    if holds::<RepoName>(text) {
        assert!(text.len() <= 255 && is_path_safe(text), "{text:?} is no name");
    }
    if holds::<Tag>(text) {
        assert!(text.len() <= 128 && !text.contains('/') && is_path_safe(text), "{text:?} is no tag");
    }
    if holds::<Digest>(text) {
        assert!(!text.contains('/') && is_path_safe(text), "{text:?} is no digest");
    }
    if holds::<ContentDigest>(text) {
        let digest = text.parse::<Digest>().ok();
        assert_eq!(digest.and_then(|digest| digest.content()), text.parse().ok());
    }
    if let Ok(reference) = text.parse::<Reference>() {
        let is_digest = matches!(reference, Reference::Digest(_));
        assert_eq!(is_digest, text.contains(':'), "{text:?}");
    }
    let _ = (holds::<MediaType>(text), text.parse::<Algorithm>());
}

/// Tells whether this is one, and checks that it is written as it was read.
fn holds<T: FromStr + Display>(text: &str) -> bool {
    let parsed = text.parse::<T>().ok();
    if let Some(parsed) = &parsed {
        assert_eq!(parsed.to_string(), text, "it is written differently");
    }
    parsed.is_some()
}
