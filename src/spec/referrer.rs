//! The answer of the referrers API: distribution-spec, section "Listing Referrers".

use std::collections::BTreeMap;

use serde::Serialize;

use crate::spec::content_digest::ContentDigest;
use crate::spec::media_type::MediaType;

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

#[cfg(test)]
mod tests {
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
}
