//! Locks on digests: a file of content is removed only while no caller stores that content.
//!
//! A store holds the lock of its content from before the file gets its name until the index has the row that
//! names it. Many stores can hold a lock at once. A removal only tries to take it, so a store waits at most
//! for the removal of one file. The writer takes none of these locks. A removal that must wait for something
//! first reads the store count with `now`, waits, and then fails in `try_remove_since` if a store began
//! meanwhile.

use std::array;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use smol::lock::{RwLock, RwLockReadGuardArc, RwLockWriteGuardArc};

use crate::spec::ContentDigest;

/// The number of locks. Digests that share a lock only delay the removal of each other's file.
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
    /// How many stores have begun.
    stored: AtomicU64,
}

/// The number of stores begun under a lock so far, as a point in time.
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

    /// Waits while the file of this content is removed, then keeps it from being removed.
    pub(in crate::registry) async fn store(&self, digest: &ContentDigest) -> Option<StoreGuard> {
        let lock = self.lock(digest)?;
        let held = lock.held.read_arc().await;
        // Count before anything is stored, while nothing can be removed.
        lock.stored.fetch_add(1, Ordering::SeqCst);
        Some(StoreGuard { _held: held })
    }

    /// Returns the current store count: [`Self::try_remove_since`] detects every store that begins after this
    /// call.
    pub(in crate::registry) fn now(&self, digest: &ContentDigest) -> Option<StoreCount> {
        Some(StoreCount(self.lock(digest)?.stored.load(Ordering::SeqCst)))
    }

    /// Blocks stores of this content until the guard is dropped. Returns `None` while a store holds the lock,
    /// or if a store has begun after `since`.
    pub(in crate::registry) fn try_remove_since(
        &self,
        digest: &ContentDigest,
        since: StoreCount,
    ) -> Option<RemoveGuard> {
        let removing = self.try_remove(digest)?;
        (self.now(digest)? == since).then_some(removing)
    }

    /// Blocks stores of this content until the guard is dropped. Returns `None` while a store holds the lock.
    pub(in crate::registry) fn try_remove(&self, digest: &ContentDigest) -> Option<RemoveGuard> {
        let lock = self.lock(digest)?;
        Some(RemoveGuard { _held: lock.held.try_write_arc()? })
    }
}

#[cfg(test)]
impl crate::registry::Registry {
    /// Blocks stores of this content until the returned guard is dropped.
    pub(crate) fn hold_storing(&self, digest: &ContentDigest) -> impl Sized + use<> {
        self.inner.locks.try_remove(digest).expect("no request stores it")
    }

    /// Acts as a store of this content, or of other content with the same lock, until the returned guard is
    /// dropped.
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
    fn nothing_is_removed_that_was_stored_since() {
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
