//! A reader that looks at operations in progress before each sync of the journal.
//!
//! What it sees there counts as acknowledged: it must survive a cut from that moment on.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::client::{Key, Value, repo, tag};
use crate::base::lock;
use crate::crash_tests::trials::model::was_read;
use crate::disk::simulated::SimulatedDisk;
use crate::registry::{Registry, RegistryError};
use crate::spec::Reference;

/// An operation in progress, and the effects by which a reader recognizes it.
type Recognizable = (usize, Vec<(Key, Value)>);

/// The operations in progress that no reader has seen yet.
#[derive(Clone, Default)]
pub(crate) struct InProgress {
    operations: Arc<Mutex<Vec<Recognizable>>>,
}

impl InProgress {
    pub(crate) fn add(&self, number: usize, telling: Vec<(Key, Value)>) {
        lock(&self.operations).push((number, telling));
    }

    pub(crate) fn remove(&self, number: usize) {
        lock(&self.operations).retain(|(other, _)| *other != number);
    }
}

/// Reads before each sync of the journal, and marks the operations whose effects were seen.
pub(crate) fn read_at_syncs(disk: &SimulatedDisk, registry: Registry, in_progress: InProgress) {
    let marked = disk.clone();
    disk.before_sync(Some(Arc::new(move |path: &Path| {
        if !path.starts_with("journal") {
            return;
        }
        lock(&in_progress.operations).retain(|(number, telling)| {
            let is_seen = telling.iter().any(|(key, value)| read(&registry, key) == Some(*value));
            if is_seen {
                marked.mark(was_read(*number));
            }
            !is_seen
        });
    })));
}

/// Reads a key. Returns `None` if the read waits.
fn read(registry: &Registry, key: &Key) -> Option<Value> {
    let manifest = |name: &str, reference: Reference| {
        let looked = async { registry.manifest_info(&repo(name), &reference).await };
        at_once(looked).map(|found| found.map(|found| found.digest))
    };
    let found = match key {
        Key::Blob(name, digest) => {
            at_once(async { registry.blob_size(&repo(name), &(*digest).into()).await })?.map(|_| *digest)
        }
        Key::Manifest(name, digest) => manifest(name, Reference::Digest((*digest).into()))?,
        Key::Tag(name, named) => manifest(name, Reference::Tag(tag(named)))?,
    };
    match found {
        Ok(digest) => Some(Some(digest)),
        Err(
            RegistryError::BlobUnknown(_)
            | RegistryError::ManifestUnknown(_)
            | RegistryError::TagUnknown(_)
            | RegistryError::NameUnknown(_),
        ) => Some(None),
        Err(_) => None,
    }
}

/// Runs a future that need not wait. Returns `None` if it waits: this is the thread that it waits for.
fn at_once<T>(work: impl Future<Output = T>) -> Option<T> {
    smol::block_on(smol::future::poll_once(work))
}
