//! The only path from asynchronous code to the disk: a permit, then a thread that may block.

use std::sync::Arc;

use smol::lock::Semaphore;

use super::manifest_thread::ManifestThread;

/// How many slow reads of small files (names, manifests) may run at once.
const READS_AT_ONCE_MAX: usize = 16;

/// How many ranges of blobs may be sent from the disk to clients at once.
const SENDS_AT_ONCE_MAX: usize = 16;

/// How many slow writes and commits may run at once.
const WRITES_AT_ONCE_MAX: usize = 16;

/// Bounds the threads that wait for the disk. Small reads, blob sends, and writes hold permits of different
/// kinds, so that no kind can starve another. Requests that need no disk need no permit.
///
/// Any number of requests may wait for a permit: a waiting one costs next to nothing, and the limit on
/// connections bounds them.
#[derive(Debug)]
pub(super) struct DiskPermits {
    reads: Arc<Semaphore>,
    sends: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    manifests: ManifestThread,
    /// Whether the caller's own thread may block.
    #[cfg(test)]
    inline: bool,
}

impl DiskPermits {
    /// Makes the permits, all of them free.
    pub(super) fn new() -> Self {
        let [reads, sends, writes] = [READS_AT_ONCE_MAX, SENDS_AT_ONCE_MAX, WRITES_AT_ONCE_MAX]
            .map(|permits| Arc::new(Semaphore::new(permits)));
        Self {
            reads,
            sends,
            writes,
            manifests: ManifestThread::default(),
            #[cfg(test)]
            inline: false,
        }
    }

    /// Makes permits for tests of one client on a disk in memory: work runs at once on the caller's thread,
    /// which saves most of the cost of thread switches.
    #[cfg(test)]
    pub(super) fn inline(self) -> Self {
        Self { inline: true, ..self }
    }

    /// Runs a read on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.run(&self.reads, work).await
    }

    /// Sends a range of a blob from a thread that may block.
    pub(super) async fn send<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.run(&self.sends, work).await
    }

    /// Runs a write on a thread that may block.
    pub(super) async fn write<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.run(&self.writes, work).await
    }

    /// Reads a long manifest on the thread for them.
    pub(super) async fn manifest<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        #[cfg(test)]
        if self.inline {
            return work();
        }
        self.manifests.run(work).await
    }

    /// The work holds the permit, not the future: a caller that gives up leaves its work running, and that
    /// work still occupies its permit.
    async fn run<T: Send + 'static>(
        &self,
        permits: &Arc<Semaphore>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        #[cfg(test)]
        if self.inline {
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use smol::block_on;
    use smol::future::{FutureExt, poll_once};

    use super::*;

    #[test]
    fn any_number_may_wait_to_write_and_reads_do_not_wait_for_them() {
        block_on(async {
            let permits = DiskPermits::new();
            let (go, gone) = channel::<()>();
            let gone = Arc::new(std::sync::Mutex::new(gone));
            let mut writes = Vec::new();
            for _ in 0..WRITES_AT_ONCE_MAX + 1000 {
                let gone = Arc::clone(&gone);
                let mut write = permits.write(move || gone.lock().unwrap().recv().is_ok()).boxed();
                assert!(poll_once(&mut write).await.is_none());
                writes.push(write);
            }
            assert_eq!(permits.read(|| 1).await, 1);
            drop(go);
            for write in writes {
                write.await;
            }
        });
    }

    #[test]
    fn pulls_that_wait_for_the_disk_do_not_delay_a_small_read() {
        block_on(async {
            let permits = DiskPermits::new();
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
            let permits = DiskPermits::new();
            for _ in 0..=READS_AT_ONCE_MAX {
                let read = std::panic::AssertUnwindSafe(permits.read(|| panic!("as asked")));
                assert!(read.catch_unwind().await.is_err());
            }
            assert_eq!(permits.read(|| 1).await, 1);
        });
    }
}
