//! Stores to look after, servers that use them, and the program to do it with.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;

use pulk::{
    Chunk, Condition, ContentDigest, Digest, PutManifest, PutTarget, Registry, RegistryOptions, RepoName,
    Storage,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use smol::block_on;
use tempfile::TempDir;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A data directory.
pub(crate) struct Store {
    pub(crate) folder: TempDir,
    /// For what is not part of it.
    beside: TempDir,
}

pub(crate) fn repo(name: &str) -> RepoName {
    name.parse().unwrap()
}

pub(crate) fn sha256(content: &[u8]) -> Digest {
    ContentDigest::sha256_of(content).into()
}

/// An image of a config and layers.
pub(crate) struct Image {
    pub(crate) blobs: Vec<Vec<u8>>,
    pub(crate) manifest: Vec<u8>,
}

impl Image {
    /// One that tells itself from others by its config, with these layers.
    pub(crate) fn new(name: &str, layers: &[&[u8]]) -> Self {
        Self::with(name, layers, &json!({}))
    }

    pub(crate) fn with(name: &str, layers: &[&[u8]], more: &Value) -> Self {
        let config = format!("{{\"config of\":\"{name}\"}}").into_bytes();
        let described: Vec<Value> =
            layers.iter().map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer)).collect();
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": described,
        });
        manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let blobs = std::iter::once(config).chain(layers.iter().map(|layer| layer.to_vec())).collect();
        Self { blobs, manifest: manifest.to_string().into_bytes() }
    }

    pub(crate) fn digest(&self) -> Digest {
        sha256(&self.manifest)
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.manifest.len() + self.blobs.iter().map(Vec::len).sum::<usize>()) as u64
    }
}

pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": sha256(content), "size": content.len()})
}

pub(crate) fn index_of(images: &[&Image]) -> Vec<u8> {
    let children: Vec<Value> = images.iter().map(|image| descriptor(OCI_MANIFEST, &image.manifest)).collect();
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}).to_string().into_bytes()
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), beside: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file beside the store, and returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.beside.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Opens the store, works with it, and stops it cleanly.
    pub(crate) fn run<T>(&self, work: impl FnOnce(&Registry) -> T) -> T {
        let options = RegistryOptions::new(Storage::Folder(self.path().to_owned()));
        let registry = Registry::open(options).unwrap();
        let done = work(&registry);
        block_on(registry.close()).unwrap();
        done
    }

    /// Runs the program on the store.
    pub(crate) fn pulk(&self, arguments: &[&str]) -> Ran {
        pulk(arguments, self.path())
    }

    /// Runs the program on the store and reads the JSON object that it prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.pulk(&[arguments, &["--json"]].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        serde_json::from_str(&ran.out).unwrap()
    }

    pub(crate) fn serve(&self) -> Serving {
        Serving::start(self.path())
    }
}

/// How the program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program, without the variables that would be its settings.
pub(crate) fn command(arguments: &[&str], data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pulk"));
    for name in ["DATA", "LISTEN", "CONFIG", "EPHEMERAL", "LOG"] {
        command.env_remove(format!("PULK_{name}"));
    }
    command.args(arguments).arg("--data").arg(data);
    command
}

pub(crate) fn pulk(arguments: &[&str], data: &Path) -> Ran {
    let output = command(arguments, data).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A running `pulk serve`, killed when a test ends early.
pub(crate) struct Serving {
    child: Child,
    _log: BufReader<ChildStderr>,
    pub(crate) address: String,
}

impl Serving {
    pub(crate) fn start(data: &Path) -> Self {
        let mut command = command(&["serve", "--listen", "127.0.0.1:0"], data);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("pulk listening on ") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it never listened");
        }
        let address = line.trim_end().split_once("http://").unwrap().1.to_owned();
        Self { child, _log: log, address }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it and returns its exit code.
    pub(crate) fn stop(mut self) -> i32 {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap().code().unwrap()
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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

pub(crate) fn push(registry: &Registry, name: &str, image: &Image, tag: Option<&str>) {
    for blob in &image.blobs {
        push_blob(registry, name, blob);
    }
    push_manifest(registry, name, &image.manifest, tag);
}
