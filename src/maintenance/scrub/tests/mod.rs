//! What the scrub finds, how it heals, and that nothing is lost on the way.

mod damage;
mod resuming;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use smol::block_on;

use crate::blobs::blob_path;
use crate::disk::Disk;
use crate::maintenance::scrub::error::ScrubError;
use crate::maintenance::scrub::pass::{Drive, Pass, Reached};
use crate::maintenance::scrub::report::ScrubReport;
use crate::meta::{IndexKind, MetaOptions};
use crate::registry::{
    Backing, Chunk, Condition, PutManifest, PutTarget, Registry, RegistryError, RegistryOptions, Storage,
};
use crate::spec::{ContentDigest, MediaType, RepoName};

const JOURNAL_MIN_BYTES: u64 = 1500;

pub(crate) fn open_on(disk: Arc<dyn Disk>) -> Registry {
    let mut options = RegistryOptions::new(Storage::Memory);
    // Content that only the journal has has no file that could be damaged.
    options.carried_max_bytes = 0;
    let meta = MetaOptions { journal_min_bytes: JOURNAL_MIN_BYTES, ..MetaOptions::new(IndexKind::Map) };
    Registry::open_on(options, Backing { disk, lock: None, meta }).unwrap()
}

pub(crate) fn repo(name: &str) -> RepoName {
    name.parse().unwrap()
}

pub(crate) fn digest(content: &[u8]) -> ContentDigest {
    ContentDigest::sha256_of(content)
}

fn file_of(content: &[u8]) -> PathBuf {
    blob_path(&digest(content))
}

/// Changes a byte of some content without the registry.
pub(crate) fn damage(disk: &dyn Disk, content: &[u8]) {
    disk.open_writable(&file_of(content)).unwrap().write_at(b"X", 1).unwrap();
}

pub(crate) fn push(registry: &Registry, name: &str, content: &[u8]) {
    block_on(async {
        let id = registry.begin_upload(&repo(name), None).await.unwrap();
        let chunk = Chunk { body: content, length: Some(content.len() as u64), range: None };
        registry.finish_upload(&repo(name), id, &digest(content).into(), chunk).await.unwrap();
    });
}

fn manifest(layer: &[u8]) -> Arc<[u8]> {
    let layer = serde_json::json!({"mediaType": "a/b", "digest": digest(layer), "size": layer.len()});
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": layer,
        "layers": [layer],
    });
    manifest.to_string().into_bytes().into()
}

fn put(registry: &Registry, name: &str, bytes: &Arc<[u8]>) -> Result<(), RegistryError> {
    let target = PutTarget::Tag("v1".parse().unwrap());
    let put =
        PutManifest { target, content_type: None, bytes: Arc::clone(bytes), condition: Condition::Always };
    block_on(registry.put_manifest(&repo(name), put)).map(drop)
}

pub(crate) fn has_blob(registry: &Registry, name: &str, content: &[u8]) -> bool {
    match block_on(registry.blob_size(&repo(name), &digest(content).into())) {
        Ok(size) => size == content.len() as u64,
        Err(RegistryError::BlobUnknown(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

fn has_tag(registry: &Registry, name: &str) -> bool {
    match block_on(registry.manifest(&repo(name), &"v1".parse().unwrap())) {
        Ok(_) => true,
        Err(RegistryError::TagUnknown(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Ends a pass after a number of pieces of content.
struct Until {
    left: usize,
    reached: Reached,
}

impl Until {
    fn the_end() -> Self {
        Self { left: usize::MAX, reached: Reached::default() }
    }
}

impl Drive for Until {
    fn took(&mut self, _: u64) -> Result<(), ScrubError> {
        if self.left == 0 { Err(ScrubError::Stopped) } else { Ok(()) }
    }

    fn reached(&mut self, reached: &Reached) {
        self.left -= 1;
        self.reached = reached.clone();
    }

    fn rest(&mut self, _: Duration) -> Result<(), ScrubError> {
        Ok(())
    }
}

/// Runs a pass over everything.
pub(crate) fn scrub(registry: &Registry) -> ScrubReport {
    let mut drive = Until::the_end();
    Pass::new(registry, &mut drive, Reached::default(), Duration::ZERO).run().unwrap()
}
