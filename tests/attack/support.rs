//! The program under attack, the resources it holds, and a client that sends anything.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// No test takes this long unless it hangs.
const HANG_TIME: Duration = Duration::from_secs(30);

/// How often a count is read until it is as expected, and the pause in between.
const LOOKS_MAX: usize = 1_500;
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// How many threads there are for the disk at most: one for each permit, one for work without, and one for
/// long manifests. Threads stay once started; one thread too many for each of hundreds of clients would show.
const DISK_THREADS_MAX: usize = 2 * 16 + 2;

/// A running `pulk serve` with its own data, killed when dropped.
pub struct Victim {
    child: Child,
    /// Kept open, so that the program can write its log.
    _log: BufReader<ChildStderr>,
    pub address: SocketAddr,
    folder: TempDir,
}

/// The resources that the program holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub descriptors: usize,
    pub threads: usize,
    pub uploads: u64,
    pub requests: u64,
}

impl Victim {
    /// Starts it with these lines under `[limits]`.
    pub fn start(limits: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("pulk.toml");
        fs::write(&config, format!("[limits]\n{limits}\n")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pulk"));
        command.arg("serve").arg("--config").arg(&config).arg("--data").arg(folder.path().join("data"));
        command.args(["--listen", "127.0.0.1:0", "--log", "warn,pulk::cli=info"]);
        command.env_remove("PULK_EPHEMERAL").stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("pulk listening on http://") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it never listened");
        }
        let address = line.trim_end().split_once("http://").unwrap().1.parse().unwrap();
        Self { child, _log: log, address, folder }
    }

    pub fn connect(&self) -> Client {
        Client::over(TcpStream::connect(self.address).unwrap())
    }

    /// Connects from another address of the loopback network.
    pub fn connect_from(&self, last: u8) -> Client {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let other = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&other, &SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
        connect(&other, &self.address).unwrap();
        Client::over(TcpStream::from(other))
    }

    /// Sends on a new connection, closes its sending side, and returns everything received.
    pub fn ask(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.connect();
        client.send(bytes);
        client.end_sending();
        client.rest()
    }

    /// Sends on a new connection that the server closes, and returns everything received.
    pub fn provoke(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.connect();
        client.send(bytes);
        client.rest()
    }

    /// Pushes a blob of `length` bytes and returns its path.
    pub fn push_blob(&self, length: usize) -> String {
        let content = vec![b'x'; length];
        let session = self.begin();
        let mut client = self.connect();
        // A wrong digest makes the answer name the right one.
        client.send(format!(
            "PUT {session}?digest=sha256:{} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n",
            "0".repeat(64)
        ));
        client.send(&content);
        let told = client.answer().text;
        let digest = told.split("digest is ").nth(1).unwrap().split(',').next().unwrap().to_owned();
        client.send(format!(
            "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: a\r\n\
             Content-Length: {length}\r\n\r\n"
        ));
        client.send(&content);
        assert_eq!(client.answer().status, 201);
        format!("/v2/a/blobs/{digest}")
    }

    /// Pushes a manifest of about `length` bytes and returns its content.
    pub fn push_manifest(&self, tag: &str, length: usize) -> String {
        let blob = self.push_blob(2);
        let digest = blob.rsplit('/').next().unwrap();
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"{media_type}\",\"config\":{{\"mediaType\":\"a/b\",\
             \"digest\":\"{digest}\",\"size\":2}},\"layers\":[],\"annotations\":{{\"{tag}\":\"{}\"}}}}",
            "x".repeat(length)
        );
        let mut client = self.connect();
        client.send(format!(
            "PUT /v2/a/manifests/{tag} HTTP/1.1\r\nHost: a\r\nContent-Type: {media_type}\r\n\
             Content-Length: {}\r\n\r\n{manifest}",
            manifest.len()
        ));
        assert_eq!(client.answer().status, 201);
        manifest
    }

    /// The subject of [`Self::push_many_referrers`]. It need not be there.
    pub const SUBJECT: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// Pushes manifests with a common subject; a list of twelve of them is a long one.
    pub fn push_many_referrers(&self, count: usize) {
        let blob = self.push_blob(2);
        let digest = blob.rsplit('/').next().unwrap();
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        for number in 0..count {
            let manifest = format!(
                "{{\"schemaVersion\":2,\"mediaType\":\"{media_type}\",\"config\":{{\"mediaType\":\"a/b\",\
                 \"digest\":\"{digest}\",\"size\":2}},\"layers\":[],\"subject\":{{\"mediaType\":\"a/b\",\
                 \"digest\":\"{}\",\"size\":2}},\"annotations\":{{\"a{number}\":\"{}\"}}}}",
                Self::SUBJECT,
                "x".repeat(6_000)
            );
            let mut client = self.connect();
            client.send(format!(
                "PUT /v2/a/manifests/r{number} HTTP/1.1\r\nHost: a\r\nContent-Type: {media_type}\r\n\
                 Content-Length: {}\r\n\r\n{manifest}",
                manifest.len()
            ));
            assert_eq!(client.answer().status, 201);
        }
    }

    /// Returns the file of content, whose digest is the end of its path or the value of a header.
    pub fn file_of(&self, digest: &str) -> PathBuf {
        let hash = digest.rsplit(':').next().unwrap();
        let name = &hash[hash.len() - 32..];
        let mut folders = vec![self.folder.path().join("data/blobs")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else if entry.file_name().to_string_lossy().ends_with(name) {
                    return entry.path();
                }
            }
        }
        panic!("no file of {digest}");
    }

    /// Begins an upload and returns its path.
    pub fn begin(&self) -> String {
        let mut client = self.connect();
        client.send("POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let answer = client.answer();
        assert_eq!(answer.status, 202);
        answer.header("location").unwrap().to_owned()
    }

    /// Asserts that it still serves requests.
    #[track_caller]
    pub fn serves(&self) {
        assert_eq!(self.connect().get("/v2/").status, 200);
    }

    fn metric(&self, name: &str) -> u64 {
        let metrics = self.connect().get("/metrics").text;
        let line = metrics.lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn entries(&self, folder: &str) -> usize {
        fs::read_dir(format!("/proc/{}/{folder}", self.child.id())).unwrap().count()
    }

    fn open_now(&self) -> (usize, usize) {
        (self.entries("fd"), self.entries("task"))
    }

    /// Returns how many requests are being answered.
    pub fn requests(&self) -> u64 {
        // Without the request for the metrics itself.
        self.metric("pulk_http_requests_in_flight") - 1
    }

    fn held(&self, (descriptors, threads): (usize, usize)) -> Held {
        Held {
            descriptors,
            threads,
            uploads: self.metric("pulk_uploads_in_flight"),
            requests: self.requests(),
        }
    }

    /// Waits until nothing changes, and returns the resources held then.
    pub fn settled(&self) -> Held {
        let (mut last, mut same) = (self.open_now(), 0);
        for _ in 0..LOOKS_MAX {
            std::thread::sleep(LOOK_PAUSE);
            let now = self.open_now();
            same = if now == last { same + 1 } else { 0 };
            if same >= 35 {
                let held = self.held(now);
                // The last answer may still be on its way.
                if held.requests == 0 {
                    return held;
                }
            }
            last = now;
        }
        panic!("it does not settle: {last:?}");
    }

    /// Waits until it holds no more than `before`.
    #[track_caller]
    pub fn comes_back_to(&self, before: Held) {
        let mut last = None;
        for _ in 0..LOOKS_MAX {
            let now = self.open_now();
            if now.0 <= before.descriptors && now.1 <= before.threads + DISK_THREADS_MAX {
                // Only now: the request takes a connection itself.
                let held = self.held(now);
                if held.uploads == before.uploads && held.requests == before.requests {
                    return;
                }
                last = Some(held);
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        panic!("it still holds {:?} {last:?}; before it held {before:?}", self.open_now());
    }

    /// Waits until `done` returns true.
    #[track_caller]
    pub fn waits_until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let is_done = (0..LOOKS_MAX).any(|_| {
            let is_done = done(self);
            if !is_done {
                std::thread::sleep(LOOK_PAUSE);
            }
            is_done
        });
        assert!(is_done, "{what} did not happen");
    }

    pub fn descriptors(&self) -> usize {
        self.entries("fd")
    }

    /// Returns its resident memory in KiB.
    pub fn memory_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// Returns the most memory that it has had.
    pub fn memory_peak_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    fn status_kib(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer as received; header names in lower case.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(own, value)| own.eq_ignore_ascii_case(name).then_some(value))
    }
}

pub struct Client {
    pub socket: TcpStream,
    ahead: Vec<u8>,
}

impl Client {
    pub fn over(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(HANG_TIME)).unwrap();
        socket.set_write_timeout(Some(HANG_TIME)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, ahead: Vec::new() }
    }

    /// Sends as much as the server takes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        match self.socket.write_all(bytes.as_ref()) {
            Ok(()) => {}
            Err(error) if is_end(error.kind()) => {}
            Err(error) => panic!("{error}"),
        }
    }

    pub fn end_sending(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        self.answer()
    }

    fn more(&mut self) -> usize {
        let mut buffer = [0; 64 * 1024];
        let count = match self.socket.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if is_end(error.kind()) => 0,
            Err(error) => panic!("{error}"),
        };
        self.ahead.extend_from_slice(&buffer[..count]);
        count
    }

    pub fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = self.ahead.split_off(end + 4);
                return String::from_utf8(std::mem::replace(&mut self.ahead, rest)).unwrap();
            }
            assert_ne!(self.more(), 0, "the connection ended in a head: {}", self.ahead.escape_ascii());
        }
    }

    /// Reads an answer with a length.
    pub fn answer(&mut self) -> Answer {
        let head = self.head();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, text: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.ahead.len() < length {
            assert_ne!(self.more(), 0, "the connection ended in a body");
        }
        let rest = self.ahead.split_off(length);
        answer.text = String::from_utf8(std::mem::replace(&mut self.ahead, rest)).unwrap();
        answer
    }

    /// Reads until the server ends the connection.
    pub fn rest(&mut self) -> String {
        while self.more() > 0 {}
        String::from_utf8(std::mem::take(&mut self.ahead)).unwrap()
    }

    /// Resets the connection instead of closing it.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO)).unwrap();
    }
}

fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}

/// Tells whether this is exactly one answer, by its length.
pub fn is_one_answer(all: &str) -> bool {
    let Some((head, body)) = all.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    length.map_or(0, |length| length.parse().unwrap()) == body.len()
}

/// Returns how many answers were received, without interim ones.
pub fn answers_in(all: &str) -> usize {
    all.matches("HTTP/1.1 ").count() - all.matches("HTTP/1.1 100 ").count()
}
