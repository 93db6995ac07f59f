//! `100 Continue`: sent at the application's first read of the body, never after the answer has begun.

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};

use crate::wire::stream::Stream;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// No `100 Continue` is owed.
const SETTLED: u8 = 0;
/// The client waits for one.
const AWAITED: u8 = 1;
/// It is being sent, or could not be sent whole.
const SENDING: u8 = 2;
/// The answer has begun: the body cannot be read any more.
const ANSWERED: u8 = 3;

/// State that the body of a request and its connection share while the application holds the body.
#[derive(Debug)]
pub(in crate::wire) struct BodySignals {
    state: AtomicU8,
    bytes_in: AtomicU64,
}

impl BodySignals {
    /// Makes the signals of one body.
    pub(in crate::wire) fn new(client_awaits_continue: bool) -> Self {
        let state = if client_awaits_continue { AWAITED } else { SETTLED };
        Self { state: AtomicU8::new(state), bytes_in: AtomicU64::new(0) }
    }

    /// Returns how many bytes of the body were read.
    pub(in crate::wire) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// Notes that bytes of the body were read.
    pub(super) fn add_bytes_in(&self, count: u64) {
        self.bytes_in.fetch_add(count, Ordering::Relaxed);
    }

    /// Returns whether the client still waits for `100 Continue`.
    ///
    /// Fails if a part of it was sent, so that no answer can follow.
    pub(in crate::wire) fn awaits_continue(&self) -> io::Result<bool> {
        Self::awaits(self.state.load(Ordering::SeqCst))
    }

    /// Ends the body, wherever it is: from now on neither it nor `100 Continue` interferes with the answer.
    ///
    /// Fails if a part of `100 Continue` was sent.
    pub(in crate::wire) fn end_body(&self) -> io::Result<()> {
        Self::awaits(self.state.swap(ANSWERED, Ordering::SeqCst)).map(|_| ())
    }

    fn awaits(state: u8) -> io::Result<bool> {
        match state {
            SENDING => Err(io::Error::other("100 Continue could not be sent whole")),
            state => Ok(state == AWAITED),
        }
    }

    /// Sends `100 Continue` if the client waits for it. A stream that does not take these few bytes at once
    /// belongs to a client that does not read: then the body fails.
    pub(super) fn send_continue(&self, context: &mut Context<'_>, stream: &dyn Stream) -> io::Result<()> {
        match self.state.compare_exchange(AWAITED, SENDING, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => {}
            Err(SETTLED) => return Ok(()),
            Err(_) => {
                let reason = "the request was answered before all of its body was read";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
            }
        }
        let sent = match stream.poll_write(context, CONTINUE, false) {
            Poll::Ready(sent) => sent?,
            Poll::Pending => 0,
        };
        if sent < CONTINUE.len() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read 100 Continue"));
        }
        // Fails if the answer has begun meanwhile, which has noticed.
        let _ = self.state.compare_exchange(SENDING, SETTLED, Ordering::SeqCst, Ordering::SeqCst);
        Ok(())
    }
}
