//! The answer of the referrers API: distribution-spec, section "Listing Referrers".

use std::collections::BTreeMap;

use serde::Serialize;

use crate::spec::content_digest::ContentDigest;
use crate::spec::digest::Digest;
use crate::spec::media_type::MediaType;
use crate::spec::tag::Tag;

/// How much of the algorithm's name a fallback tag has.
const FALLBACK_ALGORITHM_LENGTH_MAX_CHARS: usize = 32;

/// How much of the encoded part of the digest a fallback tag has.
const FALLBACK_ENCODED_LENGTH_MAX_CHARS: usize = 64;

/// A manifest with a subject, as the list of that subject's referrers describes it (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    /// The manifest's media type.
    pub media_type: MediaType,
    /// The manifest's digest.
    pub digest: ContentDigest,
    /// The manifest's length in bytes.
    pub size: u64,
    /// The artifact type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifest's annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReferrersIndex<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: &'a [Referrer],
}

/// Writes the image index that answers a question for referrers, in the order they are given (R4).
#[expect(clippy::expect_used, reason = "strings, numbers and maps with keys of text always have a JSON form")]
pub fn referrers_index(referrers: &[Referrer]) -> Vec<u8> {
    let index = ReferrersIndex { schema_version: 2, media_type: MediaType::OCI_INDEX, manifests: referrers };
    serde_json::to_vec(&index).expect("an index of referrers has a JSON form")
}

/// Returns the tag under which clients keep the referrers of `subject` where there is no referrers API (R12).
#[expect(
    clippy::expect_used,
    reason = "an algorithm starts with a letter or digit, and the rest is made to fit"
)]
pub fn fallback_tag(subject: &Digest) -> Tag {
    let algorithm = subject.algorithm_name().chars().take(FALLBACK_ALGORITHM_LENGTH_MAX_CHARS);
    let encoded = subject.encoded().chars().take(FALLBACK_ENCODED_LENGTH_MAX_CHARS);
    let text: String = algorithm
        .chain(['-'])
        .chain(encoded)
        .map(|character| if matches!(character, '+' | '=') { '-' } else { character })
        .collect();
    text.parse().expect("what is left of a digest is a tag")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn referrer() -> Referrer {
        Referrer {
            media_type: MediaType::OCI_MANIFEST.parse().unwrap(),
            digest: ContentDigest::sha256_of(b""),
            size: 7,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }

    /// R4, R7
    #[test]
    fn no_referrers_are_an_empty_list() {
        let expected =
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        assert_eq!(String::from_utf8(referrers_index(&[])).unwrap(), expected);
    }

    /// R6
    #[test]
    fn a_referrer_is_a_descriptor_without_empty_fields() {
        let described = Referrer {
            artifact_type: Some("a/b".to_owned()),
            annotations: BTreeMap::from([("k".to_owned(), "v \"x\"".to_owned())]),
            ..referrer()
        };
        let index: serde_json::Value =
            serde_json::from_slice(&referrers_index(&[referrer(), described])).unwrap();
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let expected = serde_json::json!([
            {"mediaType": MediaType::OCI_MANIFEST, "digest": digest, "size": 7},
            {"mediaType": MediaType::OCI_MANIFEST, "digest": digest, "size": 7,
             "artifactType": "a/b", "annotations": {"k": "v \"x\""}},
        ]);
        assert_eq!(index["manifests"], expected);
    }

    /// R12
    #[test]
    fn a_fallback_tag_is_the_digest_made_to_fit() {
        for (digest, tag) in [
            (format!("sha256:{}", "a".repeat(64)), format!("sha256-{}", "a".repeat(64))),
            (format!("sha512:{}", "b".repeat(128)), format!("sha512-{}", "b".repeat(64))),
            (
                "test+algorithm+using+algorithm+separators+and+long:a=b_c-d".to_owned(),
                "test-algorithm-using-algorithm-s-a-b_c-d".to_owned(),
            ),
        ] {
            assert_eq!(fallback_tag(&digest.parse().unwrap()).as_str(), tag);
        }
    }

    proptest! {
        /// R12
        #[test]
        fn every_digest_has_a_fallback_tag(
            text in "[a-z0-9]{1,20}([+._-][a-z0-9]{1,20}){0,4}:[a-zA-Z0-9=_-]{1,100}",
        ) {
            if let Ok(digest) = text.parse::<Digest>() {
                prop_assert!(fallback_tag(&digest).as_str().len() <= 32 + 1 + 64);
            }
        }
    }
}
