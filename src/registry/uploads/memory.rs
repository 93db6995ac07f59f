//! A bound, in bytes, on the manifests in memory while they are examined and stored.

use std::sync::{Arc, Mutex, MutexGuard};

use event_listener::Event;
use smol::lock::Mutex as AsyncMutex;

use crate::base::lock;

/// The size of the memory in bytes. Parsing may take several times as much, for one manifest at a time.
const MANIFEST_MEMORY_BYTES: u64 = 4 * 1024 * 1024;

/// Memory for manifests. Only the server's own work holds it, never a client.
#[derive(Debug)]
pub(in crate::registry) struct ManifestMemory {
    free: Mutex<u64>,
    freed: Event,
    /// Held by the first in the queue, so that smaller manifests cannot overtake a large one for ever.
    queue: AsyncMutex<()>,
}

/// Memory for one manifest, until this is dropped.
#[derive(Debug)]
pub(in crate::registry) struct ReservedMemory {
    bytes: u64,
    memory: Arc<ManifestMemory>,
}

impl ManifestMemory {
    pub(in crate::registry) fn new() -> Arc<Self> {
        let free = Mutex::new(MANIFEST_MEMORY_BYTES);
        Arc::new(Self { free, freed: Event::new(), queue: AsyncMutex::new(()) })
    }

    /// Waits for memory for `length` bytes. A manifest larger than all memory waits for all of it.
    pub(in crate::registry) async fn reserve(self: &Arc<Self>, length: u64) -> ReservedMemory {
        let bytes = length.min(MANIFEST_MEMORY_BYTES);
        let _first = self.queue.lock().await;
        loop {
            let freed = self.freed.listen();
            if self.take(bytes) {
                return ReservedMemory { bytes, memory: Arc::clone(self) };
            }
            freed.await;
        }
    }

    /// Returns memory for `length` bytes, unless it must be waited for.
    pub(in crate::registry) fn try_reserve(self: &Arc<Self>, length: u64) -> Option<ReservedMemory> {
        let bytes = length.min(MANIFEST_MEMORY_BYTES);
        // Those in the queue come first.
        let _first = self.queue.try_lock()?;
        self.take(bytes).then(|| ReservedMemory { bytes, memory: Arc::clone(self) })
    }

    fn take(&self, bytes: u64) -> bool {
        let mut free = self.free();
        let left = free.checked_sub(bytes);
        *free = left.unwrap_or(*free);
        left.is_some()
    }

    fn free(&self) -> MutexGuard<'_, u64> {
        lock(&self.free)
    }
}

impl Drop for ReservedMemory {
    fn drop(&mut self) {
        *self.memory.free() += self.bytes;
        self.memory.freed.notify(1);
    }
}

#[cfg(test)]
mod tests {
    use smol::block_on;
    use smol::future::poll_once;

    use super::*;

    #[test]
    fn manifests_share_the_memory_and_wait_in_order() {
        block_on(async {
            let memory = ManifestMemory::new();
            let most = memory.reserve(MANIFEST_MEMORY_BYTES - 1).await;
            let little = memory.reserve(1).await;
            let mut large = Box::pin(memory.reserve(u64::MAX));
            assert!(poll_once(&mut large).await.is_none());
            drop(little);
            assert!(poll_once(&mut large).await.is_none());
            let mut behind = Box::pin(memory.reserve(1));
            assert!(poll_once(&mut behind).await.is_none(), "it would fit, and is second");
            drop(most);
            let all = poll_once(&mut large).await.unwrap();
            drop(large);
            assert!(poll_once(&mut behind).await.is_none());
            assert!(memory.try_reserve(1).is_none());
            drop(all);
            assert!(memory.try_reserve(1).is_none(), "it would be before another one");
            assert!(poll_once(&mut behind).await.is_some());
            assert!(memory.try_reserve(1).is_some());
        });
    }
}
