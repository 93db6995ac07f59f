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
    /// Whether the caller's own thread may block.
    #[cfg(test)]
    at_once: bool,
}

impl Door {
    /// Makes a door with all its permits free.
    pub(super) fn new() -> Self {
        Self {
            reads: Arc::new(Semaphore::new(READS_AT_ONCE_MAX)),
            writes: Arc::new(Semaphore::new(WRITES_AT_ONCE_MAX)),
            #[cfg(test)]
            at_once: false,
        }
    }

    /// Makes a door for tests of one client on a disk in memory: what goes through it is done at once, which
    /// spares most of the time that changing threads takes.
    #[cfg(test)]
    pub(super) fn at_once() -> Self {
        Self { at_once: true, ..Self::new() }
    }

    /// Runs a read on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.pass(&self.reads, work).await
    }

    /// Runs a write on a thread that may block.
    pub(super) async fn write<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.pass(&self.writes, work).await
    }

    /// The permit goes with the work, not with the future: a caller that gives up leaves its work running,
    /// and that work still counts.
    async fn pass<T: Send + 'static>(
        &self,
        permits: &Arc<Semaphore>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        #[cfg(test)]
        if self.at_once {
            return work();
        }
        let permit = permits.acquire_arc().await;
        smol::unblock(move || {
            let done = work();
            drop(permit);
            done
        })
        .await
    }
}
