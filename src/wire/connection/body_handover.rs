//! The reading half of a connection: lent to the application with a request's body, taken back, and what
//! becomes of it behind the answer.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;

use smol::Timer;
use smol::channel::Receiver;
use smol::future::FutureExt;
use tide::http::{Body, Request};

use super::exchange::Connection;
use crate::wire::limits::WireLimits;
use crate::wire::request::{BodyFraming, BodyReader, BodySignals, BodySource, Framing, Input};

/// Where the connection's reading half is while a request is answered.
pub(super) enum BodyHandover {
    /// There is no body: it never left.
    Here(Input),
    /// The application reads the body from it.
    Lent { back: Receiver<BodySource>, signals: Arc<BodySignals> },
    /// It came back from there.
    Back(BodySource),
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
            return BodyHandover::Here(input);
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
    pub(super) async fn end(&self, half: BodyHandover, client_may_send: bool) -> Option<Input> {
        let is_all_read = match half {
            BodyHandover::Here(input) => input.buffer.is_empty(),
            BodyHandover::Back(source) => source.rest() == Some(0),
            BodyHandover::Lent { back, .. } => {
                // The application still reads, beside its answer; when it does not end, its body ends
                // instead.
                let _ = self.socket.get_ref().shutdown(Shutdown::Write);
                let is_back = async { back.recv().await.is_ok() };
                let too_slow = async {
                    Timer::after(self.limits.drain_time_max).await;
                    false
                };
                if !is_back.or(too_slow).await {
                    let _ = self.socket.get_ref().shutdown(Shutdown::Read);
                    return None;
                }
                false
            }
        };
        // A client that asked for the end, and whose request is read, sends nothing that could be in the way.
        if client_may_send || !is_all_read {
            self.linger().await;
        }
        None
    }

    /// Reads over the rest of the request that was answered.
    pub(super) async fn pass_rest(&self, half: BodyHandover) -> Option<Input> {
        let mut source = match half {
            BodyHandover::Here(input) => return Some(input),
            BodyHandover::Back(source) => source,
            BodyHandover::Lent { .. } => return None,
        };
        let too_slow = async {
            let timer = async {
                Timer::after(self.limits.drain_time_max).await;
            };
            timer.or(self.stop_lingers()).await;
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
                Ok(source) => Self::Back(source),
                Err(_) => Self::Lent { back, signals },
            },
            other => other,
        }
    }

    pub(super) fn bytes_in(&self) -> u64 {
        match self {
            Self::Here(_) => 0,
            Self::Lent { signals, .. } => signals.bytes_in(),
            Self::Back(source) => source.signals().bytes_in(),
        }
    }

    /// Forbids `100 Continue` from now on. Returns whether the connection can be used for another request.
    pub(super) fn begin_answer(&mut self, limits: &WireLimits) -> io::Result<bool> {
        match self {
            Self::Here(_) => Ok(true),
            Self::Lent { signals, .. } => signals.begin_answer().map(|_| false),
            Self::Back(source) => {
                if source.signals().begin_answer()? {
                    return Ok(false);
                }
                source.skip_buffered();
                Ok(source.rest().is_some_and(|rest| rest <= limits.rest_size_max_bytes))
            }
        }
    }
}
