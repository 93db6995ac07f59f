//! Damaged content, set aside: it is served no more, and what is left of it is kept.

use std::path::{Path, PathBuf};

use crate::blobs::error::BlobError;
use crate::blobs::local::layout::{QUARANTINE_FOLDER, blob_path};
use crate::blobs::local::publish::BlobStore;
use crate::disk::DiskError;
use crate::spec::ContentDigest;

/// How often the same content may be set aside.
const SAME_CONTENT_MAX: usize = 1000;

/// Damaged content that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// What it should have been.
    pub digest: ContentDigest,
    /// How many bytes there are.
    pub length: u64,
}

impl BlobStore {
    /// Sets the file of some content aside, durably, and returns where it is then. The rows that name it have
    /// to go afterwards, not before: content that no row names is removed after a crash.
    ///
    /// Nobody may store that content meanwhile.
    pub fn quarantine(&self, digest: &ContentDigest) -> Result<PathBuf, BlobError> {
        let path = self.free_place(digest)?;
        // 1. It can't be found any more.
        self.disk().rename(&blob_path(digest), &path)?;
        // 2. What is left of it is kept.
        self.disk().sync_folder(Path::new(QUARANTINE_FOLDER))?;
        // The folder that it came from needs no sync: a rename whose new name is durable has taken the old
        // one. And where a filesystem breaks that, content is back that a row names, which the next scrub
        // finds, or content that none does, which is not served, and which the next start or collection
        // removes.
        Ok(path)
    }

    /// Lists what was set aside, in the order of the digests.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, DiskError> {
        let entries = match self.disk().list(Path::new(QUARANTINE_FOLDER)) {
            Err(error) if error.is_not_found() => Vec::new(),
            listed => listed?,
        };
        let named = entries.into_iter().filter_map(|entry| {
            let digest = digest_of(&entry.name)?;
            Some(Quarantined { digest, length: entry.length })
        });
        Ok(named.collect())
    }

    fn free_place(&self, digest: &ContentDigest) -> Result<PathBuf, DiskError> {
        let name = format!("{}-{}", digest.algorithm(), digest.encoded());
        let folder = Path::new(QUARANTINE_FOLDER);
        let mut path = folder.join(&name);
        for number in 1..SAME_CONTENT_MAX {
            match self.disk().open(&path) {
                Err(error) if error.is_not_found() => break,
                opened => drop(opened?),
            }
            path = folder.join(format!("{name}.{number}"));
        }
        Ok(path)
    }
}

/// Reads a name such as `sha256-abcd…` or `sha256-abcd….1`.
fn digest_of(name: &str) -> Option<ContentDigest> {
    let (algorithm, rest) = name.split_once('-')?;
    let encoded = rest.split_once('.').map_or(rest, |(encoded, _)| encoded);
    format!("{algorithm}:{encoded}").parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::{Disk, MemoryDisk};

    #[test]
    fn content_that_is_damaged_twice_is_kept_twice() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let store = BlobStore::open(Arc::clone(&disk)).unwrap();
        let digest = ContentDigest::sha256_of(b"content");
        for name in ["one", "two"] {
            store.put(name, digest, b"content").unwrap();
            store.quarantine(&digest).unwrap();
            assert!(store.read(&digest).unwrap().is_none());
        }
        let kept = Quarantined { digest, length: 7 };
        assert_eq!(store.quarantined().unwrap(), [kept.clone(), kept]);
        assert!(store.quarantine(&digest).is_err(), "there is nothing to set aside");
    }
}
