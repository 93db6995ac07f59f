//! An executor that polls in odd orders, for tests.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use crate::base::Chance;

/// Nothing wakes a task this late unless a wake-up is lost.
const HANG_TIME: Duration = Duration::from_secs(20);

/// A task of [`run_in_odd_order`].
pub(crate) type OddTask<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// The tasks that were woken.
#[derive(Debug, Default)]
struct Woken {
    tasks: Mutex<BTreeSet<usize>>,
    changed: Condvar,
}

/// A waker for one poll. A later poll of its task replaces it: then it wakes nothing, as the contract of
/// futures allows.
#[derive(Debug)]
struct PollWaker {
    task: usize,
    poll: u64,
    /// The number of the latest poll of the task.
    latest: Arc<AtomicU64>,
    woken: Arc<Woken>,
}

impl Wake for PollWaker {
    fn wake(self: Arc<Self>) {
        // INVARIANT: under the lock, as the count of polls is, so that no wake-up falls between the two.
        let mut tasks = self.woken.tasks.lock().unwrap();
        if self.latest.load(Ordering::SeqCst) == self.poll {
            tasks.insert(self.task);
            self.woken.changed.notify_all();
        }
    }
}

/// Polls tasks on this thread until the first one is complete: any that was woken, now and then one that was
/// not, each time with another waker. Returns whether the first one completed before nothing woke any task.
pub(crate) fn run_in_odd_order(chance: &mut Chance, tasks: Vec<OddTask<'_>>) -> bool {
    let woken = Arc::new(Woken::default());
    *woken.tasks.lock().unwrap() = (0..tasks.len()).collect();
    let mut tasks: Vec<_> = tasks.into_iter().map(|task| (Some(task), Arc::<AtomicU64>::default())).collect();
    loop {
        let mut waiting = woken.tasks.lock().unwrap();
        while waiting.is_empty() {
            let (left, timeout) = woken.changed.wait_timeout(waiting, HANG_TIME).unwrap();
            if timeout.timed_out() && left.is_empty() {
                return false;
            }
            waiting = left;
        }
        let at = chance.place(waiting.len());
        let number = match chance.once_in(8) {
            true => chance.place(tasks.len()),
            false => waiting.iter().nth(at).copied().unwrap(),
        };
        waiting.remove(&number);
        let (task, latest) = &mut tasks[number];
        let poll = latest.fetch_add(1, Ordering::SeqCst) + 1;
        drop(waiting);
        let Some(polled) = task else { continue };
        let (latest, woken) = (Arc::clone(latest), Arc::clone(&woken));
        let waker = Waker::from(Arc::new(PollWaker { task: number, poll, latest, woken }));
        if polled.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            *task = None;
            if number == 0 {
                return true;
            }
        }
    }
}
