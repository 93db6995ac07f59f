//! The registry's operations: alone, side by side, and over every kind of stop.
//!
//! | what | where |
//! |---|---|
//! | data directories: opened, closed, opened again | `open` |
//! | what the journal notes of where a change comes from | `origin` |
//! | upload sessions | `uploads/` |
//! | manifests on their way in and out | `manifests/` |
//! | when a manifest was pulled last | `pulls` |
//! | mounts, lists, lookups during a deletion | `mounts`, `lists`, `looks` |
//! | a failing, full or read-only disk, and the number of syncs | `disk/` |
//! | histories, compared with a plain model | `histories/` |
//! | bodies that behave as clients do | `bodies` |

pub(super) mod bodies;
mod disk;
mod histories;
mod lists;
mod looks;
mod manifests;
mod mounts;
mod open;
mod origin;
mod pulls;
mod uploads;

pub(crate) use looks::Hook;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use smol::Timer;

use crate::disk::faulty::{Faults, FaultyDisk};
use crate::disk::{Disk, MemoryDisk};
use crate::meta::{IndexKind, MetaOptions};
use crate::registry::open::Backing;
use crate::registry::{
    Chunk, Condition, OnSyncFailure, PutManifest, PutTarget, Registry, RegistryError, RegistryOptions,
    Storage, UploadId,
};
use crate::spec::{Algorithm, ContentDigest, ContentRange, Digest, MediaType, RepoName, Tag};

/// How many bytes an upload receives before they are made durable.
const DURABLE_STEP_BYTES: u64 = 16 * 1024 * 1024;

fn repo(name: &str) -> RepoName {
    name.parse().unwrap()
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn sha256(content: &[u8]) -> Digest {
    ContentDigest::sha256_of(content).into()
}

/// Opens a registry on a disk that outlives the registry.
fn open_on(disk: Arc<dyn Disk>, change: impl FnOnce(&mut RegistryOptions)) -> Registry {
    let mut options = RegistryOptions::new(Storage::Memory);
    // Most tests are about files. Those of content in the journal set it.
    options.carried_max_bytes = 0;
    change(&mut options);
    Registry::open_on(options, Backing { disk, lock: None, meta: MetaOptions::new(IndexKind::Map) }).unwrap()
}

fn in_memory() -> Registry {
    // With a journal in files, so that its syncs can be counted.
    open_on(with_fanout_folders(), |_| {})
}

/// Returns the disk of a store that has had content in every folder: no push makes one.
fn with_fanout_folders() -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    for folder in ["blobs", "blobs/sha256"] {
        disk.create_folder(Path::new(folder)).unwrap();
    }
    for number in 0..256 {
        let folder = format!("blobs/sha256/{number:02x}");
        disk.create_folder(Path::new(&folder)).unwrap();
        disk.create(Path::new(&format!("{folder}/other"))).unwrap();
    }
    disk
}

/// Makes a disk with injected failures.
fn faulty() -> (Arc<dyn Disk>, Arc<Faults>) {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let faults = disk.faults();
    (Arc::new(disk), faults)
}

/// Opens a registry on a disk with injected failures. It takes no writes after a failed sync.
fn on_faulty() -> (Registry, Arc<Faults>, Arc<dyn Disk>) {
    on_faulty_with(OnSyncFailure::Exit)
}

fn on_faulty_with(policy: OnSyncFailure) -> (Registry, Arc<Faults>, Arc<dyn Disk>) {
    let disk = with_fanout_folders();
    let faulty = FaultyDisk::new(Arc::clone(&disk));
    let faults = faulty.faults();
    (open_on(Arc::new(faulty), |options| options.on_sync_failure = policy), faults, disk)
}

/// Copies everything that matters after a crash: not the index, the marker and the lock.
fn copy(from: &dyn Disk, to: &dyn Disk, folder: &Path) {
    for entry in from.list(folder).unwrap() {
        let path = folder.join(&entry.name);
        if entry.is_folder && entry.name != "index" {
            to.create_folder(&path).unwrap();
            copy(from, to, &path);
        } else if !entry.is_folder && entry.name != "clean" && entry.name != "lock" {
            let source = from.open(&path).unwrap();
            let mut bytes = vec![0; usize::try_from(source.length().unwrap()).unwrap()];
            let mut filled = 0;
            while filled < bytes.len() {
                filled += source.read_at(&mut bytes[filled..], filled as u64).unwrap();
            }
            to.create(&path).unwrap().write_at(&bytes, 0).unwrap();
        }
    }
}

/// Returns the disk as a crash at this moment would leave it.
fn crashed(disk: &dyn Disk) -> Arc<dyn Disk> {
    let other = MemoryDisk::new();
    copy(disk, &other, Path::new(""));
    Arc::new(other)
}

fn whole(body: &[u8]) -> Chunk<&[u8]> {
    Chunk { body, length: Some(body.len() as u64), range: None }
}

fn streamed<B>(body: B) -> Chunk<B> {
    Chunk { body, length: None, range: None }
}

fn ranged<B>(body: B, first: u64, last: u64) -> Chunk<B> {
    Chunk { body, length: None, range: Some(ContentRange { first, last }) }
}

fn nothing() -> Chunk<&'static [u8]> {
    streamed(&[])
}

async fn begin(registry: &Registry, name: &str) -> UploadId {
    registry.begin_upload(&repo(name), None).await.unwrap()
}

async fn push_blob(registry: &Registry, name: &str, content: &[u8]) -> Digest {
    let id = begin(registry, name).await;
    let digest = sha256(content);
    registry.finish_upload(&repo(name), id, &digest, whole(content)).await.unwrap();
    digest
}

async fn read_blob(registry: &Registry, name: &str, digest: &Digest) -> Result<Vec<u8>, RegistryError> {
    let reader = registry.open_blob(&repo(name), digest).await?;
    let size = usize::try_from(reader.size()).unwrap();
    Ok(reader
        .with_file(move |file| {
            let mut bytes = vec![0; size];
            let mut filled = 0;
            while filled < size {
                let length = file.read_at(&mut bytes[filled..], filled as u64).unwrap();
                assert!(length > 0, "the blob is shorter than it should be");
                filled += length;
            }
            assert_eq!(file.length().unwrap(), size as u64);
            bytes
        })
        .await)
}

fn image(config: &Digest, layers: &[Digest]) -> Arc<[u8]> {
    let descriptor = |digest: &Digest| serde_json::json!({"mediaType": "a/b", "digest": digest, "size": 1});
    let layers: Vec<_> = layers.iter().map(descriptor).collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": descriptor(config),
        "layers": layers,
    });
    manifest.to_string().into_bytes().into()
}

fn by_tag(name: &str, bytes: &Arc<[u8]>) -> PutManifest {
    let target = PutTarget::Tag(tag(name));
    PutManifest { target, content_type: None, bytes: Arc::clone(bytes), condition: Condition::Always }
}

/// Names of the files of unfinished uploads.
fn unfinished(registry: &Registry) -> Vec<String> {
    registry.inner.blobs.uploads().unwrap().into_iter().map(|upload| upload.name).collect()
}

/// Waits until an upload has reached an offset.
async fn wait_for_offset(registry: &Registry, name: &str, id: UploadId, offset: u64) {
    for _ in 0..10_000 {
        if registry.upload_offset(&repo(name), id).await.unwrap() == offset {
            return;
        }
        Timer::after(Duration::from_millis(1)).await;
    }
    panic!("the upload never stands at {offset}");
}
