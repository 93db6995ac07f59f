//! A request's body, in pieces that are large enough for a hop to the disk.

use std::io;
use std::time::Duration;

use smol::Timer;
use smol::future::{or, poll_once};
use smol::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt};

use crate::registry::uploads::pool::{BufferPool, PooledBuffer};

/// How long a half-full buffer waits for more before it is written as it is.
const FILL_TIME_MAX: Duration = Duration::from_millis(100);

/// Bytes that came in.
pub(in crate::registry) struct BodyPiece {
    buffer: PooledBuffer,
    length: usize,
}

impl BodyPiece {
    pub(in crate::registry) fn bytes(&self) -> &[u8] {
        self.buffer.filled(self.length)
    }
}

/// Reads pieces from a body.
pub(in crate::registry) struct BodyPieces<B> {
    body: B,
    /// How many bytes may still come.
    limit: u64,
    /// The error that ended the body, returned after the bytes that came before it.
    failed: Option<io::Error>,
    ended: bool,
}

impl<B: AsyncBufRead + Unpin + Send> BodyPieces<B> {
    /// Reads at most `limit` bytes of `body`.
    pub(in crate::registry) fn new(body: B, limit: u64) -> Self {
        Self { body, limit, failed: None, ended: false }
    }

    /// Returns the next bytes, or `None` at the end.
    pub(in crate::registry) async fn next(&mut self, pool: &BufferPool) -> io::Result<Option<BodyPiece>> {
        if let Some(error) = self.failed.take() {
            self.ended = true;
            return Err(error);
        }
        if self.limit == 0 {
            // Not the end of the body: `has_more` checks whether it continues.
            return Ok(None);
        }
        // INVARIANT: a client that sends nothing holds no buffer.
        if self.ended || self.body.fill_buf().await?.is_empty() {
            self.ended = true;
            return Ok(None);
        }
        let mut buffer = pool.take().await;
        let mut length = 0;
        let mut deadline = Timer::after(FILL_TIME_MAX);
        let is_patient = buffer.is_patient();
        loop {
            let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
            let space = buffer.space(length, limit);
            if space.is_empty() {
                break;
            }
            let read = read(&mut self.body, space);
            let late = async {
                if is_patient {
                    (&mut deadline).await;
                }
                Ok(None)
            };
            match or(read, late).await {
                Ok(Some(0)) => {
                    self.ended = true;
                    break;
                }
                Ok(Some(count)) => {
                    length += count;
                    self.limit -= count as u64;
                }
                Ok(None) => break,
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        buffer.end_waiting();
        Ok(Some(BodyPiece { buffer, length }))
    }

    /// Tells whether the body is known to have ended, without waiting for it.
    pub(in crate::registry) async fn has_ended_now(&mut self) -> bool {
        match poll_once(self.has_more()).await {
            Some(Ok(more)) => !more,
            Some(Err(error)) => {
                self.failed = Some(error);
                false
            }
            None => false,
        }
    }

    /// Tells whether the body has more bytes than `limit` allowed.
    pub(in crate::registry) async fn has_more(&mut self) -> io::Result<bool> {
        Ok(!self.ended && !self.body.fill_buf().await?.is_empty())
    }
}

async fn read<B: AsyncRead + Unpin>(body: &mut B, space: &mut [u8]) -> io::Result<Option<usize>> {
    body.read(space).await.map(Some)
}

#[cfg(test)]
mod tests {
    use smol::block_on;
    use smol::future::poll_once;

    use super::*;
    use crate::registry::tests::bodies::Body;

    #[test]
    fn a_slow_client_waits_with_its_bytes_only_while_there_are_buffers_for_others() {
        block_on(async {
            let pool = BufferPool::new();
            let slow = || BodyPieces::new(Body::that_hangs_after(b"abc"), u64::MAX);
            let mut others = Vec::new();
            let mut patient = slow();
            assert!(poll_once(patient.next(&pool)).await.is_none(), "more may come soon");
            loop {
                let buffer = pool.take().await;
                if !buffer.is_patient() {
                    break;
                }
                others.push(buffer);
            }
            let mut hurried = slow();
            let piece = poll_once(hurried.next(&pool)).await.unwrap().unwrap().unwrap();
            assert_eq!(piece.bytes(), b"abc");
        });
    }
}
