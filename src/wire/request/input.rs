//! The reading half of a connection: the stream, and the bytes read ahead from it.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::wire::admission::Holder;
use crate::wire::stream::Stream;

/// The largest buffer that a waiting connection keeps.
const SHRUNK_SIZE_MAX_BYTES: usize = 1024;

/// How much is read at once into the buffer that the connections of a thread share.
const SHARED_SIZE_BYTES: usize = 4 * 1024;

thread_local! {
    /// Takes the first bytes of a request. Most heads are short: a connection then holds no more than these
    /// bytes, and no buffer is zeroed for them.
    static SHARED: RefCell<[u8; SHARED_SIZE_BYTES]> = const { RefCell::new([0; SHARED_SIZE_BYTES]) };
}

/// Bytes that were read from the stream and not yet used.
#[derive(Debug, Default)]
pub(in crate::wire) struct InputBuffer {
    storage: Vec<u8>,
    start: usize,
    end: usize,
}

impl InputBuffer {
    /// Returns the bytes not yet used.
    pub(in crate::wire) fn unread(&self) -> &[u8] {
        self.storage.get(self.start..self.end).unwrap_or_default()
    }

    /// Returns whether everything was used.
    pub(in crate::wire) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Marks the first `count` bytes as used.
    pub(in crate::wire) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Makes room for at least one byte, and for `capacity` bytes in all, and returns it.
    fn room(&mut self, capacity: usize) -> &mut [u8] {
        if self.start > 0 {
            self.storage.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let wanted = capacity.max(self.end + 1);
        if self.storage.is_empty() {
            // Zeroed memory comes from the allocator at no cost.
            self.storage = vec![0; wanted];
        } else if self.storage.len() < wanted {
            self.storage.resize(wanted.max(self.storage.len() * 2), 0);
        }
        self.storage.get_mut(self.end..).unwrap_or_default()
    }

    /// Takes bytes into an empty buffer.
    fn hold(&mut self, bytes: &[u8]) {
        (self.storage, self.start, self.end) = (bytes.to_vec(), 0, bytes.len());
    }

    fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.storage.len());
    }

    /// Frees an empty buffer: an idle connection holds none.
    pub(in crate::wire) fn release(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Frees the memory that its content does not need.
    fn shrink(&mut self) {
        self.release();
        if self.storage.len() > SHRUNK_SIZE_MAX_BYTES && self.unread().len() <= SHRUNK_SIZE_MAX_BYTES {
            self.storage = self.unread().to_vec();
            (self.start, self.end) = (0, self.storage.len());
        }
    }
}

/// The reading half of a connection. Either the connection holds it, or the body of its request.
#[derive(Debug)]
pub(in crate::wire) struct Input {
    /// The stream, which the writing half shares.
    pub(in crate::wire) stream: Arc<dyn Stream>,
    /// What was read ahead.
    pub(in crate::wire) buffer: InputBuffer,
    /// Holds the connection's place.
    pub(super) holder: Arc<Holder>,
}

impl Input {
    /// Makes the reading half of a stream from which nothing was read.
    pub(in crate::wire) fn new(stream: Arc<dyn Stream>, holder: Arc<Holder>) -> Self {
        Self { stream, buffer: InputBuffer::default(), holder }
    }

    /// Reads more into the buffer, which takes `capacity` bytes if it is smaller; 0 means that the client
    /// sends no more.
    pub(super) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        capacity: usize,
    ) -> Poll<io::Result<usize>> {
        let read = if self.buffer.storage.is_empty() && capacity <= SHARED_SIZE_BYTES {
            SHARED.with_borrow_mut(|shared| self.poll_fill_through(context, shared))
        } else {
            let read = self.stream.poll_read(context, self.buffer.room(capacity));
            if let Poll::Ready(Ok(count)) = read {
                self.buffer.filled(count);
            }
            read
        };
        match read {
            Poll::Ready(Ok(count)) => self.holder.activity.moved(count as u64),
            // A client that sends nothing holds no buffer, however much it announced.
            Poll::Pending => self.buffer.shrink(),
            Poll::Ready(Err(_)) => {}
        }
        read
    }

    /// Reads into `shared`, and keeps what came.
    fn poll_fill_through(&mut self, context: &mut Context<'_>, shared: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = self.stream.poll_read(context, shared);
        if let Poll::Ready(Ok(count)) = read {
            self.buffer.hold(shared.get(..count).unwrap_or_default());
        }
        read
    }

    /// Reads more into the buffer, which takes `capacity` bytes if it is smaller; 0 means that the client
    /// sends no more.
    pub(in crate::wire) async fn fill(&mut self, capacity: usize) -> io::Result<usize> {
        std::future::poll_fn(|context| self.poll_fill(context, capacity)).await
    }

    /// Reads past the buffer, straight from the stream.
    pub(super) fn poll_read_past(
        &mut self,
        context: &mut Context<'_>,
        target: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = self.stream.poll_read(context, target);
        if let Poll::Ready(Ok(count)) = read {
            self.holder.activity.moved(count as u64);
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(buffer: &mut InputBuffer, bytes: &[u8], capacity: usize) {
        buffer.room(capacity)[..bytes.len()].copy_from_slice(bytes);
        buffer.filled(bytes.len());
    }

    #[test]
    fn a_buffer_keeps_what_was_not_used_when_it_makes_room() {
        let mut buffer = InputBuffer::default();
        put(&mut buffer, b"abcdef", 8);
        buffer.consume(4);
        put(&mut buffer, b"ghijkl", 8);
        assert_eq!(buffer.unread(), b"efghijkl");
        put(&mut buffer, b"m", 8);
        assert_eq!(buffer.unread(), b"efghijklm");
        buffer.consume(100);
        assert!(buffer.is_empty());
        buffer.release();
        assert_eq!(buffer.storage.capacity(), 0);
    }

    #[test]
    fn a_buffer_that_waits_keeps_what_is_in_it_and_little_more() {
        let mut buffer = InputBuffer::default();
        put(&mut buffer, b"abcdef", 64 * 1024);
        buffer.consume(4);
        buffer.shrink();
        assert_eq!((buffer.unread(), buffer.storage.capacity()), (&b"ef"[..], 2));
        put(&mut buffer, b"gh", 64 * 1024);
        assert_eq!(buffer.unread(), b"efgh");
        buffer.consume(4);
        buffer.shrink();
        assert_eq!(buffer.storage.capacity(), 0);
    }
}
