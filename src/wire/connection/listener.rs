//! Listening, accepting, and stopping gracefully.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use smol::future::{FutureExt, yield_now};
use smol::{Async, Executor, Timer};
use tide::http::{Request, Response};

use super::admission::{Admission, Admitted};
use super::context::Connection;
use super::stop::Stop;
use crate::base::ClientAddress;
use crate::wire::admission::Place;
use crate::wire::limits::WireLimits;
use crate::wire::refusals::{RefusalReason, Refusals};
use crate::wire::rejection::Rejection;
use crate::wire::stream::PlainStream;

/// How many connections may wait in the system to be accepted.
const ACCEPT_QUEUE_LENGTH: i32 = 1024;

/// How long accepting pauses after an error, such as when no descriptors are left.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How long a connection over the limit may take to send its request and read its refusal.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(1);

/// How long connections that were cut off at the end of a stop may take to end.
const CUT_OFF_TIME_MAX: Duration = Duration::from_secs(1);

/// Why an address can't be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// It is not an address, or names a host that is not known.
    #[error("cannot resolve the address {address:?}: {source}")]
    Unresolvable {
        /// The address as it was given.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Something else listens there.
    #[error("the address {address} is already in use")]
    PortTaken {
        /// The address as it was given.
        address: String,
    },
    /// The system does not allow it, as with ports below 1024.
    #[error("listening on {address} is not allowed")]
    NotAllowed {
        /// The address as it was given.
        address: String,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address as it was given.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// A bound socket that accepts connections.
#[derive(Debug)]
pub struct Listener {
    socket: Async<TcpListener>,
    local_addr: SocketAddr,
}

impl Listener {
    /// Binds `address` (`host:port`, IPv6 in brackets); with port 0 the system chooses one.
    pub fn bind(address: &str) -> Result<Self, BindError> {
        let addresses: Vec<SocketAddr> = address
            .to_socket_addrs()
            .map_err(|source| BindError::Unresolvable { address: address.to_owned(), source })?
            .collect();
        let listen = || {
            let socket = TcpListener::bind(addresses.as_slice())?;
            // The standard library's queue is short; a second call sets its length.
            rustix::net::listen(&socket, ACCEPT_QUEUE_LENGTH)?;
            let local_addr = socket.local_addr()?;
            Ok(Self { socket: Async::new(socket)?, local_addr })
        };
        listen().map_err(|source: io::Error| {
            let address = address.to_owned();
            match source.kind() {
                io::ErrorKind::AddrInUse => BindError::PortTaken { address },
                io::ErrorKind::PermissionDenied => BindError::NotAllowed { address },
                _ => BindError::Other { address, source },
            }
        })
    }

    /// Returns the address that is listened on, with the port that the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

/// How one listener is served.
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

/// Accepts connections and lets `app` answer their requests, until `stop` is given.
///
/// Then no connection is accepted any more, idle ones are closed, and requests in flight are answered with
/// `Connection: close`. What has not ended after `stop_time_max` is cut off. A panic in `app` is answered
/// 500. A client that goes away does not end the work on its request, unless that was GET or HEAD.
pub async fn serve<A, F>(
    listener: Listener,
    app: A,
    options: ServeOptions,
    executor: Arc<Executor<'static>>,
    stop: Stop,
) where
    A: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let ServeOptions { limits, health_paths, stop_time_max, refusals } = options;
    let server = Acceptor {
        app: Arc::new(app),
        admission: Admission::new(&limits),
        limits: Arc::new(limits),
        health_paths: health_paths.into(),
        executor,
        stop,
        refusals,
    };
    while !server.stop.is_triggered() {
        let accepted = async { Some(listener.socket.accept().await) };
        let stopped = async {
            server.stop.wait().await;
            None
        };
        match accepted.or(stopped).await {
            Some(Ok((socket, peer))) => {
                server.admit(socket, peer);
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
    // From now on the system refuses connections.
    drop(listener);
    server.drain(stop_time_max).await;
}

/// What all connections of one listener share.
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
    fn admit(&self, socket: Async<TcpStream>, peer: SocketAddr) {
        let (place, rejection) = match self.admission.admit(peer.ip()) {
            Admitted::Served(place) => (place, None),
            Admitted::Refused(place, rejection) => (place, Some(rejection)),
            Admitted::Closed => {
                let reason = RefusalReason { label: "too_many_refusals", status: None };
                let why = "there are too many connections, and too many refusals";
                return self.refusals.note(reason, &peer.to_string(), why);
            }
        };
        let connection = Connection {
            stream: Arc::new(PlainStream::new(socket)),
            holder: Arc::clone(place.holder()),
            peer: peer.to_string(),
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
        peer: SocketAddr,
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
