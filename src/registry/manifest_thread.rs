//! The thread that reads long manifests, one after the other.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};

use smol::channel::bounded;

/// Work for the thread.
type Job = Box<dyn FnOnce() + Send>;

/// One thread for all long manifests.
///
/// Reading one may take several times its size in memory. glibc keeps some MiB of what each thread has freed,
/// and would keep that for each of many threads. One thread also bounds what is taken at once, and while one
/// manifest is read no other needs to be: they all wait for the same processors.
///
/// It starts when it is needed, and ends with the registry.
#[derive(Debug, Default)]
pub(super) struct ManifestThread {
    jobs: OnceLock<Option<Sender<Job>>>,
}

impl ManifestThread {
    /// Runs `work`, which may block, on the thread. A panic in it is the caller's.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, done) = bounded(1);
        let job = Box::new(move || drop(sender.try_send(catch_unwind(AssertUnwindSafe(work)))));
        if let Some(job) = self.submit(job) {
            // Without a thread of their own, manifests take more memory.
            smol::unblock(job).await;
        }
        match done.recv().await {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => resume_unwind(panic),
            // The thread runs every job that it was given.
            Err(_) => std::future::pending().await,
        }
    }

    /// Hands a job to the thread, and returns it where there is none.
    fn submit(&self, job: Job) -> Option<Job> {
        match self.jobs.get_or_init(start) {
            Some(jobs) => jobs.send(job).err().map(|unsent| unsent.0),
            None => Some(job),
        }
    }
}

fn start() -> Option<Sender<Job>> {
    let (sender, jobs) = channel();
    let thread = std::thread::Builder::new().name("pulk-manifests".to_owned());
    match thread.spawn(move || run_all(&jobs)) {
        Ok(_) => Some(sender),
        Err(error) => {
            log::warn!("cannot start the thread for long manifests: {error}");
            None
        }
    }
}

fn run_all(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        job();
    }
}

#[cfg(test)]
mod tests {
    use smol::block_on;
    use smol::future::{FutureExt, zip};

    use super::*;

    #[test]
    fn all_work_is_done_by_one_thread_also_after_a_panic() {
        block_on(async {
            let thread = ManifestThread::default();
            let id = || std::thread::current().id();
            let (first, second) = zip(thread.run(id), thread.run(id)).await;
            assert_eq!(first, second);
            let panicked = AssertUnwindSafe(thread.run(|| panic!("as asked"))).catch_unwind().await;
            assert!(panicked.is_err());
            assert_eq!(thread.run(id).await, first);
        });
    }
}
