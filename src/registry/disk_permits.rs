//! The one door between asynchronous code and the disk: a permit, then a thread that may block.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use smol::lock::{Semaphore, SemaphoreGuardArc};

use crate::registry::error::RegistryError;

/// How many slow reads of small things (names, manifests) may be on their way to the disk at once.
const READS_AT_ONCE_MAX: usize = 16;

/// How many stretches of blobs may be on their way from the disk to clients at once.
const SENDS_AT_ONCE_MAX: usize = 16;

/// How many slow writes and commits may be on their way to the disk at once.
const WRITES_AT_ONCE_MAX: usize = 16;

/// Bounds the threads that wait for the disk. Small reads, blobs on their way out, and writes hold permits of
/// different kinds, so that none of them can starve another, and requests that need no disk wait for none.
#[derive(Debug)]
pub(super) struct DiskPermits {
    reads: PermitQueue,
    sends: PermitQueue,
    writes: PermitQueue,
    /// How many may wait for a permit of one kind before further requests are refused.
    waiting_max: usize,
    /// Whether the caller's own thread may block.
    #[cfg(test)]
    inline: bool,
}

/// The permits of one kind, and how many wait for them.
#[derive(Debug)]
struct PermitQueue {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl DiskPermits {
    /// Makes the permits, all of them free.
    pub(super) fn new(waiting_max: usize) -> Self {
        let [reads, sends, writes] =
            [READS_AT_ONCE_MAX, SENDS_AT_ONCE_MAX, WRITES_AT_ONCE_MAX].map(PermitQueue::new);
        Self {
            reads,
            sends,
            writes,
            waiting_max,
            #[cfg(test)]
            inline: false,
        }
    }

    /// Refuses a request that would read, when too many wait to read already. What a request that was let in
    /// goes on with is never refused.
    pub(super) fn check_reads(&self) -> Result<(), RegistryError> {
        self.reads.check(self.waiting_max)
    }

    /// Refuses a request that would write, when too many wait to write already.
    pub(super) fn check_writes(&self) -> Result<(), RegistryError> {
        self.writes.check(self.waiting_max)
    }

    /// Makes permits for tests of one client on a disk in memory: what goes through it is done at once, which
    /// spares most of the time that changing threads takes.
    #[cfg(test)]
    pub(super) fn inline(self) -> Self {
        Self { inline: true, ..self }
    }

    /// Runs a read on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.run(&self.reads, work).await
    }

    /// Refuses a request that would send a blob, when too many wait to send already.
    pub(super) fn check_sends(&self) -> Result<(), RegistryError> {
        self.sends.check(self.waiting_max)
    }

    /// Sends a stretch of a blob from a thread that may block.
    pub(super) async fn send<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.run(&self.sends, work).await
    }

    /// Runs a write on a thread that may block.
    pub(super) async fn write<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.run(&self.writes, work).await
    }

    /// The permit goes with the work, not with the future: a caller that gives up leaves its work running,
    /// and that work still counts.
    async fn run<T: Send + 'static>(
        &self,
        queue: &PermitQueue,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        #[cfg(test)]
        if self.inline {
            return work();
        }
        let permit = queue.permit().await;
        smol::unblock(move || {
            let done = work();
            drop(permit);
            done
        })
        .await
    }
}

impl PermitQueue {
    fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), waiting: AtomicUsize::new(0) }
    }

    fn check(&self, waiting_max: usize) -> Result<(), RegistryError> {
        if self.waiting.load(Ordering::Relaxed) < waiting_max {
            return Ok(());
        }
        Err(RegistryError::TooMany("too many requests wait for the disk"))
    }

    async fn permit(&self) -> SemaphoreGuardArc {
        if let Some(permit) = self.free.try_acquire_arc() {
            return permit;
        }
        let _waiting = WaitingForPermit::begin(&self.waiting);
        self.free.acquire_arc().await
    }
}

/// One that waits, until this is dropped: also one that is given up.
struct WaitingForPermit<'a>(&'a AtomicUsize);

impl<'a> WaitingForPermit<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for WaitingForPermit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use smol::block_on;
    use smol::future::{FutureExt, poll_once};

    use super::*;

    #[test]
    fn when_too_many_wait_to_write_the_next_are_refused_and_reads_are_not() {
        block_on(async {
            let permits = DiskPermits::new(2);
            let (go, gone) = channel::<()>();
            let gone = Arc::new(std::sync::Mutex::new(gone));
            let mut writes = Vec::new();
            for _ in 0..WRITES_AT_ONCE_MAX + 2 {
                assert!(permits.check_writes().is_ok());
                let gone = Arc::clone(&gone);
                let mut write = permits.write(move || gone.lock().unwrap().recv().is_ok()).boxed();
                assert!(poll_once(&mut write).await.is_none());
                writes.push(write);
            }
            assert!(matches!(permits.check_writes(), Err(RegistryError::TooMany(_))));
            assert!(permits.check_reads().is_ok());
            assert_eq!(permits.read(|| 1).await, 1);
            // One that gives up makes place.
            writes.pop();
            assert!(permits.check_writes().is_ok());
            drop(go);
            for write in writes {
                write.await;
            }
            assert_eq!(permits.writes.waiting.load(Ordering::Relaxed), 0);
        });
    }

    #[test]
    fn pulls_that_wait_for_the_disk_keep_nobody_from_a_small_read() {
        block_on(async {
            let permits = DiskPermits::new(0);
            let (go, gone) = channel::<()>();
            let gone = Arc::new(std::sync::Mutex::new(gone));
            let mut sends = Vec::new();
            for _ in 0..=SENDS_AT_ONCE_MAX {
                let gone = Arc::clone(&gone);
                let mut send = permits.send(move || gone.lock().unwrap().recv().is_ok()).boxed();
                assert!(poll_once(&mut send).await.is_none());
                sends.push(send);
            }
            assert_eq!(permits.read(|| 1).await, 1);
            drop(go);
            for send in sends {
                send.await;
            }
        });
    }

    #[test]
    fn a_panic_at_the_disk_gives_its_permit_back() {
        block_on(async {
            let permits = DiskPermits::new(1);
            for _ in 0..=READS_AT_ONCE_MAX {
                let read = std::panic::AssertUnwindSafe(permits.read(|| panic!("as asked")));
                assert!(read.catch_unwind().await.is_err());
            }
            assert_eq!(permits.read(|| 1).await, 1);
        });
    }
}
