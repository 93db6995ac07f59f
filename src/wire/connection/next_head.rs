//! Between two requests of a connection: waiting for the next one, and reading its head.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Instant;

use smol::Timer;
use smol::future::{FutureExt, poll_once};

use super::context::Connection;
use crate::wire::idle_timeout::IdleTimeout;
use crate::wire::refusals::RefusalReason;
use crate::wire::rejection::Rejection;
use crate::wire::request::{HeadScanner, Input, RequestHead};

/// How much of a head is read at first: most heads are smaller.
const HEAD_READ_SIZE_BYTES: usize = 4 * 1024;

/// Why there is no (further) request.
pub(super) enum NoHead {
    /// The connection has ended, and the client gets no answer.
    Over,
    /// The client gets this rejection.
    Refused(Rejection),
}

impl From<Rejection> for NoHead {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}

impl From<io::Error> for NoHead {
    fn from(_: io::Error) -> Self {
        Self::Over
    }
}

impl<A> Connection<A> {
    /// Reads the next request's head.
    pub(super) async fn next_head(
        &self,
        input: &mut Input,
        idle: &mut IdleTimeout,
        asked_to_end: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<RequestHead, NoHead> {
        if input.buffer.is_empty() {
            self.wait_for_first_byte(input, idle, asked_to_end).await?;
        }
        let mut scanner = HeadScanner::default();
        let mut deadline = None;
        loop {
            let buffered = input.buffer.unread();
            if let Some(length) = scanner.scan(buffered, &self.limits)? {
                let head = RequestHead::parse(buffered.get(..length).unwrap_or_default(), &self.limits)?;
                input.buffer.consume(length);
                return Ok(head);
            }
            let deadline = *deadline.get_or_insert_with(|| {
                // Nothing is in flight before all of the head is there.
                self.holder.activity.idle();
                Instant::now() + self.limits.head_time_max
            });
            let read = async { input.fill(HEAD_READ_SIZE_BYTES).await.map_err(NoHead::from) };
            let too_slow = async {
                Timer::at(deadline).await;
                Err(NoHead::Refused(Rejection::HeadTooSlow))
            };
            let stopped = async {
                self.stop_lingers().await;
                Err(NoHead::Over)
            };
            let displaced = async {
                self.holder.displaced().await;
                let reason = RefusalReason { label: "displaced", status: None };
                self.refusals.note(reason, &self.peer, "its head came too slowly while others waited");
                Err(NoHead::Over)
            };
            if read.or(too_slow).or(stopped).or(displaced).await? == 0 {
                return Err(NoHead::Refused(Rejection::BadRequest("the request's head is cut off")));
            }
        }
    }

    /// Waits for the first bytes of a request; an idle connection holds no buffer meanwhile. `asked_to_end`
    /// is kept over all waits of a connection, as `idle` is: a new wait would have to be registered again.
    async fn wait_for_first_byte(
        &self,
        input: &mut Input,
        idle: &mut IdleTimeout,
        asked_to_end: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), NoHead> {
        input.buffer.release();
        self.holder.activity.idle();
        let mut read = 0;
        if !self.is_asked_to_end() {
            let readable = async {
                loop {
                    self.stream.readable().await?;
                    // Readiness may be spurious: then wait on, within the same limits.
                    match poll_once(input.fill(HEAD_READ_SIZE_BYTES)).await {
                        Some(read) => return read.map_err(NoHead::from),
                        None => input.buffer.release(),
                    }
                }
            };
            let stopped = async {
                asked_to_end.await;
                Ok(0)
            };
            read = idle.wait(readable.or(stopped)).await.unwrap_or(Err(NoHead::Over))?;
        }
        if read == 0 && self.stop.is_triggered() {
            // A request that arrived before the stop is still answered.
            read = poll_once(input.fill(HEAD_READ_SIZE_BYTES)).await.unwrap_or(Ok(0))?;
        }
        if read == 0 { Err(NoHead::Over) } else { Ok(()) }
    }
}
