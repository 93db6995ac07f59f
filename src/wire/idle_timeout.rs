//! A limit on how long something is waited for.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use smol::Timer;

/// Detects waits longer than `time_max`.
///
/// Registering a timer wakes the reactor's thread, and there may be many short waits in a second. So the
/// timer is kept from one wait to the next, and set again only when it fires: waits that end in time cost
/// nothing.
#[derive(Debug)]
pub(super) struct IdleTimeout {
    time_max: Duration,
    waiting_since: Option<Instant>,
    timer: Option<Timer>,
}

impl IdleTimeout {
    /// Limits each wait to `time_max`.
    pub(super) fn new(time_max: Duration) -> Self {
        Self { time_max, waiting_since: None, timer: None }
    }

    /// Ends a wait: the next one has all of the time.
    pub(super) fn end_wait(&mut self) {
        self.waiting_since = None;
    }

    /// Is ready once the present wait, which begins with the first call, has lasted too long.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        loop {
            let timer = self.timer.get_or_insert_with(|| Timer::after(self.time_max));
            ready!(Pin::new(&mut *timer).poll(context));
            match self.time_max.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) {
                Some(left) => timer.set_after(left),
                None => {
                    // A timer fires only once.
                    self.timer = None;
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Waits for something, or returns `None` when that takes too long.
    pub(super) async fn wait<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        self.end_wait();
        let too_long = poll_fn(|context| self.poll(context).map(|()| None));
        smol::future::or(async { Some(what.await) }, too_long).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use smol::block_on;

    use super::*;

    #[test]
    fn each_wait_has_all_of_the_time() {
        block_on(async {
            let mut patience = IdleTimeout::new(Duration::from_millis(40));
            for _ in 0..4 {
                // Together these take longer than one may.
                let short = Timer::after(Duration::from_millis(15));
                assert!(patience.wait(short).await.is_some());
            }
            for _ in 0..2 {
                assert_eq!(patience.wait(pending::<()>()).await, None);
            }
            assert_eq!(patience.wait(ready(1)).await, Some(1));
        });
    }
}
