//! `100 Continue`: sent when the application first asks for the body, and never once the answer has begun.

use std::io;
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use smol::Async;
use smol::io::AsyncWrite;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Nothing is to be sent (any more).
const SETTLED: u8 = 0;
/// The client waits, and nothing was sent yet.
const AWAITED: u8 = 1;
/// A part of the interim answer may have gone out.
const SENDING: u8 = 2;
/// The answer has begun before the body was asked for.
const TOO_LATE: u8 = 3;

/// What the body of a request and its connection tell each other, also while the application holds the body.
#[derive(Debug)]
pub(in crate::wire) struct BodySignals {
    interim: AtomicU8,
    bytes_in: AtomicU64,
}

impl BodySignals {
    /// Makes the signals of one body.
    pub(in crate::wire) fn new(client_awaits_continue: bool) -> Self {
        let interim = if client_awaits_continue { AWAITED } else { SETTLED };
        Self { interim: AtomicU8::new(interim), bytes_in: AtomicU64::new(0) }
    }

    /// Returns how many bytes of the body were read.
    pub(in crate::wire) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// Notes that bytes of the body were read.
    pub(super) fn add_bytes_in(&self, count: u64) {
        self.bytes_in.fetch_add(count, Ordering::Relaxed);
    }

    /// Forbids the interim answer from now on. Returns whether the client still waits for one.
    ///
    /// Fails when half of it is out, so that no answer can follow.
    pub(in crate::wire) fn begin_answer(&self) -> Result<bool, io::Error> {
        match self.interim.compare_exchange(AWAITED, TOO_LATE, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) | Err(TOO_LATE) => Ok(true),
            Err(SETTLED) => Ok(false),
            Err(_) => Err(io::Error::other("the answer came while 100 Continue was being sent")),
        }
    }

    /// Sends the interim answer if the client waits for it; `sent` holds how much of it is out.
    pub(super) fn poll_interim(
        &self,
        context: &mut Context<'_>,
        mut socket: &Async<TcpStream>,
        sent: &mut usize,
    ) -> Poll<io::Result<()>> {
        match self.interim.compare_exchange(AWAITED, SENDING, Ordering::SeqCst, Ordering::SeqCst) {
            Err(SETTLED) => return Poll::Ready(Ok(())),
            Err(TOO_LATE) => {
                let reason = "the request was answered before its body was asked for";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason)));
            }
            Ok(_) | Err(_) => {}
        }
        while let Some(rest) = CONTINUE.get(*sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut socket).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => *sent += count,
            }
        }
        self.interim.store(SETTLED, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }
}
