//! Bodies that behave as clients do.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use smol::io::{AsyncBufRead, AsyncRead};

/// What a body does next.
pub(in crate::registry) enum Part {
    Bytes(Vec<u8>),
    /// Fails, as when the connection broke.
    Break,
    /// Hangs for ever.
    Hang,
}

/// A body that takes one step after another, and then ends.
pub(in crate::registry) struct Body {
    parts: VecDeque<Part>,
    taken: usize,
}

impl Body {
    pub(in crate::registry) fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        Self { parts: parts.into_iter().collect(), taken: 0 }
    }

    pub(in crate::registry) fn that_hangs_after(bytes: &[u8]) -> Self {
        Self::new([Part::Bytes(bytes.to_vec()), Part::Hang])
    }

    pub(in crate::registry) fn that_breaks_after(bytes: &[u8]) -> Self {
        Self::new([Part::Bytes(bytes.to_vec()), Part::Break])
    }
}

impl AsyncRead for Body {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = match self.as_mut().poll_fill_buf(context) {
            Poll::Ready(Ok(bytes)) => bytes,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        };
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        self.consume(length);
        Poll::Ready(Ok(length))
    }
}

impl AsyncBufRead for Body {
    fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let body = self.get_mut();
        while matches!(body.parts.front(), Some(Part::Bytes(bytes)) if bytes.len() == body.taken) {
            body.parts.pop_front();
            body.taken = 0;
        }
        match body.parts.front() {
            Some(Part::Bytes(bytes)) => Poll::Ready(Ok(&bytes[body.taken..])),
            Some(Part::Break) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(Part::Hang) => Poll::Pending,
            None => Poll::Ready(Ok(&[])),
        }
    }

    fn consume(mut self: Pin<&mut Self>, length: usize) {
        self.taken += length;
    }
}
