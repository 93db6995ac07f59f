//! What a connection needs of its socket.

#[cfg(test)]
mod memory;
mod plain;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};

#[cfg(test)]
pub(in crate::wire) use memory::{MemoryStream, read_to_end, write_all};
pub(in crate::wire) use plain::PlainStream;

/// A connection to one client: bytes in, bytes out, each direction with an end of its own.
///
/// One task reads and one writes at a time: a later call may replace the waker of an earlier one for the same
/// direction.
pub(in crate::wire) trait Stream: fmt::Debug + Send + Sync {
    /// Reads into `target`; 0 means that the client sends no more.
    fn poll_read(&self, context: &mut Context<'_>, target: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Waits until a read may have something to return, holding no buffer. It may be ready too early.
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Returns the bytes that the next read returns, without waiting for any.
    fn peek(&self, target: &mut [u8]) -> io::Result<usize>;

    /// Writes some of `bytes`, all of which were handed to the system when this is ready. After `Pending` the
    /// next write begins with the same bytes.
    ///
    /// With `more_follows` the system may hold the last packet back until the next write fills it.
    fn poll_write(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        more_follows: bool,
    ) -> Poll<io::Result<usize>>;

    /// Waits until the descriptor may take more. It may be ready too early.
    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Returns the non-blocking descriptor that takes plain bytes, if there is one: for `sendfile`.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// Ends the writing direction. The client reads what was written, then the end.
    fn shutdown_write(&self) -> io::Result<()>;

    /// Makes the stream's end an error for the client, so that it cannot take a cut answer for a whole one.
    /// Reading ends at once.
    fn abort(&self);
}

impl dyn Stream + '_ {
    /// Reads into `target`; 0 means that the client sends no more.
    pub(in crate::wire) async fn read(&self, target: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| self.poll_read(context, target)).await
    }

    /// Waits until a read may have something to return. It may be ready too early.
    pub(in crate::wire) async fn readable(&self) -> io::Result<()> {
        until_woken(|context| self.poll_readable(context)).await
    }

    /// Waits until the next read has something to return, and returns how much of it fits into `target`; 0
    /// means that the client sends no more.
    pub(in crate::wire) async fn wait_and_peek(&self, target: &mut [u8]) -> io::Result<usize> {
        loop {
            self.readable().await?;
            match self.peek(target) {
                Err(error) if is_momentary(&error) => {}
                peeked => return peeked,
            }
        }
    }

    /// Waits until the descriptor may take more. It may be ready too early.
    pub(in crate::wire) async fn writable(&self) -> io::Result<()> {
        until_woken(|context| self.poll_writable(context)).await
    }
}

/// Waits until `poll` is ready or something has woken the task: then the caller tries.
///
/// An event that comes while another thread waits for events may be taken for an older one. To ask for it
/// again, before a try, brings the same event again, several times for each request.
async fn until_woken(mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<()>>) -> io::Result<()> {
    let mut is_woken = false;
    poll_fn(
        |context| {
            if std::mem::replace(&mut is_woken, true) { Poll::Ready(Ok(())) } else { poll(context) }
        },
    )
    .await
}

fn is_momentary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
