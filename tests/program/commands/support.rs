//! Stores, servers that use them, and the program.

use std::path::Path;

use pulk::{Digest, Registry, RegistryOptions, Storage};
use serde_json::{Value, json};
use smol::block_on;
use tempfile::TempDir;

pub(crate) use crate::common::{
    OCI_INDEX, OCI_MANIFEST, Ran, command, descriptor, pulk, push_blob, push_manifest, sha256,
};
use crate::common::{config_of, manifest_of};
pub(crate) use crate::serving::Serving;

/// A data directory.
pub(crate) struct Store {
    pub(crate) folder: TempDir,
    /// For files beside it.
    beside: TempDir,
}

/// An image of a config and layers.
pub(crate) struct Image {
    pub(crate) blobs: Vec<Vec<u8>>,
    pub(crate) manifest: Vec<u8>,
}

impl Image {
    /// An image with these layers; its config makes it differ from others.
    pub(crate) fn new(name: &str, layers: &[&[u8]]) -> Self {
        Self::with(name, layers, &json!({}))
    }

    pub(crate) fn with(name: &str, layers: &[&[u8]], more: &Value) -> Self {
        let config = config_of(name);
        let manifest = manifest_of(&config, layers, more);
        let blobs = std::iter::once(config).chain(layers.iter().map(|layer| layer.to_vec())).collect();
        Self { blobs, manifest }
    }

    pub(crate) fn digest(&self) -> Digest {
        sha256(&self.manifest)
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.manifest.len() + self.blobs.iter().map(Vec::len).sum::<usize>()) as u64
    }
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

    /// Runs the program on the store and parses the JSON object that it prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.pulk(&[arguments, &["--json"]].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        serde_json::from_str(&ran.out).unwrap()
    }

    pub(crate) fn serve(&self) -> Serving {
        Serving::start(self.path())
    }
}

pub(crate) fn push(registry: &Registry, name: &str, image: &Image, tag: Option<&str>) {
    for blob in &image.blobs {
        push_blob(registry, name, blob);
    }
    push_manifest(registry, name, &image.manifest, tag);
}
