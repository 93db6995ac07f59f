//! Telling manifests from other content by what is in them, where their type is not given.

use serde::Deserialize;

use crate::spec::manifest::Manifest;
use crate::spec::media_type::{ManifestKind, MediaType};

/// The withdrawn artifact manifest, which old clients have pushed.
const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";

/// The fields by which manifests can be told. Other content may have fields of the same names and any shape.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marks {
    media_type: Option<serde_json::Value>,
    config: Option<serde_json::Value>,
    layers: Option<serde_json::Value>,
    manifests: Option<serde_json::Value>,
}

impl Manifest {
    /// Reads a manifest of which only the bytes are known, or returns `None` where they are none for certain.
    ///
    /// A manifest says its media type, which image-spec asks for; where it does not, it is taken for the OCI
    /// type that has its fields. Of types that no specification has, none is recognised.
    pub fn recognise(bytes: &[u8]) -> Option<Self> {
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if first != Some(&b'{') {
            return None;
        }
        let marks: Marks = serde_json::from_slice(bytes).ok()?;
        let said = marks.media_type.as_ref().and_then(|said| said.as_str()).filter(|said| !said.is_empty());
        let media_type: MediaType = match said {
            Some(said) => said.parse().ok()?,
            None if marks.manifests.is_some() => MediaType::OCI_INDEX.parse().ok()?,
            None if marks.config.is_some() && marks.layers.is_some() => {
                MediaType::OCI_MANIFEST.parse().ok()?
            }
            None => return None,
        };
        let known = media_type.kind() != ManifestKind::Other || media_type.as_str() == OCI_ARTIFACT;
        Self::parse(bytes, Some(&media_type)).ok().filter(|_| known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn recognised(json: &str) -> Option<String> {
        let json = json.replace("DESCRIPTOR", &format!(r#"{{"digest":"{DIGEST}","size":0}}"#));
        Manifest::recognise(json.as_bytes()).map(|manifest| manifest.media_type().to_string())
    }

    #[test]
    fn manifests_are_recognised_by_type_or_by_fields() {
        for (json, expected) in [
            (r#"{"config":DESCRIPTOR,"layers":[]}"#.to_owned(), MediaType::OCI_MANIFEST),
            (r#" {"manifests":[]}"#.to_owned(), MediaType::OCI_INDEX),
            (
                format!(r#"{{"mediaType":"{}","manifests":[]}}"#, MediaType::DOCKER_LIST),
                MediaType::DOCKER_LIST,
            ),
            (
                format!(r#"{{"mediaType":"{}","config":DESCRIPTOR}}"#, MediaType::DOCKER_MANIFEST),
                MediaType::DOCKER_MANIFEST,
            ),
            (format!(r#"{{"mediaType":"{OCI_ARTIFACT}","blobs":[DESCRIPTOR]}}"#), OCI_ARTIFACT),
        ] {
            assert_eq!(recognised(&json).as_deref(), Some(expected), "{json}");
        }
    }

    #[test]
    fn other_content_is_none() {
        for json in [
            "",
            "\u{1f}\u{8b}",
            "[]",
            "{}",
            r#"{"architecture":"amd64","config":{"Env":[]},"rootfs":{"type":"layers","diff_ids":[]}}"#,
            r#"{"mediaType":"application/vnd.example+json","manifests":[]}"#,
            r#"{"mediaType":7,"layers":[]}"#,
            r#"{"config":{},"layers":[]}"#,
            r#"{"_type":"https://in-toto.io/Statement/v0.1","subject":[]}"#,
        ] {
            assert_eq!(recognised(json), None, "{json}");
        }
    }
}
