//! The reading half of a connection: lent to the application with a request's body, taken back, and read to
//! the end of the request or of the connection after the answer.

use std::io;
use std::sync::Arc;

use smol::Timer;
use smol::channel::Receiver;
use smol::future::FutureExt;
use tide::http::{Body, Request};

use super::context::Connection;
use crate::wire::limits::WireLimits;
use crate::wire::request::{BodyFraming, BodyReader, BodySignals, BodySource, Framing, Input};

/// Where the connection's reading half is while a request is answered.
pub(super) enum BodyHandover {
    /// There is no body: the connection kept it.
    Kept(Input),
    /// The application has it, to read the body.
    Lent { back: Receiver<BodySource>, signals: Arc<BodySignals> },
    /// The application gave it back.
    Returned(BodySource),
}

impl<A> Connection<A> {
    /// Gives the request its body, which takes the reading half along.
    pub(super) fn attach_body(
        &self,
        request: &mut Request,
        input: Input,
        framing: BodyFraming,
        expects_continue: bool,
    ) -> BodyHandover {
        if framing == BodyFraming::None {
            return BodyHandover::Kept(input);
        }
        // A client whose body is here already does not wait.
        let signals = Arc::new(BodySignals::new(expects_continue && input.buffer.is_empty()));
        let source = BodySource::new(
            input,
            Framing::new(framing),
            Arc::clone(&signals),
            self.limits.body_progress_time_max,
        );
        let (reader, back) = BodyReader::lend(source);
        // A body brings a media type along, but what the client did not say must stay unsaid.
        let has_content_type = request.header("Content-Type").is_some();
        request.set_body(Body::from_reader(reader, None));
        if !has_content_type {
            request.remove_header("Content-Type");
        }
        BodyHandover::Lent { back, signals }
    }

    /// Ends the connection in a way that lets the client read its answer.
    pub(super) async fn end(&self, handover: BodyHandover, client_may_send: bool) {
        let is_all_read = match &handover {
            BodyHandover::Kept(input) => input.buffer.is_empty(),
            BodyHandover::Returned(source) => source.rest() == Some(0),
            BodyHandover::Lent { .. } => false,
        };
        // A client that asked for the end, and whose request is read, sends nothing that could be in the way.
        if client_may_send || !is_all_read {
            self.linger().await;
        }
        if matches!(handover, BodyHandover::Lent { .. }) {
            self.stream.abort();
        }
    }

    /// Reads the rest of the request that was answered, and drops it. Returns the reading half, unless that
    /// takes too long.
    pub(super) async fn pass_rest(&self, handover: BodyHandover) -> Option<Input> {
        let mut source = match handover {
            BodyHandover::Kept(input) => return Some(input),
            BodyHandover::Returned(source) => source,
            BodyHandover::Lent { .. } => return None,
        };
        let too_slow = async {
            let timer = async {
                Timer::after(self.limits.drain_idle_max).await;
            };
            timer.or(self.leave_lingers()).await;
            false
        };
        let is_passed = source.skip_rest().or(too_slow);
        if is_passed.await { Some(source.into_input()) } else { None }
    }
}

impl BodyHandover {
    /// Takes the reading half back if the application is done with the body.
    pub(super) fn take_back(self) -> Self {
        match self {
            Self::Lent { back, signals } => match back.try_recv() {
                Ok(source) => Self::Returned(source),
                Err(_) => Self::Lent { back, signals },
            },
            other => other,
        }
    }

    /// Returns how many bytes of the body were read.
    pub(super) fn bytes_in(&self) -> u64 {
        match self {
            Self::Kept(_) => 0,
            Self::Lent { signals, .. } => signals.bytes_in(),
            Self::Returned(source) => source.signals().bytes_in(),
        }
    }

    /// Makes sure that no `100 Continue` comes any more, and that a body which the application still holds
    /// ends. Returns whether the connection can be used for another request.
    pub(super) fn begin_answer(&mut self, limits: &WireLimits) -> io::Result<bool> {
        match self {
            Self::Kept(_) => Ok(true),
            Self::Lent { signals, .. } => signals.end_body().map(|()| false),
            Self::Returned(source) => {
                if source.signals().awaits_continue()? {
                    return Ok(false);
                }
                source.skip_buffered();
                Ok(source.rest().is_some_and(|rest| rest <= limits.rest_size_max_bytes))
            }
        }
    }
}
