//! The body of a request, as the application reads it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use smol::channel::{Receiver, Sender, bounded};
use smol::io::{AsyncBufRead, AsyncRead};

use super::continue_100::BodySignals;
use super::framing::{Framing, Next};
use super::input::Input;
use crate::wire::admission::DisplacedWait;
use crate::wire::idle_timeout::IdleTimeout;

/// How much of a body is read ahead: one read takes a chunk of 32 KiB, the usual size.
const READ_AHEAD_SIZE_MAX_BYTES: u64 = 64 * 1024;

/// Reads of this size and more bypass the buffer.
const DIRECT_READ_SIZE_MIN_BYTES: usize = 16 * 1024;

/// How much is read of a body whose connection was displaced before the read, as long as none is waited for.
const DISPLACED_READ_MAX_BYTES: u64 = 64 * 1024;

/// A body on its way in, together with the connection's reading half.
#[derive(Debug)]
pub(in crate::wire) struct BodySource {
    input: Input,
    framing: Framing,
    signals: Arc<BodySignals>,
    /// How long the client may let a read wait. Pauses of the application are not included.
    patience: IdleTimeout,
    /// Tells when the connection's place is another one's.
    displaced: DisplacedWait,
    /// The first error; every later read returns it again.
    failed: Option<(io::ErrorKind, String)>,
}

impl BodySource {
    /// Makes the source of a body that starts with what `input` holds.
    pub(in crate::wire) fn new(
        input: Input,
        framing: Framing,
        signals: Arc<BodySignals>,
        progress_time_max: Duration,
    ) -> Self {
        let patience = IdleTimeout::new(progress_time_max);
        Self { input, framing, signals, patience, displaced: DisplacedWait::default(), failed: None }
    }

    /// Returns the reading half; it is at the end of the body when [`BodySource::rest`] is 0.
    pub(in crate::wire) fn into_input(self) -> Input {
        self.input
    }

    /// Returns the state shared with the connection.
    pub(in crate::wire) fn signals(&self) -> &BodySignals {
        &self.signals
    }

    /// Returns how much of the body is left, `None` if unknown or if the body is broken.
    pub(in crate::wire) fn rest(&self) -> Option<u64> {
        match (&self.failed, &self.framing, self.framing.next()) {
            (None, _, Next::End) => Some(0),
            (None, Framing::Length(left), _) => Some(*left),
            _ => None,
        }
    }

    /// Drops the buffered part of the body, without waiting.
    pub(in crate::wire) fn skip_buffered(&mut self) {
        while self.failed.is_none() && !self.input.buffer.is_empty() {
            match self.next() {
                Ok(Next::Content(left)) => {
                    let count = self.content_buffered(left).len();
                    self.content_taken(count, true);
                }
                Ok(Next::Framing) => {}
                Ok(Next::End) | Err(_) => return,
            }
        }
    }

    /// Reads and drops the rest of the body; returns whether its end was reached.
    pub(in crate::wire) async fn skip_rest(&mut self) -> bool {
        loop {
            match std::future::poll_fn(|context| self.poll_content(context).map_ok(<[u8]>::len)).await {
                Ok(0) => return true,
                Ok(count) => self.content_taken(count, true),
                Err(_) => return false,
            }
        }
    }

    /// Consumes buffered framing, and returns what follows it.
    fn next(&mut self) -> io::Result<Next> {
        if let Some((kind, reason)) = &self.failed {
            return Err(io::Error::new(*kind, reason.clone()));
        }
        match self.framing.take_framing(self.input.buffer.unread()) {
            Ok(count) => self.input.buffer.consume(count),
            Err(broken) => return Err(self.fail(io::ErrorKind::UnexpectedEof, &broken.to_string())),
        }
        Ok(self.framing.next())
    }

    fn fail(&mut self, kind: io::ErrorKind, reason: &str) -> io::Error {
        self.failed = Some((kind, reason.to_owned()));
        io::Error::new(kind, reason)
    }

    fn displaced(&mut self) -> io::Error {
        // The kind tells the application.
        self.fail(io::ErrorKind::ResourceBusy, "the body came too slowly while others waited")
    }

    fn content_buffered(&self, left: u64) -> &[u8] {
        let unread = self.input.buffer.unread();
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(unread.len());
        unread.get(..count).unwrap_or_default()
    }

    /// Notes content as read, and takes it out of the buffer if it lies there.
    fn content_taken(&mut self, count: usize, from_buffer: bool) {
        if from_buffer {
            self.input.buffer.consume(count);
        }
        self.framing.content_taken(count as u64);
        self.signals.add_bytes_in(count as u64);
    }

    /// Waits for content in the buffer; an empty slice is the body's end.
    fn poll_content(&mut self, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        loop {
            match self.next()? {
                Next::End => return Poll::Ready(Ok(&[])),
                Next::Content(left) if !self.input.buffer.is_empty() => {
                    return Poll::Ready(Ok(self.content_buffered(left)));
                }
                Next::Content(_) | Next::Framing => ready!(self.poll_receive(context, None))?,
            };
        }
    }

    /// Reads from the socket, into `target` or else into the buffer; returns how much.
    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        target: Option<&mut [u8]>,
    ) -> Poll<io::Result<usize>> {
        // What has come is read, also after the place has gone to another connection.
        if self.input.holder.moved_since_displaced() >= DISPLACED_READ_MAX_BYTES {
            return Poll::Ready(Err(self.displaced()));
        }
        if let Err(error) = self.signals.send_continue(context, &*self.input.stream) {
            return Poll::Ready(Err(self.fail(error.kind(), &error.to_string())));
        }
        let capacity = match &self.framing {
            Framing::Length(left) => (*left).min(READ_AHEAD_SIZE_MAX_BYTES),
            Framing::Chunked(_) => READ_AHEAD_SIZE_MAX_BYTES,
        };
        let received = match target {
            Some(target) => self.input.poll_read_past(context, target),
            None => self.input.poll_fill(context, capacity as usize),
        };
        if received.is_ready() {
            self.input.holder.activity.end_wait();
        }
        match received {
            Poll::Pending => {
                self.input.holder.activity.wait();
                if self.input.holder.poll_displaced(&mut self.displaced, context).is_ready() {
                    return Poll::Ready(Err(self.displaced()));
                }
                ready!(self.patience.poll(context));
                let reason = "no more of the request's body came in time";
                Poll::Ready(Err(self.fail(io::ErrorKind::TimedOut, reason)))
            }
            Poll::Ready(Ok(0)) => {
                let reason = "the request's body ended early";
                Poll::Ready(Err(self.fail(io::ErrorKind::UnexpectedEof, reason)))
            }
            Poll::Ready(Ok(count)) => {
                self.patience.end_wait();
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.fail(error.kind(), &error.to_string()))),
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>, target: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut copied = 0;
        while let Some(room) = target.get_mut(copied..).filter(|room| !room.is_empty()) {
            let left = match self.next() {
                Ok(Next::Content(left)) => left,
                // Return what was read before an error: the next read returns the error.
                _ if copied > 0 => break,
                Ok(Next::End) => break,
                Ok(Next::Framing) => {
                    ready!(self.poll_receive(context, None))?;
                    continue;
                }
                Err(error) => return Poll::Ready(Err(error)),
            };
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
            if !self.input.buffer.is_empty() {
                let buffered = self.content_buffered(most as u64);
                let count = buffered.len();
                if let Some(room) = room.get_mut(..count) {
                    room.copy_from_slice(buffered);
                }
                self.content_taken(count, true);
                copied += count;
            } else if copied > 0 {
                break;
            } else if most >= DIRECT_READ_SIZE_MIN_BYTES {
                let count = ready!(self.poll_receive(context, room.get_mut(..most)))?;
                self.content_taken(count, false);
                return Poll::Ready(Ok(count));
            } else {
                ready!(self.poll_receive(context, None))?;
            }
        }
        Poll::Ready(Ok(copied))
    }
}

/// What the application reads a body from. Dropping it returns the reading half to the connection.
#[derive(Debug)]
pub(in crate::wire) struct BodyReader {
    /// Absent only while being dropped.
    source: Option<BodySource>,
    back: Sender<BodySource>,
}

impl BodyReader {
    /// Lends a body out; the receiver gets it back when the reader is dropped.
    pub(in crate::wire) fn lend(source: BodySource) -> (Self, Receiver<BodySource>) {
        let (back, receiver) = bounded(1);
        (Self { source: Some(source), back }, receiver)
    }
}

impl Drop for BodyReader {
    fn drop(&mut self) {
        if let Some(source) = self.source.take() {
            // The channel has room for its only message; without a receiver the connection has ended.
            let _ = self.back.try_send(source);
        }
    }
}

impl AsyncRead for BodyReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        target: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.source {
            Some(source) => source.poll_read(context, target),
            None => Poll::Ready(Ok(0)),
        }
    }
}

impl AsyncBufRead for BodyReader {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        match &mut self.get_mut().source {
            Some(source) => source.poll_content(context),
            None => Poll::Ready(Ok(&[])),
        }
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        if let Some(source) = &mut self.source {
            source.content_taken(count, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use smol::io::AsyncReadExt;

    use super::*;
    use crate::wire::admission::{Holder, Places, Terms};
    use crate::wire::request::head::BodyFraming;
    use crate::wire::stream::{MemoryStream, Stream, write_all};

    /// A client that sent many requests and reads nothing, then waits for `100 Continue`.
    #[test]
    fn a_client_that_does_not_read_100_continue_fails_the_body() {
        let (stream, _client) = MemoryStream::pair();
        let mut context = Context::from_waker(Waker::noop());
        while stream.poll_write(&mut context, &[0; 4096], false).is_ready() {}
        smol::block_on(async {
            let signals = Arc::new(BodySignals::new(true));
            let framing = Framing::new(BodyFraming::Length(5));
            let input = Input::new(Arc::new(stream), Holder::new());
            let source = BodySource::new(input, framing, Arc::clone(&signals), Duration::from_millis(100));
            let (mut reader, _back) = BodyReader::lend(source);
            let error = reader.read(&mut [0; 5]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    /// Begins a body of `length` bytes whose connection has just been displaced.
    fn displaced_body(length: u64) -> (BodyReader, MemoryStream) {
        let terms = Terms {
            places: 1,
            leaving_max: 2,
            idle_min: Duration::ZERO,
            slow_time: Duration::ZERO,
            least_bytes_per_second: 1,
        };
        let places = Places::new(terms);
        let place = places.take(1).unwrap();
        place.holder().activity.busy();
        let _newcomer = places.take(1).unwrap();
        assert!(place.holder().is_displaced());
        let (stream, client) = MemoryStream::pair();
        let (framing, signals) = (Framing::new(BodyFraming::Length(length)), BodySignals::new(false));
        let input = Input::new(Arc::new(stream), Arc::clone(place.holder()));
        let source = BodySource::new(input, framing, Arc::new(signals), Duration::from_secs(60));
        (BodyReader::lend(source).0, client)
    }

    #[test]
    fn what_has_come_of_a_displaced_body_is_read() {
        smol::block_on(async {
            for (came, expected) in [(&b"whole"[..], Ok(5)), (b"who", Err(io::ErrorKind::ResourceBusy))] {
                let (mut reader, client) = displaced_body(5);
                write_all(&client, came).await.unwrap();
                let read = reader.read_to_end(&mut Vec::new()).await;
                assert_eq!(read.map_err(|error| error.kind()), expected);
            }
        });
    }

    #[test]
    fn a_displaced_body_that_always_has_more_is_cut() {
        smol::block_on(async {
            for piece in [1, 1000, 32 * 1024] {
                let (mut reader, client) = displaced_body(1 << 40);
                let mut read = 0;
                let error = loop {
                    assert!(read < DISPLACED_READ_MAX_BYTES + piece, "it goes on");
                    write_all(&client, &vec![0; piece as usize]).await.unwrap();
                    match reader.read(&mut vec![0; piece as usize]).await {
                        Ok(count) => read += count as u64,
                        Err(error) => break error,
                    }
                };
                assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
            }
        });
    }
}
