//! The answer of the referrers API: distribution-spec, section "Listing Referrers".

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

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
    #[serde(skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
}

/// The annotations of a referrer.
#[derive(Debug, Clone)]
pub enum Annotations {
    /// Short ones, of which the last of equal names counts.
    Read(BTreeMap<String, String>),
    /// Long ones, as JSON that a manifest has.
    Written(Box<RawValue>),
}

impl Annotations {
    /// Returns all of them, also long ones.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        match self {
            Self::Read(map) => map.clone(),
            // INVARIANT: the manifest was parsed, so this is a map of texts.
            Self::Written(json) => serde_json::from_str(json.get()).unwrap_or_default(),
        }
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Read(map) if map.is_empty())
    }
}

impl PartialEq for Annotations {
    fn eq(&self, other: &Self) -> bool {
        self.to_map() == other.to_map()
    }
}

impl Eq for Annotations {}

impl Serialize for Annotations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Read(map) => map.serialize(serializer),
            Self::Written(json) => json.serialize(serializer),
        }
    }
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
    // Growing a long text would take up to three times as much memory.
    let mut json = Vec::with_capacity(json_length(&index));
    serde_json::to_writer(&mut json, &index).expect("an index of referrers has a JSON form");
    json
}

/// Returns how many bytes something has as JSON; 0 if it has no such form.
pub(crate) fn json_length(value: &impl Serialize) -> usize {
    let mut counter = ByteCounter(0);
    serde_json::to_writer(&mut counter, value).map_or(0, |()| counter.0)
}

/// Counts what is written.
struct ByteCounter(usize);

impl std::io::Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
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
            annotations: Annotations::Read(BTreeMap::new()),
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
            annotations: Annotations::Read(BTreeMap::from([("k".to_owned(), "v \"x\"".to_owned())])),
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

    #[test]
    fn long_ones_go_out_as_they_are_written() {
        let written = Annotations::Written(serde_json::from_str(r#"{"k": "v"}"#).unwrap());
        let read = Annotations::Read(BTreeMap::from([("k".to_owned(), "v".to_owned())]));
        assert_eq!(serde_json::to_string(&written).unwrap(), r#"{"k": "v"}"#);
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"{"k":"v"}"#);
        assert!(written == read && !written.is_empty());
    }
}
