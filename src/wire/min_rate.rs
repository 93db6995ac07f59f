//! Who holds room that others wait for must not be slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use smol::Timer;

/// How long a slow client may hold room at least.
pub(crate) const PACE_WINDOW: Duration = Duration::from_secs(10);

/// How much a client must move in that time while others wait: 64 KiB a second.
pub(crate) const PACE_MIN_BYTES: u64 = 640 * 1024;

/// Watches how fast a client moves a body that takes room in memory. A clone watches the same one.
#[derive(Debug, Clone)]
pub struct Pace {
    moved: Arc<AtomicU64>,
    /// How many wait for the room, for any reason.
    waiting: Vec<Arc<AtomicUsize>>,
    window: Duration,
    least_bytes: u64,
}

impl Pace {
    /// Watches a body for whose room `waiting` wait: it must move `least_bytes` in every `window`.
    pub(crate) fn new(waiting: Vec<Arc<AtomicUsize>>, window: Duration, least_bytes: u64) -> Self {
        Self { moved: Arc::default(), waiting, window, least_bytes }
    }

    /// Notes that bytes of the body have moved.
    pub fn moved(&self, count: u64) {
        self.moved.fetch_add(count, Ordering::Relaxed);
    }

    /// Waits until the client was too slow for the whole of a window and others wait. Where none wait, it may
    /// be as slow as it likes.
    pub async fn too_slow(&self) {
        loop {
            let before = self.moved.load(Ordering::Relaxed);
            Timer::after(self.window).await;
            let moved = self.moved.load(Ordering::Relaxed) - before;
            let any_wait = || self.waiting.iter().any(|waiting| waiting.load(Ordering::Relaxed) > 0);
            if moved < self.least_bytes && any_wait() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use smol::block_on;
    use smol::future::{or, poll_once};

    use super::*;

    /// No test takes this long unless it hangs.
    const HANG_TIME: Duration = Duration::from_secs(30);

    /// Waits for many windows.
    async fn a_while() -> bool {
        Timer::after(Duration::from_millis(200)).await;
        false
    }

    async fn poll_within(what: impl Future<Output = ()>, time: Duration) -> bool {
        let done = async {
            what.await;
            true
        };
        let hangs = async {
            Timer::after(time).await;
            false
        };
        or(done, hangs).await
    }

    #[test]
    fn a_slow_client_is_too_slow_only_while_others_wait() {
        block_on(async {
            let waiting = Arc::new(AtomicUsize::new(0));
            let pace = Pace::new(vec![Arc::default(), Arc::clone(&waiting)], Duration::from_millis(5), 100);
            let is_too_slow = async {
                pace.too_slow().await;
                true
            };
            assert!(!or(is_too_slow, a_while()).await, "nobody waits");
            waiting.store(1, Ordering::Relaxed);
            assert!(poll_within(pace.too_slow(), HANG_TIME).await);
        });
    }

    #[test]
    fn one_that_moves_enough_is_never_too_slow() {
        block_on(async {
            let pace = Pace::new(vec![Arc::new(AtomicUsize::new(1))], Duration::from_millis(20), 100);
            let mut too_slow = Box::pin(pace.too_slow());
            for _ in 0..20 {
                pace.moved(100);
                assert!(poll_once(&mut too_slow).await.is_none());
                Timer::after(Duration::from_millis(5)).await;
            }
        });
    }
}
