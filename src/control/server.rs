//! The server's end of the control socket.

mod log_stream;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_io::Async;
use smol::channel::{Receiver, Sender, bounded};
use smol::future::{or, zip};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::lock::{Semaphore, SemaphoreGuardArc};
use smol::{Executor, Task, Timer};

use crate::admin::{AdminError, AdminErrorKind, Effect, OpenStore, Request};
use crate::control::message::{
    AnswerPart, DataIdentity, EVENT_SIZE_MAX_BYTES, REQUEST_SIZE_MAX_BYTES, decode_request, encode_event,
};
use crate::control::sink::{ClientSink, stopping};
use crate::wire::SocketFile;

/// Only the owner may use the socket. Its file is made only under the lock of its data directory. Outside of
/// that directory, it may be in the way of another directory's server.
const SOCKET_MODE: u32 = 0o600;

/// How many clients may wait to be accepted.
const WAITING_MAX: i32 = 16;

/// How many clients may be connected. The next one replaces the client that has been silent for longest.
const CLIENTS_MAX: usize = 64;

/// How many requests may be in progress at once. Further ones wait.
const REQUESTS_AT_ONCE_MAX: usize = 8;

/// How many of them may be collections, of which one runs and the others wait for it. The rest of the places
/// stays for what waits for nothing, such as `pulk status`.
const COLLECTIONS_AT_ONCE_MAX: usize = 4;

/// How many clients may read the log at once. They may stay for long, and a place among the requests is taken
/// only while a page is read.
const LOG_READERS_AT_ONCE_MAX: usize = 16;

/// How long a request may take to arrive.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a client may take to accept the next line.
const WRITE_TIME_MAX: Duration = Duration::from_secs(60);

/// How much longer a client has for either after the server begins to stop.
const STOPPING_TIME_MAX: Duration = Duration::from_secs(1);

/// How long the server waits for a client.
#[derive(Debug, Clone, Copy)]
struct ClientTimeouts {
    request: Duration,
    write: Duration,
    stopping: Duration,
}

const CLIENT_TIMEOUTS: ClientTimeouts =
    ClientTimeouts { request: REQUEST_TIME_MAX, write: WRITE_TIME_MAX, stopping: STOPPING_TIME_MAX };

/// How many parts of an answer may be queued for a slow client.
const EVENTS_WAITING_MAX: usize = 64;

/// The pause after a failed accept, for example for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// The control socket of a running server, which answers until this is dropped.
#[derive(Debug)]
pub(crate) struct ControlServer {
    /// Dropped first: from then on nothing answers a client that connects.
    accepting: Task<()>,
    file: SocketFile,
    shared: Arc<ControlState>,
    /// Dropped when the server stops: that ends all waits for clients.
    closer: Sender<()>,
}

#[derive(Debug)]
struct ControlState {
    store: OpenStore,
    data: DataIdentity,
    /// Each connected client holds a permit.
    clients: Arc<Semaphore>,
    /// Each request holds a permit until its work ends.
    requests: Arc<Semaphore>,
    /// Each collection among them holds a permit.
    collections: Arc<Semaphore>,
    /// Each reader of the log holds a permit.
    log_readers: Arc<Semaphore>,
    stopping: Arc<AtomicBool>,
    timeouts: ClientTimeouts,
    /// Ends when the server stops.
    closing: Receiver<()>,
}

impl ControlServer {
    /// Makes the socket of a data directory whose lock is held, and answers on an executor.
    pub(crate) fn start(
        data: &Path,
        socket: &Path,
        store: OpenStore,
        executor: &Arc<Executor<'static>>,
    ) -> io::Result<Self> {
        Self::with(CLIENT_TIMEOUTS, (data, socket), store, executor)
    }

    fn with(
        timeouts: ClientTimeouts,
        (data, socket): (&Path, &Path),
        store: OpenStore,
        executor: &Arc<Executor<'static>>,
    ) -> io::Result<Self> {
        let data = DataIdentity::of(data)?;
        let (file, listener) = SocketFile::listen(socket, SOCKET_MODE, WAITING_MAX)?;
        let listener = Async::new(listener)?;
        let (closer, closing) = bounded(1);
        let shared = Arc::new(ControlState {
            store,
            data,
            clients: Arc::new(Semaphore::new(CLIENTS_MAX)),
            requests: Arc::new(Semaphore::new(REQUESTS_AT_ONCE_MAX)),
            log_readers: Arc::new(Semaphore::new(LOG_READERS_AT_ONCE_MAX)),
            collections: Arc::new(Semaphore::new(COLLECTIONS_AT_ONCE_MAX)),
            stopping: Arc::new(AtomicBool::new(false)),
            timeouts,
            closing,
        });
        let accepting = executor.spawn(accept(listener, Arc::clone(&shared), Arc::clone(executor)));
        Ok(Self { accepting, file, shared, closer })
    }

    /// Removes the socket, ends requests at their next step, and waits for their end.
    pub(crate) async fn stop(self) {
        let Self { accepting, file, shared, closer } = self;
        accepting.cancel().await;
        drop(file);
        shared.stopping.store(true, Ordering::SeqCst);
        drop(closer);
        let mut ended = Vec::with_capacity(REQUESTS_AT_ONCE_MAX);
        for _ in 0..REQUESTS_AT_ONCE_MAX {
            ended.push(shared.requests.acquire().await);
        }
    }
}

async fn accept(listener: Async<UnixListener>, shared: Arc<ControlState>, executor: Arc<Executor<'static>>) {
    // Clients that may not have sent a request yet, the oldest first.
    let mut silent: VecDeque<Sender<()>> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                silent.retain(|one| !one.is_closed());
                let place = match shared.clients.try_acquire_arc() {
                    Some(place) => place,
                    None => {
                        // Dropping the sender tells the client's task.
                        drop(silent.pop_front());
                        shared.clients.acquire_arc().await
                    }
                };
                let (listened, given_up) = bounded(1);
                silent.push_back(listened);
                let shared = Arc::clone(&shared);
                executor
                    .spawn(async move {
                        if let Err(error) = serve(stream, shared, given_up).await {
                            log::debug!("lost a client of the control socket: {error}");
                        }
                        drop(place);
                    })
                    .detach();
            }
            Err(error) => {
                log::warn!("cannot accept a connection at the control socket: {error}");
                Timer::after(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers one request, unless the client is replaced before it sends one.
async fn serve(
    mut stream: Async<UnixStream>,
    shared: Arc<ControlState>,
    given_up: Receiver<()>,
) -> io::Result<()> {
    let waits = Arc::clone(&shared);
    let gives_up = async {
        // Nothing is ever sent; the channel closes.
        let _ends = given_up.recv().await;
        Err(io::Error::new(io::ErrorKind::TimedOut, "replaced by a newer client before it sent a request"))
    };
    let line = waits.in_time(waits.timeouts.request, or(read_line(&mut stream), gives_up)).await?;
    drop(given_up);
    let request = match decode_request(&line, shared.data) {
        Ok(request) => request,
        Err(failure) => return waits.send(&stream, &AnswerPart::Failure(failure)).await,
    };
    if let Request::Log(log) = request {
        return shared.stream_log(&stream, log).await;
    }
    // The permit moves to the work, which may end later than this task.
    let permitted = async { Ok(waits.permit().await) };
    let leaves = async { Err(gone(&stream).await) };
    let permit = match or(permitted, leaves).await? {
        Ok(permit) => permit,
        Err(failure) => return waits.send(&stream, &AnswerPart::Failure(failure)).await,
    };
    let collection = match request.effect() {
        Effect::Collects => match shared.collections.try_acquire_arc() {
            Some(collection) => Some(collection),
            None => return waits.send(&stream, &AnswerPart::Failure(too_many_collections())).await,
        },
        Effect::Reads | Effect::Removes => None,
    };
    let (sender, events) = bounded(EVENTS_WAITING_MAX);
    let work = smol::unblock(move || {
        let mut sink = ClientSink::new(sender.clone(), Arc::clone(&shared.stopping));
        let last = match request.perform(&shared.store, &mut sink) {
            Ok(result) => AnswerPart::Result(result),
            Err(failure) => AnswerPart::Failure(failure),
        };
        drop(collection);
        // The client may have left.
        drop(sender.send_blocking(last));
        drop(permit);
    });
    // Without its receiver, work for a client that is lost ends by itself.
    let ((), sent) = zip(work, waits.forward(stream, events)).await;
    sent
}

fn too_many_collections() -> AdminError {
    let why = format!("{COLLECTIONS_AT_ONCE_MAX} collections already run or wait: try again later");
    AdminError::new(AdminErrorKind::Busy, why)
}

impl ControlState {
    /// Waits until a request may be carried out, unless the server stops.
    async fn permit(&self) -> Result<SemaphoreGuardArc, AdminError> {
        let permitted = async { Some(self.requests.acquire_arc().await) };
        let closed = async {
            let _ends = self.closing.recv().await;
            None
        };
        let permit = or(permitted, closed).await;
        // INVARIANT: the stop sets `stopping` before it takes all permits, so a later permit sees it.
        permit.filter(|_| !self.stopping.load(Ordering::SeqCst)).ok_or_else(stopping)
    }

    async fn forward(&self, stream: Async<UnixStream>, events: Receiver<AnswerPart>) -> io::Result<()> {
        let sent = async {
            while let Ok(event) = events.recv().await {
                self.send(&stream, &event).await?;
            }
            Ok(())
        };
        or(sent, async { Err(gone(&stream).await) }).await
    }

    async fn send(&self, stream: &Async<UnixStream>, event: &AnswerPart) -> io::Result<()> {
        self.send_within(self.timeouts.write, stream, event).await
    }

    async fn send_within(
        &self,
        time: Duration,
        mut stream: &Async<UnixStream>,
        event: &AnswerPart,
    ) -> io::Result<()> {
        let mut line = encode_event(event)?;
        if line.len() > EVENT_SIZE_MAX_BYTES {
            line = encode_event(&AnswerPart::Failure(AdminError::failed("the answer is too long")))?;
        }
        self.in_time(time, stream.write_all(&line)).await
    }

    /// Waits for a client no longer than this, and not much longer once the server stops.
    async fn in_time<T>(&self, time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let closed = async {
            // Nothing is ever sent; the channel closes.
            let _ends = self.closing.recv().await;
            Timer::after(self.timeouts.stopping).await;
        };
        let late = async {
            let timer = async {
                Timer::after(time).await;
            };
            or(timer, closed).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        or(work, late).await
    }
}

/// Waits until the client leaves, and returns why. A client sends nothing after its request.
async fn gone(mut stream: &Async<UnixStream>) -> io::Error {
    let mut ignored = [0; 64];
    loop {
        match stream.read(&mut ignored).await {
            Ok(0) => return io::ErrorKind::BrokenPipe.into(),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

/// Reads up to a line feed, at most the size of a request.
async fn read_line(stream: &mut Async<UnixStream>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let read = stream.read(&mut buffer).await?;
        let piece = buffer.get(..read).unwrap_or_default();
        if let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            line.extend_from_slice(piece.get(..end).unwrap_or_default());
            return Ok(line);
        }
        line.extend_from_slice(piece);
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.len() > REQUEST_SIZE_MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the request is too long"));
        }
    }
}
