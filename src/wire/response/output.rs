//! The writing half of a connection.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::wire::Pace;
use crate::wire::idle_timeout::IdleTimeout;
use crate::wire::stream::Stream;

/// How many times a socket that takes no more is tried within the time that a client may stand still.
const TRIES: u32 = 4;

/// Writes to a stream, and gives up when the client takes nothing for too long.
#[derive(Debug, Clone, Copy)]
pub(in crate::wire) struct Output<'a> {
    /// Is told what goes out, where others wait for the memory that it lies in.
    pub(in crate::wire) pace: Option<&'a Pace>,
    /// The stream to write to.
    pub(in crate::wire) stream: &'a Arc<dyn Stream>,
    /// How long a write may go without progress.
    pub(in crate::wire) progress_time_max: Duration,
}

/// Whether the client takes anything of an answer.
#[derive(Debug)]
pub(in crate::wire) struct WriteProgress {
    patience: IdleTimeout,
    /// How many waits in a row came to nothing.
    in_vain: u32,
}

impl WriteProgress {
    /// Notes that the client took something.
    pub(in crate::wire) fn made(&mut self) {
        self.in_vain = 0;
    }
}

impl Output<'_> {
    /// Begins to watch whether the client takes anything.
    pub(in crate::wire) fn progress(&self) -> WriteProgress {
        WriteProgress { patience: IdleTimeout::new(self.progress_time_max / TRIES), in_vain: 0 }
    }

    /// Waits for `what`, but at most a part of the time that a client may stand still: then it is to be tried
    /// again, and `None` returned.
    ///
    /// The system calls a socket writable only when a third of its buffer is free, which may be some MiB. It
    /// takes a little long before that, and only so can a slow client be told from one that stands still.
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

    /// Writes all of `bytes`; `written` counts them one by one, also those before an error.
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
