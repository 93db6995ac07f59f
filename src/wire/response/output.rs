//! The writing half of a connection.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::wire::Pace;
use crate::wire::idle_timeout::IdleTimeout;
use crate::wire::stream::Stream;

/// How often a blocked write is retried within `progress_time_max`.
const TRIES: u32 = 4;

/// Writes to a stream, and fails when the client takes nothing for `progress_time_max`.
#[derive(Debug, Clone, Copy)]
pub(in crate::wire) struct Output<'a> {
    /// Counts what is sent, for bodies whose memory other requests wait for.
    pub(in crate::wire) pace: Option<&'a Pace>,
    /// The stream to write to.
    pub(in crate::wire) stream: &'a Arc<dyn Stream>,
    /// How long a write may go without progress.
    pub(in crate::wire) progress_time_max: Duration,
}

/// Whether the client takes any bytes of an answer.
#[derive(Debug)]
pub(in crate::wire) struct WriteProgress {
    patience: IdleTimeout,
    /// How many waits in a row timed out.
    in_vain: u32,
}

impl WriteProgress {
    /// Notes that the client took something.
    pub(in crate::wire) fn made(&mut self) {
        self.in_vain = 0;
    }
}

impl Output<'_> {
    /// Starts to watch whether the client takes any bytes.
    pub(in crate::wire) fn progress(&self) -> WriteProgress {
        WriteProgress { patience: IdleTimeout::new(self.progress_time_max / TRIES), in_vain: 0 }
    }

    /// Waits for `what`. Returns `None` after a part of `progress_time_max`: the caller must try again.
    ///
    /// The system reports a socket writable only when a third of its buffer is free, which may be some MiB.
    /// It accepts bytes long before, and only a try tells a slow client from one that takes nothing.
    pub(super) async fn wait<T>(
        &self,
        what: impl Future<Output = io::Result<T>>,
        progress: &mut WriteProgress,
    ) -> io::Result<Option<T>> {
        if progress.in_vain >= TRIES {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no more of the answer"));
        }
        let waited = progress.patience.wait(what).await;
        if waited.is_none() {
            progress.in_vain += 1;
        }
        waited.transpose()
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
            let write = poll_fn(|context| self.stream.poll_write(context, left, more_follows));
            let Some(count) = self.wait(write, &mut progress).await? else { continue };
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            progress.made();
            *written += count as u64;
            if let Some(pace) = self.pace {
                pace.moved(count as u64);
            }
            left = left.get(count..).unwrap_or_default();
        }
        Ok(())
    }
}
