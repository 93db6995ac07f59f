//! A connection, and what it shares with the others.

use std::sync::Arc;
use std::time::Duration;

use smol::Timer;
use smol::future::FutureExt;

use super::linger::linger;
use super::stop::Stop;
use crate::wire::admission::Holder;
use crate::wire::limits::WireLimits;
use crate::wire::refusals::{RefusalReason, Refusals};
use crate::wire::rejection::Rejection;
use crate::wire::response::{Output, Reply, ReplyTo, SentGuard, send};
use crate::wire::stream::Stream;

/// How long a connection on which nothing is in flight may still take when it is asked to end: for the rest
/// of a head that has begun to come, or to let the client read its answer.
const LEAVE_LINGER_TIME_MAX: Duration = Duration::from_millis(500);

/// A connection and what it shares with the others.
pub(in crate::wire) struct Connection<A> {
    pub(in crate::wire) stream: Arc<dyn Stream>,
    /// Holds its place.
    pub(in crate::wire) holder: Arc<Holder>,
    /// The client's address, as text: every request carries it.
    pub(in crate::wire) peer: String,
    pub(in crate::wire) app: Arc<A>,
    pub(in crate::wire) limits: Arc<WireLimits>,
    /// The paths of the application's health checks.
    pub(in crate::wire) health_paths: Arc<[&'static str]>,
    /// Asks the connection to end after the request in flight.
    pub(in crate::wire) stop: Stop,
    /// Counts what is refused.
    pub(in crate::wire) refusals: Arc<Refusals>,
}

impl<A> Connection<A> {
    /// Returns the writing half.
    pub(super) fn output(&self) -> Output<'_> {
        let progress_time_max = self.limits.body_progress_time_max;
        Output { stream: &self.stream, progress_time_max, holder: &self.holder, body_holder: None }
    }

    /// Ends the connection in a way that lets the client read its answer.
    pub(super) async fn linger(&self) {
        Box::pin(linger(&*self.stream, &self.holder, &self.limits)).or(self.leave_lingers()).await;
    }

    /// Waits until the connection is asked to end: by a stop, or because its place is another one's.
    pub(super) async fn asked_to_end(&self) {
        self.stop.wait().or(self.holder.displaced()).await;
    }

    /// Tells whether it is asked to end.
    pub(super) fn is_asked_to_end(&self) -> bool {
        self.stop.is_triggered() || self.holder.is_displaced()
    }

    /// Returns a while after a stop: a head that has begun to come may still do so.
    pub(super) async fn stop_lingers(&self) {
        self.stop.wait().await;
        Timer::after(LEAVE_LINGER_TIME_MAX).await;
    }

    /// Returns a while after the connection was asked to end: no client must hold up a stop, or a place.
    pub(super) async fn leave_lingers(&self) {
        self.asked_to_end().await;
        Timer::after(LEAVE_LINGER_TIME_MAX).await;
    }

    /// Answers what could not become a request, and ends the connection.
    pub(super) async fn refuse(&self, rejection: Rejection) {
        self.refusals.note(rejection.reason(), &self.peer, &rejection.to_string());
        let to = ReplyTo { is_head: false, is_http_1_1: true, close: true };
        let Ok(reply) = Reply::new(rejection.response(), to) else { return };
        if send(reply, self.output(), &mut SentGuard::new(None, 0)).await.is_ok() {
            self.linger().await;
        }
    }
}

/// Counts the refusal of a client that is never answered, when this is dropped: because nothing came of its
/// request in time, because it left, or because its place was another one's.
pub(super) struct SilentRefusal<'a> {
    pub(super) refusals: &'a Refusals,
    pub(super) peer: &'a str,
    pub(super) rejection: Rejection,
}

impl SilentRefusal<'_> {
    /// Ends with the client being answered.
    pub(super) fn end(self) {
        std::mem::forget(self);
    }
}

impl Drop for SilentRefusal<'_> {
    fn drop(&mut self) {
        let reason = RefusalReason { status: None, ..self.rejection.reason() };
        self.refusals.note(reason, self.peer, &self.rejection.to_string());
    }
}
