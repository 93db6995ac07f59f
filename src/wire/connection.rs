//! One connection: requests in, answers out, one after the other.

use std::future::{Future, pending};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::channel::Receiver;
use smol::future::{FutureExt, poll_once, yield_now};
use smol::{Async, Timer};
use tide::http::{Body, Method, Request, Response};

use super::body::{BodyReader, BodySource};
use super::framing::Framing;
use super::gone::gone;
use super::head::{BodyFraming, Head};
use super::head_scanner::HeadScanner;
use super::input::Input;
use super::interim::BodySignals;
use super::limits::WireLimits;
use super::linger::{Drains, linger};
use super::output::{Output, abort};
use super::patience::Patience;
use super::refusal::Refusal;
use super::reply::send;
use super::reply_head::{Reply, ReplyTo};
use super::sent::SentGuard;
use super::stop::Stop;
use crate::http::{HEALTH_PATHS, Pace};

/// How much of a head is read at first: most heads are smaller.
const HEAD_READ_SIZE_BYTES: usize = 4 * 1024;

/// How much of a request is looked at for whether it is a health check.
const CHECK_START_SIZE_BYTES: usize = 32;

/// How long a connection on which nothing is in flight may still take at a stop: for the rest of a head that
/// has begun to come, or to let the client read its answer.
const STOP_LINGER_TIME_MAX: Duration = Duration::from_millis(500);

/// How many requests of one connection may follow each other before others get their turn: a client that
/// always has the next one ready must not keep the thread for itself.
const REQUESTS_IN_A_ROW_MAX: usize = 16;

/// A connection and what it shares with the others.
pub(super) struct Connection<A> {
    pub(super) socket: Arc<Async<TcpStream>>,
    /// The client's address, as text: every request carries it.
    pub(super) peer: String,
    pub(super) app: Arc<A>,
    pub(super) limits: Arc<WireLimits>,
    pub(super) drains: Arc<Drains>,
    /// Asks the connection to end after the request in flight.
    pub(super) stop: Stop,
}

/// Why there is no (further) request.
enum NoHead {
    /// The connection is over, and nothing is owed to the client.
    Over,
    /// The client is owed a refusal.
    Refused(Refusal),
}

impl From<Refusal> for NoHead {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for NoHead {
    fn from(_: io::Error) -> Self {
        Self::Over
    }
}

/// Where the connection's reading half is while a request is answered.
enum Half {
    /// There is no body: it never left.
    Here(Input),
    /// The application reads the body from it.
    Lent { back: Receiver<BodySource>, signals: Arc<BodySignals> },
    /// It came back from there.
    Back(BodySource),
}

impl<A, F> Connection<A>
where
    A: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    /// Answers requests until either side ends the connection.
    pub(super) async fn run(self) {
        let mut input = Input::new(Arc::clone(&self.socket));
        let mut idle = Patience::new(self.limits.keep_alive_idle_max);
        let mut stopped = pin!(self.stop.wait());
        for number in 1_usize.. {
            if number.is_multiple_of(REQUESTS_IN_A_ROW_MAX) {
                yield_now().await;
            }
            match self.next_head(&mut input, &mut idle, stopped.as_mut()).await {
                Ok(head) => match self.exchange(input, head).await {
                    Some(back) => input = back,
                    None => return,
                },
                Err(NoHead::Over) => return,
                Err(NoHead::Refused(refusal)) => {
                    log::debug!("refused a request of {}: {refusal}", self.peer);
                    return self.refuse(refusal).await;
                }
            }
        }
    }

    fn output(&self) -> Output<'_> {
        let progress_time_max = self.limits.body_progress_time_max;
        Output { socket: &self.socket, progress_time_max, pace: None }
    }

    async fn linger(&self) {
        Box::pin(linger(&self.socket, &self.limits, &self.drains)).or(self.stop_lingers()).await;
    }

    /// Returns a while after a stop: clients that keep an idle connection must not hold it up.
    async fn stop_lingers(&self) {
        self.stop.wait().await;
        Timer::after(STOP_LINGER_TIME_MAX).await;
    }

    /// Answers what could not become a request, and ends the connection.
    pub(super) async fn refuse(&self, refusal: Refusal) {
        let to = ReplyTo { is_head: false, is_http_1_1: true, close: true };
        let Ok(reply) = Reply::new(refusal.response(), to) else { return };
        if send(reply, self.output(), &mut SentGuard::new(None, 0)).await.is_ok() {
            self.linger().await;
        }
    }

    /// Answers a health check, which must not fail because of others, and refuses any other request unread.
    pub(super) async fn answer_check_or_refuse(self, refusal: Refusal) {
        let mut start = [0; CHECK_START_SIZE_BYTES];
        let count = self.socket.get_ref().peek(&mut start).unwrap_or(0);
        if !is_health_check(start.get(..count).unwrap_or_default()) {
            return self.refuse(refusal).await;
        }
        let mut input = Input::new(Arc::clone(&self.socket));
        let mut idle = Patience::new(self.limits.head_time_max);
        match self.next_head(&mut input, &mut idle, pin!(self.stop.wait())).await {
            Ok(head) => {
                self.exchange(input, Head { keep_alive: false, ..head }).await;
            }
            Err(NoHead::Over) => {}
            Err(NoHead::Refused(refusal)) => self.refuse(refusal).await,
        }
    }

    /// Reads the next request's head.
    async fn next_head(
        &self,
        input: &mut Input,
        idle: &mut Patience,
        stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Head, NoHead> {
        if input.buffer.is_empty() {
            self.wait_for_first_byte(input, idle, stopped).await?;
        }
        let mut scanner = HeadScanner::default();
        let mut deadline = None;
        loop {
            let buffered = input.buffer.unread();
            if let Some(length) = scanner.scan(buffered, &self.limits)? {
                let head = Head::parse(buffered.get(..length).unwrap_or_default(), &self.limits)?;
                input.buffer.consume(length);
                return Ok(head);
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.limits.head_time_max);
            let read = async { input.fill(HEAD_READ_SIZE_BYTES).await.map_err(NoHead::from) };
            let too_slow = async {
                Timer::at(deadline).await;
                Err(NoHead::Refused(Refusal::HeadTooSlow))
            };
            let stopped = async {
                self.stop_lingers().await;
                Err(NoHead::Over)
            };
            if read.or(too_slow).or(stopped).await? == 0 {
                return Err(NoHead::Refused(Refusal::BadRequest("the request's head is cut off")));
            }
        }
    }

    /// Waits for the first bytes of a request; an idle connection holds no buffer meanwhile. `stopped` is
    /// kept over all waits of a connection, as `idle` is: what is waited for anew has to be asked for anew.
    async fn wait_for_first_byte(
        &self,
        input: &mut Input,
        idle: &mut Patience,
        stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), NoHead> {
        input.buffer.release();
        let mut read = 0;
        if !self.stop.is_triggered() {
            let readable = async {
                loop {
                    self.socket.readable().await?;
                    // The system may have been wrong: then it is waited on, with time and stop in sight.
                    match poll_once(input.fill(HEAD_READ_SIZE_BYTES)).await {
                        Some(read) => return read.map_err(NoHead::from),
                        None => input.buffer.release(),
                    }
                }
            };
            let stopped = async {
                stopped.await;
                Ok(0)
            };
            read = idle.wait(readable.or(stopped)).await.unwrap_or(Err(NoHead::Over))?;
        }
        if read == 0 && self.stop.is_triggered() {
            // What has come by the time of a stop is still answered; what has not never will be.
            read = poll_once(input.fill(HEAD_READ_SIZE_BYTES)).await.unwrap_or(Ok(0))?;
        }
        if read == 0 { Err(NoHead::Over) } else { Ok(()) }
    }

    /// Lets the application answer one request and sends the answer. Returns the reading half if the
    /// connection is kept.
    async fn exchange(&self, input: Input, head: Head) -> Option<Input> {
        let Head { mut request, framing, is_http_1_1, keep_alive, expects_continue } = head;
        let is_head = request.method() == Method::Head;
        let is_read = matches!(request.method(), Method::Get | Method::Head);
        request.set_peer_addr(Some(&self.peer));
        let half = self.attach_body(&mut request, input, framing, expects_continue);
        let is_watched = is_read && matches!(half, Half::Here(_));
        let (mut response, panicked) = self.answer(request, is_watched).await?;
        let mut half = half.take_back();
        let mut guard = SentGuard::new(response.ext_mut().remove(), half.bytes_in());
        let pace: Option<Pace> = response.ext_mut().remove();
        let Ok(reusable) = half.begin_answer(&self.limits) else {
            abort(&self.socket);
            return None;
        };
        let close = !keep_alive || !reusable || panicked || self.stop.is_triggered();
        let to = ReplyTo { is_head, is_http_1_1, close };
        let (reply, replaced) = match Reply::new(response, to) {
            Ok(reply) => (reply, false),
            Err(error) => {
                log::error!("{error}");
                (Reply::new(Refusal::Failed.response(), to).ok()?, true)
            }
        };
        let close = reply.close;
        if let Err(error) = self.send(reply, pace.as_ref(), &mut guard).await {
            log::debug!("an answer to {} was cut off: {error}", self.peer);
            abort(&self.socket);
            return None;
        }
        if replaced {
            // It was another answer that went out.
            (guard.sent.bytes_out, guard.sent.complete) = (0, false);
        }
        half = half.take_back();
        guard.sent.bytes_in = half.bytes_in();
        drop(guard);
        if close { self.end(half, keep_alive).await } else { self.pass_rest(half).await }
    }

    /// Sends an answer. What lies in memory must not lie there for as long as a client likes, nor, where
    /// others wait for its room, longer than a client of some speed takes.
    async fn send(&self, reply: Reply, pace: Option<&Pace>, guard: &mut SentGuard) -> io::Result<()> {
        let is_in_memory = reply.payload.is_in_memory();
        let too_slow = async {
            if !is_in_memory {
                pending::<()>().await;
            }
            Box::pin(self.too_slow(pace)).await;
            Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes the answer too slowly"))
        };
        send(reply, Output { pace, ..self.output() }, guard).or(too_slow).await
    }

    async fn too_slow(&self, pace: Option<&Pace>) {
        let time_max = async {
            Timer::after(self.limits.memory_body_time_max).await;
        };
        match pace {
            Some(pace) => time_max.or(pace.too_slow()).await,
            None => time_max.await,
        }
    }

    /// Gives the request its body, which takes the reading half along.
    fn attach_body(
        &self,
        request: &mut Request,
        input: Input,
        framing: BodyFraming,
        expects_continue: bool,
    ) -> Half {
        if framing == BodyFraming::None {
            return Half::Here(input);
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
        Half::Lent { back, signals }
    }

    /// Runs the application; a panic becomes an answer, and is told apart by the second value. What only
    /// reads is watched: it is not read for nobody, while what changes something goes on to its end.
    async fn answer(&self, request: Request, is_watched: bool) -> Option<(Response, bool)> {
        let is_gone = async {
            // Boxed, since most answers need no wait, and an idle connection no room for one.
            if is_watched {
                Box::pin(gone(&self.socket)).await;
            } else {
                pending::<()>().await;
            }
            None
        };
        // Made where it is given away: there is room for it, and for the request, only once.
        match AssertUnwindSafe(async { Some((self.app)(request).await) }.or(is_gone)).catch_unwind().await {
            Ok(response) => Some((response?, false)),
            Err(payload) => {
                log::error!("a panic while answering {}: {}", self.peer, panic_message(payload.as_ref()));
                Some((Refusal::Failed.response(), true))
            }
        }
    }

    /// Ends the connection in a way that lets the client read its answer.
    async fn end(&self, half: Half, client_may_send: bool) -> Option<Input> {
        let is_all_read = match half {
            Half::Here(input) => input.buffer.is_empty(),
            Half::Back(source) => source.rest() == Some(0),
            Half::Lent { back, .. } => {
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
    async fn pass_rest(&self, half: Half) -> Option<Input> {
        let mut source = match half {
            Half::Here(input) => return Some(input),
            Half::Back(source) => source,
            Half::Lent { .. } => return None,
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

impl Half {
    /// Takes the reading half back if the application is done with the body.
    fn take_back(self) -> Self {
        match self {
            Self::Lent { back, signals } => match back.try_recv() {
                Ok(source) => Self::Back(source),
                Err(_) => Self::Lent { back, signals },
            },
            other => other,
        }
    }

    fn bytes_in(&self) -> u64 {
        match self {
            Self::Here(_) => 0,
            Self::Lent { signals, .. } => signals.bytes_in(),
            Self::Back(source) => source.signals().bytes_in(),
        }
    }

    /// Forbids `100 Continue` from now on. Returns whether the connection can be used for another request.
    fn begin_answer(&mut self, limits: &WireLimits) -> io::Result<bool> {
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

/// Tells whether a request begins as one for a health check does.
fn is_health_check(start: &[u8]) -> bool {
    let path = start.strip_prefix(b"GET ").or_else(|| start.strip_prefix(b"HEAD "));
    path.is_some_and(|path| {
        HEALTH_PATHS
            .iter()
            .copied()
            .flatten()
            .any(|own| path.strip_prefix(own.as_bytes()).is_some_and(|rest| rest.first() == Some(&b' ')))
    })
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}
