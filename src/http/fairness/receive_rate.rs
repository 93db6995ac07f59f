//! How fast clients bring their bodies, and the end of those that have to give way.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use smol::io::{AsyncBufRead, AsyncRead};

/// How fast a client must be, lest it give way to others when all places are taken. Slower lines are hardly
/// there, and whoever takes all places by slow uploads has to send a lot.
pub(super) const LEAST_BYTES_PER_SECOND: u64 = 2 * 1024;

/// For how long an upload may be waited for, slower than that, before it has to give way.
pub(in crate::http) const SLOW_TIME_MAX: Duration = Duration::from_secs(30);

/// How a body comes in. A clone is the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Flow(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What has come so far.
    now: Come,
    /// What had come when the client was last found fast enough.
    then: Come,
    waiting_since: Option<Instant>,
    /// Who waits.
    waker: Option<Waker>,
    gives_way: bool,
    /// Its reader was told that it ends.
    is_cut: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Come {
    bytes: u64,
    /// How long the client was waited for. What it waits for the server itself is none of its doing, and
    /// does not count.
    waited: Duration,
}

impl Flow {
    /// Returns how many bytes a second the client brings if that is too few, and has been for `time`.
    pub(in crate::http) fn too_slow(&self, time: Duration) -> Option<u64> {
        let mut state = self.state();
        let mut now = state.now;
        now.waited += state.waiting_since.map_or(Duration::ZERO, |since| since.elapsed());
        let waited = now.waited.saturating_sub(state.then.waited);
        if waited < time {
            return None;
        }
        let bytes = u128::from(now.bytes.saturating_sub(state.then.bytes));
        let per_second = bytes.saturating_mul(1_000_000) / waited.as_micros().max(1);
        let slow = u64::try_from(per_second).ok().filter(|rate| *rate < LEAST_BYTES_PER_SECOND);
        if slow.is_none() {
            // It is not to live on that for ever.
            state.then = now;
        }
        slow
    }

    /// Ends the body: its reader gets an error.
    pub(super) fn give_way(&self) {
        let mut state = self.state();
        state.gives_way = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Tells whether the body was cut off so that another one can come. One that had come already is not.
    pub(super) fn is_cut(&self) -> bool {
        self.state().is_cut
    }

    /// Cuts the body off if it is to give way.
    fn cut(&self) -> bool {
        let mut state = self.state();
        state.is_cut |= state.gives_way;
        state.is_cut
    }

    /// Notes what came of looking for more of the body.
    fn looked<T>(&self, context: &Context<'_>, found: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let mut state = self.state();
        if found.is_ready() {
            if let Some(since) = state.waiting_since.take() {
                state.now.waited += since.elapsed();
            }
        } else if state.gives_way {
            state.is_cut = true;
            return Poll::Ready(Err(too_slow()));
        } else {
            state.waiting_since.get_or_insert_with(Instant::now);
            state.waker = Some(context.waker().clone());
        }
        found
    }

    fn took(&self, count: usize) {
        let mut state = self.state();
        state.now.bytes = state.now.bytes.saturating_add(count as u64);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the body came too slowly while others waited")
}

/// A body that is watched while it comes in.
pub(in crate::http) struct Watched<B> {
    body: B,
    /// None for one that brings nothing.
    flow: Option<Flow>,
}

impl<B> Watched<B> {
    pub(super) fn new(body: B, flow: Option<Flow>) -> Self {
        Self { body, flow }
    }
}

impl<B: AsyncBufRead + Unpin> AsyncRead for Watched<B> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        target: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.body).poll_read(context, target);
        let Some(flow) = &this.flow else { return read };
        let read = flow.looked(context, read);
        if let Poll::Ready(Ok(count)) = &read {
            flow.took(*count);
            if *count > 0 && flow.cut() {
                return Poll::Ready(Err(too_slow()));
            }
        }
        read
    }
}

impl<B: AsyncBufRead + Unpin> AsyncBufRead for Watched<B> {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        let found = Pin::new(&mut this.body).poll_fill_buf(context);
        match &this.flow {
            // INVARIANT: what was there once is there until it is consumed, also when it gives way.
            Some(flow) => flow.looked(context, found),
            None => found,
        }
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        let this = self.get_mut();
        if let Some(flow) = &this.flow {
            flow.took(count);
        }
        Pin::new(&mut this.body).consume(count);
    }
}

#[cfg(test)]
mod tests {
    use smol::block_on;
    use smol::future::poll_once;
    use smol::io::{AsyncBufReadExt, AsyncReadExt};

    use super::*;

    /// A body that brings three bytes when it is asked again.
    #[derive(Default)]
    struct Trickle {
        is_there: bool,
        silent: bool,
    }

    impl Trickle {
        fn look(&mut self) -> bool {
            std::mem::replace(&mut self.is_there, !self.silent)
        }
    }

    impl AsyncRead for Trickle {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            target: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            if self.get_mut().look() { Poll::Ready(Ok(target.len().min(3))) } else { Poll::Pending }
        }
    }

    impl AsyncBufRead for Trickle {
        fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
            if self.get_mut().look() { Poll::Ready(Ok(b"abc")) } else { Poll::Pending }
        }

        fn consume(mut self: Pin<&mut Self>, _: usize) {
            self.is_there = false;
        }
    }

    fn flowing() -> (Flow, Watched<Trickle>) {
        let flow = Flow::default();
        (flow.clone(), Watched::new(Trickle::default(), Some(flow)))
    }

    /// Makes it look as if a client that brought so many bytes had been waited for that long.
    fn waited(flow: &Flow, bytes: u64, time: Duration) {
        let mut state = flow.state();
        state.now.bytes += bytes;
        state.now.waited += time;
    }

    #[test]
    fn only_the_time_for_which_the_client_is_waited_for_counts() {
        block_on(async {
            let (flow, mut body) = flowing();
            assert_eq!(flow.too_slow(Duration::from_nanos(1)), None, "nothing was asked for yet");
            assert!(poll_once(body.fill_buf()).await.is_none());
            smol::Timer::after(Duration::from_millis(20)).await;
            assert_eq!(flow.too_slow(Duration::from_millis(20)), Some(0));
            assert_eq!(body.fill_buf().await.unwrap(), b"abc");
            let waited = flow.state().now.waited;
            assert!(waited >= Duration::from_millis(20) && flow.state().waiting_since.is_none());
            body.consume(3);
            smol::Timer::after(Duration::from_millis(20)).await;
            assert_eq!(flow.state().now.waited, waited, "the server took its time");
            assert_eq!(flow.state().now.bytes, 3);
        });
    }

    #[test]
    fn who_was_fast_once_is_not_fast_for_ever() {
        let (flow, _body) = flowing();
        waited(&flow, 10_000_000, SLOW_TIME_MAX);
        assert_eq!(flow.too_slow(SLOW_TIME_MAX), None);
        waited(&flow, LEAST_BYTES_PER_SECOND, SLOW_TIME_MAX / 2);
        assert_eq!(flow.too_slow(SLOW_TIME_MAX), None, "not for long enough");
        waited(&flow, 0, SLOW_TIME_MAX / 2);
        let least = LEAST_BYTES_PER_SECOND / SLOW_TIME_MAX.as_secs();
        assert_eq!(flow.too_slow(SLOW_TIME_MAX), Some(least));
        // Still so: what it brings now is not enough yet.
        waited(&flow, 1, Duration::from_millis(1));
        assert!(flow.too_slow(SLOW_TIME_MAX).is_some());
    }

    #[test]
    fn who_is_just_fast_enough_never_gives_way() {
        let (flow, _body) = flowing();
        for _ in 0..10 {
            waited(&flow, LEAST_BYTES_PER_SECOND * SLOW_TIME_MAX.as_secs(), SLOW_TIME_MAX);
            assert_eq!(flow.too_slow(SLOW_TIME_MAX), None);
        }
    }

    #[test]
    fn a_body_that_gives_way_ends_with_an_error_also_for_one_who_waits_already() {
        block_on(async {
            let (flow, mut body) = flowing();
            body.body.silent = true;
            let read = async { body.read(&mut [0]).await.map_err(|error| error.kind()) };
            let give_way = async {
                smol::future::yield_now().await;
                flow.give_way();
            };
            let (read, ()) = smol::future::zip(read, give_way).await;
            assert_eq!(read, Err(io::ErrorKind::TimedOut));
            assert!(body.fill_buf().await.is_err() && flow.is_cut());
            // It makes no difference that it goes on; only what was seen stays to be seen.
            body.body = Trickle { is_there: true, silent: false };
            assert_eq!(body.fill_buf().await.unwrap(), b"abc");
            assert!(body.read(&mut [0]).await.is_err());
        });
    }
}
