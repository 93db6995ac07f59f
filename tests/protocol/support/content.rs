//! Content to push, with digests computed independently of the code under test.

use serde_json::{Value, json};
use sha2::Digest as _;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub const OCTETS: &str = "application/octet-stream";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    format!("sha256:{}", hex(&sha2::Sha256::digest(bytes)))
}

pub fn sha512(bytes: impl AsRef<[u8]>) -> String {
    format!("sha512:{}", hex(&sha2::Sha512::digest(bytes)))
}

pub fn blake3(bytes: impl AsRef<[u8]>) -> String {
    format!("blake3:{}", blake3::hash(bytes.as_ref()).to_hex())
}

/// Returns a digest that no content has.
pub fn unknown_digest() -> String {
    format!("sha256:{}", "0123456789abcdef".repeat(4))
}

/// Returns bytes that differ with the seed and don't repeat.
pub fn filler(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

/// Returns the descriptor of content.
pub fn descriptor(media_type: &str, bytes: impl AsRef<[u8]>) -> Value {
    let bytes = bytes.as_ref();
    json!({ "mediaType": media_type, "digest": sha256(bytes), "size": bytes.len() })
}

/// Returns the descriptor of `{}`, which is the config of an artifact.
pub fn empty_config() -> Value {
    descriptor("application/vnd.oci.empty.v1+json", "{}")
}

/// A manifest to push.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub media_type: String,
    pub bytes: Vec<u8>,
    pub digest: String,
}

impl Manifest {
    /// Makes one of exact bytes.
    pub fn of(media_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { media_type: media_type.to_owned(), digest: sha256(&bytes), bytes }
    }

    /// Makes one of JSON, which gets `schemaVersion` and `mediaType`.
    pub fn json(media_type: &str, mut value: Value) -> Self {
        value["schemaVersion"] = json!(2);
        value["mediaType"] = json!(media_type);
        Self::of(media_type, value.to_string())
    }

    /// Makes an image.
    pub fn image(config: &[u8], layers: &[&[u8]]) -> Self {
        let layers: Vec<_> = layers.iter().map(|layer| descriptor(OCI_LAYER, layer)).collect();
        Self::json(OCI_MANIFEST, json!({ "config": descriptor(OCI_CONFIG, config), "layers": layers }))
    }

    /// Makes an index.
    pub fn index(children: &[&Self]) -> Self {
        let children: Vec<_> = children.iter().map(|child| child.descriptor()).collect();
        Self::json(OCI_INDEX, json!({ "manifests": children }))
    }

    /// Makes an artifact with a subject.
    pub fn artifact(subject: &Self, artifact_type: &str, annotations: &Value) -> Self {
        let fields = json!({
            "artifactType": artifact_type,
            "config": empty_config(),
            "layers": [empty_config()],
            "subject": subject.descriptor(),
            "annotations": annotations,
        });
        Self::json(OCI_MANIFEST, fields)
    }

    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}
