//! A pair of streams in memory, for tests.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::Stream;

/// How many bytes one direction holds before writes wait.
const CAPACITY_BYTES: usize = 64 * 1024;

/// One end of a connection in memory. It has no descriptor.
#[derive(Debug)]
pub(in crate::wire) struct MemoryStream {
    incoming: Arc<Direction>,
    outgoing: Arc<Direction>,
    aborted: AtomicBool,
}

#[derive(Debug, Default)]
struct Direction(Mutex<DirectionState>);

#[derive(Debug, Default)]
struct DirectionState {
    bytes: VecDeque<u8>,
    /// Nothing is written any more.
    is_ended: bool,
    /// Nothing is read any more.
    is_unread: bool,
    is_reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Direction {
    fn lock(&self) -> MutexGuard<'_, DirectionState> {
        self.0.lock().unwrap()
    }

    /// Changes the state, and wakes both ends.
    fn change<T>(&self, change: impl FnOnce(&mut DirectionState) -> T) -> T {
        let mut state = self.lock();
        let changed = change(&mut state);
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
        changed
    }
}

impl DirectionState {
    /// Returns how many bytes can be read, 0 at the end, and nothing while a read has to wait.
    fn readable(&self) -> Option<io::Result<usize>> {
        if self.is_reset && self.bytes.is_empty() {
            return Some(Err(io::ErrorKind::ConnectionReset.into()));
        }
        (self.is_ended || !self.bytes.is_empty()).then_some(Ok(self.bytes.len()))
    }

    /// Returns how many bytes can be written, and nothing while a write has to wait.
    fn writable(&self) -> Option<io::Result<usize>> {
        if self.is_reset || self.is_unread || self.is_ended {
            return Some(Err(io::ErrorKind::BrokenPipe.into()));
        }
        (self.bytes.len() < CAPACITY_BYTES).then(|| Ok(CAPACITY_BYTES - self.bytes.len()))
    }

    fn peek(&self, target: &mut [u8]) -> usize {
        let count = target.len().min(self.bytes.len());
        target.iter_mut().zip(&self.bytes).for_each(|(to, from)| *to = *from);
        count
    }
}

impl MemoryStream {
    /// Makes the two ends of a connection.
    pub(in crate::wire) fn pair() -> (Self, Self) {
        let (one, other) = (Arc::<Direction>::default(), Arc::<Direction>::default());
        let end = |incoming: &Arc<Direction>, outgoing: &Arc<Direction>| Self {
            incoming: Arc::clone(incoming),
            outgoing: Arc::clone(outgoing),
            aborted: AtomicBool::new(false),
        };
        (end(&one, &other), end(&other, &one))
    }
}

/// Writes all of `bytes`.
pub(in crate::wire) async fn write_all(stream: &dyn Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|context| stream.poll_write(context, bytes, false)).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Reads until the end, or an error.
pub(in crate::wire) async fn read_to_end(stream: &dyn Stream) -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        all.extend_from_slice(&piece[..count]);
    }
    all
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        // Like a socket: what was not read makes the end a reset, too.
        let is_reset = self.aborted.load(Ordering::SeqCst) || !self.incoming.lock().bytes.is_empty();
        self.outgoing.change(|state| (state.is_ended, state.is_reset) = (true, is_reset));
        self.incoming.change(|state| (state.is_unread, state.is_reset) = (true, is_reset));
    }
}

impl Stream for MemoryStream {
    fn poll_read(&self, context: &mut Context<'_>, target: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut state = self.incoming.lock();
        let Some(readable) = state.readable() else {
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        };
        readable?;
        let count = state.peek(target);
        drop(state);
        self.incoming.change(|state| drop(state.bytes.drain(..count)));
        Poll::Ready(Ok(count))
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.incoming.lock();
        if state.readable().is_some() {
            return Poll::Ready(Ok(()));
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }

    fn peek(&self, target: &mut [u8]) -> io::Result<usize> {
        let state = self.incoming.lock();
        state.readable().ok_or(io::ErrorKind::WouldBlock)??;
        Ok(state.peek(target))
    }

    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8], _: bool) -> Poll<io::Result<usize>> {
        let mut state = self.outgoing.lock();
        let Some(writable) = state.writable() else {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        };
        let count = writable?.min(bytes.len());
        drop(state);
        self.outgoing.change(|state| state.bytes.extend(&bytes[..count]));
        Poll::Ready(Ok(count))
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.outgoing.lock();
        if state.writable().is_some() {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(context.waker().clone());
        Poll::Pending
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.outgoing.change(|state| state.is_ended = true);
        Ok(())
    }

    fn abort(&self) {
        self.aborted.store(true, Ordering::SeqCst);
        self.incoming.change(|state| state.is_ended = true);
    }
}
