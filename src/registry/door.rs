//! The one door between asynchronous code and the disk: a permit, then a thread that may block.

use std::sync::Arc;

use smol::lock::Semaphore;

/// How many slow reads may be on their way to the disk at once.
const READS_AT_ONCE_MAX: usize = 16;

/// How many slow writes and commits may be on their way to the disk at once.
const WRITES_AT_ONCE_MAX: usize = 16;

/// Bounds the threads that wait for the disk. Reads and writes hold permits of different kinds, so that
/// neither can starve the other, and requests that need no disk wait for neither.
#[derive(Debug)]
pub(super) struct Door {
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

impl Door {
    /// Makes a door with all its permits free.
    pub(super) fn new() -> Self {
        Self {
            reads: Arc::new(Semaphore::new(READS_AT_ONCE_MAX)),
            writes: Arc::new(Semaphore::new(WRITES_AT_ONCE_MAX)),
        }
    }

    /// Runs a read on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        pass(&self.reads, work).await
    }

    /// Runs a write on a thread that may block.
    pub(super) async fn write<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        pass(&self.writes, work).await
    }
}

/// The permit goes with the work, not with the future: a caller that gives up leaves its work running, and
/// that work still counts.
async fn pass<T: Send + 'static>(permits: &Arc<Semaphore>, work: impl FnOnce() -> T + Send + 'static) -> T {
    let permit = permits.acquire_arc().await;
    smol::unblock(move || {
        let done = work();
        drop(permit);
        done
    })
    .await
}
