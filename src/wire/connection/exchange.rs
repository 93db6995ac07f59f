//! One connection: requests in, answers out, one after the other.

use std::future::{Future, pending};
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use smol::Timer;
use smol::future::{FutureExt, yield_now};
use tide::http::{Method, Request, Response};

use super::body_handover::BodyHandover;
use super::context::{Connection, SilentRefusal};
use super::next_head::NoHead;
use super::peer_reset::reset;
use crate::wire::contract::BodyPlace;
use crate::wire::idle_timeout::IdleTimeout;
use crate::wire::rejection::Rejection;
use crate::wire::request::{Input, RequestHead};
use crate::wire::response::{Output, Reply, ReplyTo, SentGuard, send};

/// How many bytes of a request are peeked at to recognise a health check.
const CHECK_START_SIZE_BYTES: usize = 32;

/// How many requests of one connection are answered in a row before it yields: a client that always has the
/// next one ready must not keep the thread.
const REQUESTS_IN_A_ROW_MAX: usize = 16;

impl<A, F> Connection<A>
where
    A: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    /// Answers requests until either side ends the connection.
    pub(in crate::wire) async fn run(self) {
        let mut input = Input::new(Arc::clone(&self.stream), Arc::clone(&self.holder));
        let mut idle = IdleTimeout::new(self.limits.keep_alive_idle_max);
        let mut asked_to_end = pin!(self.asked_to_end());
        for number in 1_usize.. {
            if number.is_multiple_of(REQUESTS_IN_A_ROW_MAX) {
                yield_now().await;
            }
            match self.next_head(&mut input, &mut idle, asked_to_end.as_mut()).await {
                // Boxed, so that an idle connection, as most are, does not hold the memory of an exchange.
                Ok(head) => match Box::pin(self.exchange(input, head)).await {
                    Some(back) => input = back,
                    None => return,
                },
                Err(NoHead::Over) => return,
                Err(NoHead::Refused(rejection)) => return Box::pin(self.refuse(rejection)).await,
            }
        }
    }

    /// Answers a health check, which must not fail because of other clients, and rejects any other request
    /// unread. Waits for a request first, since an answer without one would confuse clients.
    pub(super) async fn answer_check_or_refuse(self, rejection: Rejection) {
        let silence = SilentRefusal { refusals: &self.refusals, peer: &self.peer, rejection };
        let mut start = [0; CHECK_START_SIZE_BYTES];
        let begun = async { self.stream.wait_and_peek(&mut start).await.ok() };
        let displaced = async {
            self.holder.displaced().await;
            None
        };
        let Some(count) = begun.or(displaced).await else { return };
        self.holder.activity.busy();
        if !is_health_check(start.get(..count).unwrap_or_default(), &self.health_paths) {
            silence.end();
            return self.refuse(rejection).await;
        }
        let mut input = Input::new(Arc::clone(&self.stream), Arc::clone(&self.holder));
        let mut idle = IdleTimeout::new(self.limits.head_time_max);
        match self.next_head(&mut input, &mut idle, pin!(self.asked_to_end())).await {
            Ok(head) => {
                silence.end();
                self.exchange(input, RequestHead { keep_alive: false, ..head }).await;
            }
            Err(NoHead::Over) => {}
            Err(NoHead::Refused(rejection)) => {
                silence.end();
                self.refuse(rejection).await;
            }
        }
    }

    /// Lets the application answer one request and sends the answer. Returns the reading half if the
    /// connection is kept.
    async fn exchange(&self, input: Input, head: RequestHead) -> Option<Input> {
        self.holder.activity.busy();
        let RequestHead { mut request, framing, is_http_1_1, keep_alive, expects_continue } = head;
        let is_head = request.method() == Method::Head;
        let is_read = matches!(request.method(), Method::Get | Method::Head);
        request.set_peer_addr(Some(&self.peer));
        let handover = self.attach_body(&mut request, input, framing, expects_continue);
        let is_watched = is_read && matches!(handover, BodyHandover::Kept(_));
        let (mut response, panicked) = self.answer(request, is_watched).await?;
        let mut handover = handover.take_back();
        let mut guard = SentGuard::new(response.ext_mut().remove(), handover.bytes_in());
        let body_place: Option<BodyPlace> = response.ext_mut().remove();
        let Ok(reusable) = handover.begin_answer(&self.limits) else {
            self.stream.abort();
            return None;
        };
        guard.sent.bytes_in = handover.bytes_in();
        let close = !keep_alive || !reusable || panicked || self.is_asked_to_end();
        let to = ReplyTo { is_head, is_http_1_1, close };
        let (reply, replaced) = match Reply::new(response, to) {
            Ok(reply) => (reply, false),
            Err(error) => {
                log::error!("{error}");
                (Reply::new(Rejection::Failed.response(), to).ok()?, true)
            }
        };
        let close = reply.close;
        if let Err(error) = self.send(reply, body_place.as_ref(), &mut guard).await {
            log::debug!("cut off an answer to {}: {error}", self.peer);
            self.stream.abort();
            return None;
        }
        if replaced {
            // The application's answer was not sent.
            (guard.sent.bytes_out, guard.sent.complete) = (0, false);
        }
        drop(guard);
        if !close {
            return self.pass_rest(handover).await;
        }
        self.end(handover, keep_alive).await;
        None
    }

    /// Sends an answer. One from memory must be sent within `memory_body_time_max`.
    async fn send(
        &self,
        reply: Reply,
        body_place: Option<&BodyPlace>,
        guard: &mut SentGuard,
    ) -> io::Result<()> {
        let is_in_memory = reply.payload.is_in_memory();
        let too_slow = async {
            if !is_in_memory {
                pending::<()>().await;
            }
            Timer::after(self.limits.memory_body_time_max).await;
            Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads the answer too slowly"))
        };
        let output = Output { body_holder: body_place.map(|place| &*place.0), ..self.output() };
        send(reply, output, guard).or(too_slow).await
    }

    /// Runs the application; a panic becomes an answer, and the second value is true. A watched request is
    /// cancelled when its client resets the connection; a request that changes something runs to its end.
    async fn answer(&self, request: Request, is_watched: bool) -> Option<(Response, bool)> {
        let is_gone = async {
            // Boxed, since most answers need no wait.
            if is_watched {
                Box::pin(reset(&*self.stream)).await;
            } else {
                pending::<()>().await;
            }
            None
        };
        // Made in place: the future and the request exist only once.
        match AssertUnwindSafe(async { Some((self.app)(request).await) }.or(is_gone)).catch_unwind().await {
            Ok(response) => Some((response?, false)),
            Err(payload) => {
                log::error!(
                    "the handler of a request of {} panicked: {}",
                    self.peer,
                    panic_message(payload.as_ref())
                );
                Some((Rejection::Failed.response(), true))
            }
        }
    }
}

/// Returns whether a request begins like a health check.
fn is_health_check(start: &[u8], health_paths: &[&str]) -> bool {
    let path = start.strip_prefix(b"GET ").or_else(|| start.strip_prefix(b"HEAD "));
    path.is_some_and(|path| {
        health_paths
            .iter()
            .any(|own| path.strip_prefix(own.as_bytes()).is_some_and(|rest| rest.first() == Some(&b' ')))
    })
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}
