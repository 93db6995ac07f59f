//! Pushing images the ways that clients do.

use super::client::Client;
use super::content::Content;

const CONFIG_SIZE_BYTES: u64 = 1024;
const LAYER_SIZE_BYTES: u64 = 64 * 1024;

pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

/// How a blob is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// POST, then one PUT with everything.
    Put,
    /// POST, one PATCH with everything, then an empty PUT.
    Patch,
}

impl Way {
    pub const ALL: [Self; 2] = [Self::Put, Self::Patch];

    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "POST, PUT",
            Self::Patch => "POST, PATCH, PUT",
        }
    }
}

/// Pushes a blob.
pub fn push_blob(client: &mut Client, repo: &str, way: Way, blob: &Content) {
    let begun = client.send("POST", &format!("/v2/{repo}/blobs/uploads/")).expect(202);
    let mut location = begun.location.expect("a location");
    let mut send = |method, target: &str| {
        client.send_body(method, target, "application/octet-stream", blob.size, |sink| blob.write(sink))
    };
    match way {
        Way::Put => {
            send("PUT", &with_digest(&location, &blob.digest)).expect(201);
        }
        Way::Patch => {
            location = send("PATCH", &location).expect(202).location.expect("a location");
            client.send("PUT", &with_digest(&location, &blob.digest)).expect(201);
        }
    }
}

fn with_digest(location: &str, digest: &str) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}digest={digest}")
}

/// The blobs of a small image, identified by its number.
pub fn small_image(number: u64) -> [Content; 2] {
    [Content::new(2 * number, CONFIG_SIZE_BYTES), Content::new(2 * number + 1, LAYER_SIZE_BYTES)]
}

/// Pushes config, one layer, and a manifest with a new tag.
pub fn push_image(client: &mut Client, repo: &str, way: Way, number: u64) {
    let blobs = small_image(number);
    for blob in &blobs {
        push_blob(client, repo, way, blob);
    }
    push_manifest(client, repo, &blobs, number);
}

/// Renders the manifest of an image.
pub fn manifest([config, layer]: &[Content; 2], number: u64) -> Vec<u8> {
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": config.digest, "size": config.size},
        "layers": [{"mediaType": LAYER_TYPE, "digest": layer.digest, "size": layer.size}],
        "annotations": {"org.opencontainers.image.version": number.to_string()},
    });
    manifest.to_string().into_bytes()
}

/// Pushes manifest and tag of this number over existing blobs; returns the manifest's length.
pub fn push_manifest(client: &mut Client, repo: &str, blobs: &[Content; 2], number: u64) -> u64 {
    let bytes = manifest(blobs, number);
    let length = bytes.len() as u64;
    let target = format!("/v2/{repo}/manifests/v{number}");
    client.send_body("PUT", &target, MANIFEST_TYPE, length, |sink| sink.write_all(&bytes)).expect(201);
    length
}
