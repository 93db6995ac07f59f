//! Locks on digests: a file of content is removed only while nobody stores that content.
//!
//! Whoever stores content holds its lock from before the file gets its name until the row is in the index
//! that names it. Many can hold one at once, and the one who removes files only tries: nobody who stores
//! waits for longer than it takes to remove one file. The writer takes none of these locks. Who has to wait
//! for something before removing a file does that first, and is told then whether anybody stored meanwhile.

use std::array;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use smol::lock::{RwLock, RwLockReadGuardArc, RwLockWriteGuardArc};

use crate::spec::ContentDigest;

/// How many locks there are. Digests that share one keep each other's file from being removed at once, no
/// more.
const LOCKS: usize = 512;

/// Held while content is stored, until a row names it.
#[derive(Debug)]
pub(in crate::registry) struct StoreGuard {
    _held: RwLockReadGuardArc<()>,
}

/// Held while a file of content is removed.
#[derive(Debug)]
pub(in crate::registry) struct RemoveGuard {
    _held: RwLockWriteGuardArc<()>,
}

#[derive(Debug)]
pub(in crate::registry) struct DigestLocks {
    keys: RandomState,
    locks: [DigestLock; LOCKS],
}

#[derive(Debug, Default)]
struct DigestLock {
    held: Arc<RwLock<()>>,
    /// How often somebody stored.
    stored: AtomicU64,
}

/// A moment, as far as storing some content is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) struct StoreCount(u64);

impl DigestLocks {
    pub(in crate::registry) fn new() -> Self {
        Self { keys: RandomState::new(), locks: array::from_fn(|_| DigestLock::default()) }
    }

    fn lock(&self, digest: &ContentDigest) -> Option<&DigestLock> {
        let at = self.keys.hash_one(digest) % LOCKS as u64;
        usize::try_from(at).ok().and_then(|at| self.locks.get(at))
    }

    /// Waits while the file of this content is removed, and keeps it from being removed.
    pub(in crate::registry) async fn store(&self, digest: &ContentDigest) -> Option<StoreGuard> {
        let lock = self.lock(digest)?;
        let held = lock.held.read_arc().await;
        // Before anything is stored, and while nothing can be removed.
        lock.stored.fetch_add(1, Ordering::SeqCst);
        Some(StoreGuard { _held: held })
    }

    /// Returns a moment from which on [`Self::try_remove_since`] knows of everybody who stores this content.
    pub(in crate::registry) fn now(&self, digest: &ContentDigest) -> Option<StoreCount> {
        Some(StoreCount(self.lock(digest)?.stored.load(Ordering::SeqCst)))
    }

    /// Keeps others from storing this content for a moment; `None` while somebody does, or if somebody began
    /// to since that moment.
    pub(in crate::registry) fn try_remove_since(
        &self,
        digest: &ContentDigest,
        since: StoreCount,
    ) -> Option<RemoveGuard> {
        let removing = self.try_remove(digest)?;
        (self.now(digest)? == since).then_some(removing)
    }

    /// Keeps others from storing this content for a moment; `None` while somebody does.
    pub(in crate::registry) fn try_remove(&self, digest: &ContentDigest) -> Option<RemoveGuard> {
        let lock = self.lock(digest)?;
        Some(RemoveGuard { _held: lock.held.try_write_arc()? })
    }
}

#[cfg(test)]
impl crate::registry::Registry {
    /// Holds back whoever stores this content, until what is returned is dropped.
    pub(crate) fn hold_storing(&self, digest: &ContentDigest) -> impl Sized + use<> {
        self.inner.locks.try_remove(digest).expect("nobody stores it")
    }

    /// Stores this content for as long as what is returned is there, or other content that shares its lock.
    pub(crate) fn seem_to_store(&self, digest: &ContentDigest) -> impl Sized + use<> {
        smol::block_on(self.inner.locks.store(digest))
    }
}

#[cfg(test)]
mod tests {
    use smol::block_on;
    use smol::future::poll_once;

    use super::*;

    #[test]
    fn many_store_at_once_and_nothing_is_removed_meanwhile() {
        let locks = DigestLocks::new();
        let digest = ContentDigest::sha256_of(b"content");
        let one = block_on(locks.store(&digest));
        let other = block_on(poll_once(locks.store(&digest)));
        assert!(other.is_some() && locks.try_remove(&digest).is_none());
        drop(one);
        assert!(locks.try_remove(&digest).is_none());
        drop(other);
        let removing = locks.try_remove(&digest);
        assert!(removing.is_some() && block_on(poll_once(locks.store(&digest))).is_none());
        drop(removing);
        assert!(block_on(poll_once(locks.store(&digest))).is_some());
    }

    #[test]
    fn nothing_is_removed_that_somebody_stored_since() {
        let locks = DigestLocks::new();
        let digest = ContentDigest::sha256_of(b"content");
        drop(block_on(locks.store(&digest)));
        let since = locks.now(&digest).unwrap();
        assert!(locks.try_remove_since(&digest, since).is_some());
        assert!(locks.try_remove_since(&digest, since).is_some());
        drop(block_on(locks.store(&digest)));
        assert!(locks.try_remove_since(&digest, since).is_none());
        let since = locks.now(&digest).unwrap();
        assert!(locks.try_remove_since(&digest, since).is_some());
    }
}
