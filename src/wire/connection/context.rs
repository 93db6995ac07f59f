//! A connection, and what it shares with the others.

use std::sync::Arc;
use std::time::Duration;

use smol::Timer;
use smol::future::FutureExt;

use super::linger::linger;
use super::stop::Stop;
use crate::wire::limits::WireLimits;
use crate::wire::rejection::Rejection;
use crate::wire::response::{Output, Reply, ReplyTo, SentGuard, send};
use crate::wire::stream::Stream;

/// How long a connection on which nothing is in flight may still take at a stop: for the rest of a head that
/// has begun to come, or to let the client read its answer.
const STOP_LINGER_TIME_MAX: Duration = Duration::from_millis(500);

/// A connection and what it shares with the others.
pub(in crate::wire) struct Connection<A> {
    pub(in crate::wire) stream: Arc<dyn Stream>,
    /// The client's address, as text: every request carries it.
    pub(in crate::wire) peer: String,
    pub(in crate::wire) app: Arc<A>,
    pub(in crate::wire) limits: Arc<WireLimits>,
    /// The paths of the application's health checks.
    pub(in crate::wire) health_paths: Arc<[&'static str]>,
    /// Asks the connection to end after the request in flight.
    pub(in crate::wire) stop: Stop,
}

impl<A> Connection<A> {
    /// Returns the writing half.
    pub(super) fn output(&self) -> Output<'_> {
        let progress_time_max = self.limits.body_progress_time_max;
        Output { stream: &self.stream, progress_time_max, pace: None }
    }

    /// Ends the connection in a way that lets the client read its answer.
    pub(super) async fn linger(&self) {
        Box::pin(linger(&*self.stream, &self.limits)).or(self.stop_lingers()).await;
    }

    /// Returns a while after a stop: clients that keep an idle connection must not hold it up.
    pub(super) async fn stop_lingers(&self) {
        self.stop.wait().await;
        Timer::after(STOP_LINGER_TIME_MAX).await;
    }

    /// Answers what could not become a request, and ends the connection.
    pub(super) async fn refuse(&self, rejection: Rejection) {
        let to = ReplyTo { is_head: false, is_http_1_1: true, close: true };
        let Ok(reply) = Reply::new(rejection.response(), to) else { return };
        if send(reply, self.output(), &mut SentGuard::new(None, 0)).await.is_ok() {
            self.linger().await;
        }
    }
}
