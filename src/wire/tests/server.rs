//! A server with an application of a few paths, and a client that speaks raw bytes.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use smol::Executor;
use smol::io::AsyncReadExt;
use tide::http::{Body, Request, Response, StatusCode};

use crate::wire::{BoundAddress, Listener, OnSent, RawTarget, Sent, ServeOptions, Stop, WireLimits, serve};

/// No test takes this long unless it hangs.
const HANG_TIME: Duration = Duration::from_secs(30);

/// The paths that the application's health checks have.
const HEALTH_PATHS: [&str; 3] = ["/livez", "/readyz", "/healthz"];

/// A running server; dropping it stops it.
pub(super) struct TestServer {
    pub(super) address: SocketAddr,
    pub(super) stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl TestServer {
    /// Serves [`answer`] with the default limits.
    pub(super) fn start() -> Self {
        Self::with(WireLimits::default(), answer)
    }

    pub(super) fn with<A, F>(limits: WireLimits, app: A) -> Self
    where
        A: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        Self::with_stop_time(limits, app, HANG_TIME)
    }

    pub(super) fn with_stop_time<A, F>(limits: WireLimits, app: A, stop_time_max: Duration) -> Self
    where
        A: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
        let &BoundAddress::Tcp(address) = listener[0].address() else { panic!("no port") };
        let stop = Stop::new();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let executor = Arc::new(Executor::new());
            let health_paths = HEALTH_PATHS.to_vec();
            let options = ServeOptions { limits, health_paths, stop_time_max, refusals: Arc::default() };
            let served = serve(listener, app, options, Arc::clone(&executor), stopped);
            smol::block_on(executor.run(served));
        });
        Self { address, stop, thread: Some(thread) }
    }

    pub(super) fn connect(&self) -> Client {
        Client::over(TcpStream::connect(self.address).unwrap())
    }

    /// Sends `request` on a connection of its own, and returns all that came back until the end.
    pub(super) fn ask(&self, request: impl AsRef<[u8]>) -> String {
        let mut client = self.connect();
        client.send(request);
        client.rest()
    }

    /// Waits for the server to end by itself, and fails if it hangs.
    pub(super) fn join(&mut self) {
        let (ended, end) = std::sync::mpsc::channel();
        let thread = self.thread.take().unwrap();
        std::thread::spawn(move || ended.send(thread.join().is_ok()));
        assert!(end.recv_timeout(HANG_TIME).expect("the server hangs"), "the server panicked");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.trigger();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Returns a header's value; the names are compared as they are written.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(start.as_str()))
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub(super) struct Client {
    pub(super) socket: TcpStream,
    ahead: Vec<u8>,
}

impl Client {
    pub(super) fn over(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(HANG_TIME)).unwrap();
        socket.set_write_timeout(Some(HANG_TIME)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self::of(socket)
    }

    pub(super) fn of(socket: TcpStream) -> Self {
        Self { socket, ahead: Vec::new() }
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends a GET of HTTP/1.1 and reads its answer.
    pub(super) fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        self.answer()
    }

    fn more(&mut self) -> usize {
        let mut buffer = [0; 65536];
        let count = self.socket.read(&mut buffer).unwrap();
        self.ahead.extend_from_slice(&buffer[..count]);
        count
    }

    /// Reads up to the end of a head.
    pub(super) fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = self.ahead.split_off(end + 4);
                let head = std::mem::replace(&mut self.ahead, rest);
                return String::from_utf8(head).unwrap();
            }
            assert_ne!(self.more(), 0, "the connection ended in a head: {:?}", self.ahead);
        }
    }

    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.ahead.len() < count {
            assert_ne!(self.more(), 0, "the connection ended {} bytes early", count - self.ahead.len());
        }
        let rest = self.ahead.split_off(count);
        std::mem::replace(&mut self.ahead, rest)
    }

    /// Reads an answer whose body has a length.
    pub(super) fn answer(&mut self) -> Answer {
        let head = self.head();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        let length = answer.header("Content-Length").expect("a length").parse().unwrap();
        answer.body = self.bytes(length);
        answer
    }

    /// Reads until the server ends the connection.
    pub(super) fn rest(&mut self) -> String {
        while self.more() > 0 {}
        String::from_utf8(std::mem::take(&mut self.ahead)).unwrap()
    }

    /// Returns whether the connection has ended with nothing left to read.
    pub(super) fn has_ended(&mut self) -> bool {
        self.ahead.is_empty() && matches!(self.socket.read(&mut [0; 1]), Ok(0))
    }
}

/// The application of these tests.
pub(super) async fn answer(mut request: Request) -> Response {
    let target = request.ext().get::<RawTarget>().unwrap().clone();
    let mut response = Response::new(StatusCode::Ok);
    match target.path() {
        "/hello" => response.set_body("hello"),
        "/target" => response.set_body(target.as_str()),
        "/url" => response.set_body(request.url().as_str()),
        "/peer" => response.set_body(request.peer_addr().unwrap().to_owned()),
        "/content-type" => {
            let said = request.header("Content-Type").map(|values| values.last().as_str().to_owned());
            response.set_body(format!("{said:?}"));
        }
        "/length" => {
            // A length that no body of `http_types` could have on a machine of 32 bits.
            response.insert_header("Content-Length", "5368709120");
        }
        "/echo" => match request.body_bytes().await {
            Ok(bytes) => response.set_body(bytes),
            Err(error) => {
                response.set_status(StatusCode::BadRequest);
                response.set_body(format!("failed: {error}"));
            }
        },
        "/first" => {
            let mut first = vec![0; 5];
            request.read_exact(&mut first).await.unwrap();
            response.set_body(first);
        }
        "/ignore" => {
            response.set_status(StatusCode::Forbidden);
            response.set_body("no");
        }
        "/panic" => panic!("as asked"),
        "/stream" => response.set_body(Body::from_reader(smol::io::Cursor::new("streamed"), None)),
        "/large" => response.set_body(vec![b'x'; 300_000]),
        "/no-content" => response.set_status(StatusCode::NoContent),
        "/not-modified" => response.set_status(StatusCode::NotModified),
        "/close" => {
            response.insert_header("Connection", "close");
            response.set_body("last");
        }
        "/bad-header" => {
            response.insert_header("Location", "/a\r\nInjected: yes");
            response.set_body("body");
        }
        "/short" => {
            response.insert_header("Content-Length", "100");
            response.set_body(Body::from_reader(smol::io::Cursor::new("short"), None));
        }
        path => response.set_status(status_of(path).unwrap_or(StatusCode::NotFound)),
    }
    response
}

/// Returns the status that `/status/NUMBER` wants.
fn status_of(path: &str) -> Option<StatusCode> {
    path.strip_prefix("/status/")?.parse::<u16>().ok()?.try_into().ok()
}

/// Keeps the reports of [`OnSent`].
#[derive(Clone, Default)]
pub(super) struct Told(Arc<(Mutex<Vec<Sent>>, std::sync::Condvar)>);

impl Told {
    pub(super) fn on_sent(&self) -> OnSent {
        let told = self.clone();
        OnSent(Box::new(move |sent| {
            told.0.0.lock().unwrap().push(sent);
            told.0.1.notify_all();
        }))
    }

    /// Waits for `count` reports, and returns all of them: an answer can arrive before its report.
    pub(super) fn wait(&self, count: usize) -> Vec<Sent> {
        let reports = self.0.0.lock().unwrap();
        let is_missing = |reports: &mut Vec<Sent>| reports.len() < count;
        let (reports, _) = self.0.1.wait_timeout_while(reports, HANG_TIME, is_missing).unwrap();
        reports.clone()
    }

    /// Returns the reports there are.
    pub(super) fn all(&self) -> Vec<Sent> {
        self.0.0.lock().unwrap().clone()
    }
}
