//! What the tests of stores and of the program that looks after them have in common.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use pulk::{Chunk, Condition, ContentDigest, Digest, PutManifest, PutTarget, Registry, RepoName};
use serde_json::{Value, json};
use smol::block_on;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub(crate) fn repo(name: &str) -> RepoName {
    name.parse().unwrap()
}

pub(crate) fn sha256(content: &[u8]) -> Digest {
    ContentDigest::sha256_of(content).into()
}

/// Returns where a data directory has content.
pub(crate) fn blob_file(data: &Path, content: &[u8]) -> PathBuf {
    let encoded = sha256(content).encoded().to_owned();
    data.join("blobs/sha256").join(&encoded[..2]).join(encoded)
}

pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": sha256(content), "size": content.len()})
}

/// Returns a config that tells an image from others by `name`.
pub(crate) fn config_of(name: &str) -> Vec<u8> {
    format!("{{\"config of\":\"{name}\"}}").into_bytes()
}

/// Returns the manifest of an image, with more fields.
pub(crate) fn manifest_of(config: &[u8], layers: &[&[u8]], more: &Value) -> Vec<u8> {
    let layers: Vec<Value> =
        layers.iter().map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer)).collect();
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": layers,
    });
    manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    manifest.to_string().into_bytes()
}

/// How the program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program, without the variables that would be its settings.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pulk"));
    for name in ["DATA", "LISTEN", "CONFIG", "EPHEMERAL", "LOG"] {
        command.env_remove(format!("PULK_{name}"));
    }
    command.args(arguments);
    command
}

/// The program on a data directory.
pub(crate) fn command(arguments: &[&str], data: &Path) -> Command {
    let mut command = program(arguments);
    command.arg("--data").arg(data);
    command
}

/// Runs the program on a data directory.
pub(crate) fn pulk(arguments: &[&str], data: &Path) -> Ran {
    let output = command(arguments, data).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

pub(crate) fn push_blob(registry: &Registry, name: &str, content: &[u8]) {
    block_on(async {
        let id = registry.begin_upload(&repo(name), None).await.unwrap();
        let chunk = Chunk { body: content, length: Some(content.len() as u64), range: None };
        registry.finish_upload(&repo(name), id, &sha256(content), chunk).await.unwrap();
    });
}

pub(crate) fn push_manifest(registry: &Registry, name: &str, manifest: &[u8], tag: Option<&str>) {
    let target = match tag {
        Some(tag) => PutTarget::Tag(tag.parse().unwrap()),
        None => PutTarget::Digest { digest: sha256(manifest), tags: Vec::new() },
    };
    let bytes: Arc<[u8]> = manifest.into();
    let put = PutManifest { target, content_type: None, bytes, condition: Condition::Always };
    block_on(registry.put_manifest(&repo(name), put)).unwrap();
}
