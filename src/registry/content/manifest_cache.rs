//! A bounded cache of manifests' bytes.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::spec::ContentDigest;

/// The most bytes of manifests that are kept.
const CACHE_SIZE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The largest manifest that is kept. Larger ones go out from their files.
pub(in crate::registry) const CACHED_SIZE_MAX_BYTES: usize = 64 * 1024;

/// Roughly what an entry takes in addition to its bytes.
const ENTRY_OVERHEAD_BYTES: u64 = 256;

/// A typical manifest has 2 KiB.
const ENTRIES_EXPECTED: usize = 2048;

#[derive(Debug, Clone)]
struct ByLength;

impl Weighter<ContentDigest, Arc<[u8]>> for ByLength {
    fn weight(&self, _: &ContentDigest, bytes: &Arc<[u8]>) -> u64 {
        bytes.len() as u64 + ENTRY_OVERHEAD_BYTES
    }
}

/// Keeps the bytes of recently requested manifests. Content is immutable, so no entry becomes stale; the
/// index decides each time whether a repository has a manifest.
#[derive(Debug)]
pub(in crate::registry) struct ManifestCache {
    cache: Cache<ContentDigest, Arc<[u8]>, ByLength>,
}

impl ManifestCache {
    pub(in crate::registry) fn new() -> Self {
        Self { cache: Cache::with_weighter(ENTRIES_EXPECTED, CACHE_SIZE_MAX_BYTES, ByLength) }
    }

    pub(in crate::registry) fn get(&self, digest: &ContentDigest) -> Option<Arc<[u8]>> {
        self.cache.get(digest)
    }

    pub(in crate::registry) fn keep(&self, digest: ContentDigest, bytes: &Arc<[u8]>) {
        if bytes.len() <= CACHED_SIZE_MAX_BYTES {
            self.cache.insert(digest, Arc::clone(bytes));
        }
    }
}
