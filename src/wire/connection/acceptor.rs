//! Accepting on several listeners, and stopping gracefully.

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use smol::future::{FutureExt, yield_now};
use smol::{Executor, Timer};
use tide::http::{Request, Response};

use super::admission::{Admission, Admitted};
use super::context::Connection;
use super::listener::{Accepted, Listener};
use super::stop::Stop;
use crate::base::ClientAddress;
use crate::wire::admission::Place;
use crate::wire::limits::WireLimits;
use crate::wire::refusals::{RefusalReason, Refusals};
use crate::wire::rejection::Rejection;

/// How long accepting pauses after an error, such as when no descriptors are left.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How long a connection over the limit may take to send its request and read its refusal.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(1);

/// How long connections that were cut off at the end of a stop may take to end.
const CUT_OFF_TIME_MAX: Duration = Duration::from_secs(1);

/// How listeners are served.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// What clients may do.
    pub limits: WireLimits,
    /// The paths of the application's health checks, which are answered even over the limit of connections.
    pub health_paths: Vec<&'static str>,
    /// How long requests in flight may take to end after a stop.
    pub stop_time_max: Duration,
    /// Counts what is refused.
    pub(crate) refusals: Arc<Refusals>,
}

/// Accepts connections on all of `listeners` and lets `app` answer their requests, until `stop` is given.
///
/// Then no connection is accepted any more, idle ones are closed, and requests in flight are answered with
/// `Connection: close`. What has not ended after `stop_time_max` is cut off. A panic in `app` is answered
/// 500. A client that goes away does not end the work on its request, unless that was GET or HEAD.
pub async fn serve<A, F>(
    listeners: Vec<Listener>,
    app: A,
    options: ServeOptions,
    executor: Arc<Executor<'static>>,
    stop: Stop,
) where
    A: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let ServeOptions { limits, health_paths, stop_time_max, refusals } = options;
    let server = Arc::new(Acceptor {
        app: Arc::new(app),
        admission: Admission::new(&limits),
        limits: Arc::new(limits),
        health_paths: health_paths.into(),
        executor: Arc::clone(&executor),
        stop,
        refusals,
    });
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            let server = Arc::clone(&server);
            executor.spawn(async move { server.accept_on(listener).await })
        })
        .collect();
    server.stop.wait().await;
    for listener in accepting {
        // From then on the system refuses connections.
        listener.await;
    }
    server.drain(stop_time_max).await;
}
/// What all connections share, whichever listener they came by.
struct Acceptor<A> {
    app: Arc<A>,
    limits: Arc<WireLimits>,
    health_paths: Arc<[&'static str]>,
    executor: Arc<Executor<'static>>,
    stop: Stop,
    admission: Admission,
    refusals: Arc<Refusals>,
}

impl<A, F> Acceptor<A>
where
    A: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    /// Accepts connections until the stop.
    async fn accept_on(&self, listener: Listener) {
        while !self.stop.is_triggered() {
            let accepted = async { Some(listener.accept().await) };
            let stopped = async {
                self.stop.wait().await;
                None
            };
            match accepted.or(stopped).await {
                Some(Ok(accepted)) => {
                    self.admit(accepted);
                    // Many new connections must not starve those that are served.
                    yield_now().await;
                }
                Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Some(Err(error)) => {
                    log::warn!("cannot accept a connection: {error}");
                    Timer::after(ACCEPT_REST).await;
                }
                None => break,
            }
        }
    }

    fn admit(&self, accepted: Accepted) {
        let Accepted { stream, address, peer } = accepted;
        let (place, rejection) = match self.admission.admit(address) {
            Admitted::Served(place) => (place, None),
            Admitted::Refused(place, rejection) => (place, Some(rejection)),
            Admitted::Closed => {
                let reason = RefusalReason { label: "too_many_refusals", status: None };
                let why = "there are too many connections, and too many refusals";
                return self.refusals.note(reason, &peer, why);
            }
        };
        let connection = Connection {
            stream,
            holder: Arc::clone(place.holder()),
            peer: peer.clone(),
            app: Arc::clone(&self.app),
            limits: Arc::clone(&self.limits),
            health_paths: Arc::clone(&self.health_paths),
            stop: self.stop.clone(),
            refusals: Arc::clone(&self.refusals),
        };
        match rejection {
            None => self.spawn(place, connection.run(), peer),
            Some(rejection) => self.spawn(place, refuse(connection, rejection), peer),
        }
    }

    fn spawn(
        &self,
        place: Place<ClientAddress>,
        work: impl Future<Output = ()> + Send + 'static,
        peer: String,
    ) {
        let holder = Arc::clone(place.holder());
        // Boxed, since a future that awaits another one which was given to it has room for it twice.
        let work = Box::pin(work);
        let work = async move {
            let work = AssertUnwindSafe(work.or(async move { holder.cut_off().await })).catch_unwind();
            if work.await.is_err() {
                log::error!("sending an answer to {peer} panicked");
            }
            drop(place);
        };
        self.executor.spawn(work).detach();
    }

    /// Waits for the connections to end, and closes the rest.
    async fn drain(&self, time_max: Duration) {
        let timer = async {
            Timer::after(time_max).await;
        };
        self.admission.none().or(timer).await;
        let left = self.admission.served();
        if left > 0 {
            log::warn!("cutting off {left} connections whose requests did not end in time");
        }
        self.admission.cut_off_all();
        let timer = async {
            Timer::after(CUT_OFF_TIME_MAX).await;
        };
        self.admission.none_served().or(timer).await;
    }
}

/// Refuses a connection, unless its request is a health check, within [`REFUSAL_TIME_MAX`].
async fn refuse<A, F>(connection: Connection<A>, rejection: Rejection)
where
    A: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let too_slow = async {
        Timer::after(REFUSAL_TIME_MAX).await;
    };
    connection.answer_check_or_refuse(rejection).or(too_slow).await;
}
