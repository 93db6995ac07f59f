//! The writing half of a connection.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use smol::future::poll_once;

use crate::wire::admission::{DisplacedWait, Holder};
use crate::wire::idle_timeout::IdleTimeout;
use crate::wire::stream::Stream;

/// How often a blocked write is retried within `progress_time_max`.
const TRIES: u32 = 4;

/// The longest pause between two tries for a body that has a place of its own.
const BODY_PLACE_PAUSE: Duration = Duration::from_millis(250);

/// How much is written to a client whose place is another one's, as long as it is not waited for: a step of a
/// file.
const DISPLACED_WRITE_MAX_BYTES: u64 = 1024 * 1024;

/// Writes to a stream, and fails when the client takes nothing for `progress_time_max`.
#[derive(Debug, Clone, Copy)]
pub(in crate::wire) struct Output<'a> {
    /// Holds the connection's place.
    pub(in crate::wire) holder: &'a Holder,
    /// Holds the place of the body, where bodies of its kind have places.
    pub(in crate::wire) body_holder: Option<&'a Holder>,
    /// The stream to write to.
    pub(in crate::wire) stream: &'a Arc<dyn Stream>,
    /// How long a write may go without progress.
    pub(in crate::wire) progress_time_max: Duration,
}

/// Whether the client takes any bytes of an answer.
#[derive(Debug)]
pub(super) struct WriteProgress {
    patience: IdleTimeout,
    /// How long the client has taken nothing.
    in_vain: Duration,
    /// How long it was last waited for, until it is known what it took meanwhile.
    waited: Duration,
    /// Tell when a place is another one's: the connection's, and the body's.
    displaced: [DisplacedWait; 2],
}

impl Output<'_> {
    /// Starts to watch whether the client takes any bytes.
    pub(super) fn progress(&self) -> WriteProgress {
        let mut pause = self.progress_time_max / TRIES;
        if self.body_holder.is_some() {
            pause = pause.min(BODY_PLACE_PAUSE);
        }
        let (patience, zero) = (IdleTimeout::new(pause), Duration::ZERO);
        WriteProgress { patience, in_vain: zero, waited: zero, displaced: Default::default() }
    }

    fn holders(&self) -> impl Iterator<Item = &Holder> {
        [self.holder].into_iter().chain(self.body_holder)
    }

    /// Notes that the client took something.
    pub(super) fn took(&self, count: u64, progress: &mut WriteProgress) {
        progress.in_vain = Duration::ZERO;
        self.holders().for_each(|holder| holder.activity.moved(count));
        self.note_wait(progress);
    }

    /// Fails once a displaced client has taken a step's worth more, however fast it takes it.
    pub(super) fn check_place(&self) -> io::Result<()> {
        let mut holders = self.holders();
        if holders.any(|holder| holder.moved_since_displaced() >= DISPLACED_WRITE_MAX_BYTES) {
            return Err(displaced_error());
        }
        Ok(())
    }

    fn note_wait(&self, progress: &mut WriteProgress) {
        let waited = std::mem::take(&mut progress.waited);
        if !waited.is_zero() {
            self.holders().for_each(|holder| holder.activity.waited(waited));
        }
    }

    /// Waits for `what`. Returns `None` after a part of `progress_time_max`: the caller must try again. It
    /// must report to [`Self::took`] what the client took.
    ///
    /// The system reports a socket writable only when a third of its buffer is free, which may be some MiB.
    /// It accepts bytes long before, and only a try tells a slow client from one that takes nothing.
    pub(super) async fn wait<T>(
        &self,
        what: impl Future<Output = io::Result<T>>,
        progress: &mut WriteProgress,
    ) -> io::Result<Option<T>> {
        self.note_wait(progress);
        if progress.in_vain >= self.progress_time_max {
            // It may have taken something since the last try.
            let timed_out =
                || io::Error::new(io::ErrorKind::TimedOut, "the client stopped reading the answer");
            return poll_once(what).await.unwrap_or_else(|| Err(timed_out())).map(Some);
        }
        let WriteProgress { patience, in_vain, waited, displaced } = progress;
        let (mut what, mut began) = (pin!(what), None);
        let watched = poll_fn(|context| {
            let polled = what.as_mut().poll(context);
            if polled.is_pending() {
                // Most writes need no wait, and no look at the clock.
                began.get_or_insert_with(Instant::now);
                let mut holders = self.holders().zip(displaced.iter_mut());
                if holders.any(|(holder, listener)| holder.poll_displaced(listener, context).is_ready()) {
                    return Poll::Ready(Err(displaced_error()));
                }
            }
            polled
        });
        let done = patience.wait(watched).await;
        *waited = began.map_or(Duration::ZERO, |began| began.elapsed());
        *in_vain += *waited;
        done.transpose()
    }

    /// Writes all of `bytes`; `written` includes the bytes before an error.
    ///
    /// With `more_follows` the system may hold the last packet back until the next write fills it.
    pub(in crate::wire) async fn write_all(
        &self,
        bytes: &[u8],
        more_follows: bool,
        written: &mut u64,
    ) -> io::Result<()> {
        let mut left = bytes;
        let mut progress = self.progress();
        while !left.is_empty() {
            self.check_place()?;
            let write = poll_fn(|context| self.stream.poll_write(context, left, more_follows));
            let Some(count) = self.wait(write, &mut progress).await? else { continue };
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.took(count as u64, &mut progress);
            *written += count as u64;
            left = left.get(count..).unwrap_or_default();
        }
        Ok(())
    }
}

fn displaced_error() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "the client reads the answer too slowly while others wait")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::admission::{Places, Terms};
    use crate::wire::stream::MemoryStream;

    #[test]
    fn a_client_that_took_something_since_the_last_try_is_not_given_up() {
        let (stream, client) = MemoryStream::pair();
        let (stream, holder): (Arc<dyn Stream>, _) = (Arc::new(stream), Holder::new());
        let progress_time_max = Duration::from_secs(60);
        let output = Output { stream: &stream, progress_time_max, holder: &holder, body_holder: None };
        smol::block_on(async {
            let write = || poll_fn(|context| stream.poll_write(context, &[0; 4096], false));
            while poll_once(write()).await.is_some() {}
            let mut progress = output.progress();
            progress.in_vain = progress_time_max;
            let error = output.wait(write(), &mut progress).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            let client: &dyn Stream = &client;
            client.read(&mut [0; 4096]).await.unwrap();
            assert_eq!(output.wait(write(), &mut progress).await.unwrap(), Some(4096));
        });
    }

    #[test]
    fn a_displaced_client_that_always_takes_more_is_cut_off() {
        let terms = Terms {
            places: 1,
            leaving_max: 2,
            idle_min: Duration::ZERO,
            slow_time: Duration::MAX,
            least_bytes_per_second: 0,
        };
        let places = Places::new(terms);
        let place = places.take(1).unwrap();
        let (stream, client) = MemoryStream::pair();
        let (stream, progress_time_max): (Arc<dyn Stream>, _) = (Arc::new(stream), Duration::from_secs(60));
        let output = Output { stream: &stream, progress_time_max, holder: place.holder(), body_holder: None };
        smol::block_on(async {
            let (mut written, piece) = (0, [0; 4096]);
            output.write_all(&piece, false, &mut written).await.unwrap();
            let _newcomer = places.take(1).unwrap();
            let error = loop {
                assert!(written < 2 * DISPLACED_WRITE_MAX_BYTES, "it goes on");
                let client: &dyn Stream = &client;
                client.read(&mut [0; 4096]).await.unwrap();
                if let Err(error) = output.write_all(&piece, false, &mut written).await {
                    break error;
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        });
    }
}
