//! An HTTP/1.1 client that sends exactly what a test specifies and hides nothing of the answer.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::answer::Answer;

/// How long a test waits for bytes before it fails.
const SOCKET_TIME_MAX: Duration = Duration::from_secs(30);

/// How many header lines an answer may have.
const HEADERS_MAX: usize = 128;

/// Sends requests to one server, each over its own connection.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    address: SocketAddr,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    pub fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(SOCKET_TIME_MAX)).unwrap();
        stream.set_write_timeout(Some(SOCKET_TIME_MAX)).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection { stream, unread: Vec::new() }
    }

    pub fn request(&self, method: &str, target: impl Into<String>) -> Request {
        let headers = vec![
            ("Host".to_owned(), self.address.to_string()),
            // Go's client sends it with every request (H5).
            ("Accept-Encoding".to_owned(), "gzip".to_owned()),
        ];
        Request { client: *self, method: method.to_owned(), target: target.into(), headers, body: Body::None }
    }

    pub fn get(&self, target: impl Into<String>) -> Request {
        self.request("GET", target)
    }

    pub fn head(&self, target: impl Into<String>) -> Request {
        self.request("HEAD", target)
    }

    pub fn post(&self, target: impl Into<String>) -> Request {
        self.request("POST", target)
    }

    pub fn put(&self, target: impl Into<String>) -> Request {
        self.request("PUT", target)
    }

    pub fn patch(&self, target: impl Into<String>) -> Request {
        self.request("PATCH", target)
    }

    pub fn delete(&self, target: impl Into<String>) -> Request {
        self.request("DELETE", target)
    }
}

/// A request to be sent.
#[derive(Debug)]
pub struct Request {
    client: Client,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// Neither a body nor a length.
    None,
    /// With a Content-Length.
    Whole(Vec<u8>),
    /// With `Transfer-Encoding: chunked`, in these chunks.
    Chunked(Vec<Vec<u8>>),
}

impl Request {
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sends the bytes with a Content-Length.
    pub fn body(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.body = Body::Whole(bytes.as_ref().to_vec());
        self
    }

    /// Sends the bytes chunked, in chunks of at most `size` bytes.
    pub fn chunked(mut self, bytes: &[u8], chunk_size_bytes: usize) -> Self {
        self.body = Body::Chunked(bytes.chunks(chunk_size_bytes).map(<[u8]>::to_vec).collect());
        self
    }

    /// Sends it over its own connection, which ends with the answer, and checks what must hold of every
    /// answer.
    #[track_caller]
    pub fn send(mut self) -> Answer {
        self.headers.push(("Connection".to_owned(), "close".to_owned()));
        let mut connection = self.client.connect();
        connection.send_what_is_taken(&self);
        let answer = connection.answer(&self.method);
        assert!(connection.at_end(), "more than the answer came");
        answer
    }

    fn encode(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        match &self.body {
            Body::None => (head + "\r\n").into_bytes(),
            Body::Whole(bytes) => {
                write!(head, "Content-Length: {}\r\n\r\n", bytes.len()).unwrap();
                [head.as_bytes(), bytes].concat()
            }
            Body::Chunked(chunks) => {
                let mut encoded = (head + "Transfer-Encoding: chunked\r\n\r\n").into_bytes();
                for chunk in chunks {
                    write!(encoded, "{:x}\r\n", chunk.len()).unwrap();
                    encoded.extend(chunk);
                    encoded.extend(b"\r\n");
                }
                encoded.extend(b"0\r\n\r\n");
                encoded
            }
        }
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    /// Sends a request and keeps the connection.
    #[track_caller]
    pub fn exchange(&mut self, request: &Request) -> Answer {
        self.send(&request.encode());
        self.answer(&request.method)
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a request until the server stops reading it, as clients do; the answer says why.
    fn send_what_is_taken(&mut self, request: &Request) {
        if let Err(error) = self.stream.write_all(&request.encode()) {
            assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
        }
    }

    /// Closes the sending side, and continues to read.
    pub fn end_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes the connection while the server still works on it.
    pub fn cut(self) {
        drop(self);
    }

    /// Reads one answer by its framing, and checks what must hold of every answer.
    #[track_caller]
    pub fn answer(&mut self, method: &str) -> Answer {
        let mut answer = self.answer_head();
        let has_body = method != "HEAD" && !matches!(answer.status, 100..=199 | 204 | 304);
        if has_body {
            let length: usize = answer.header("Content-Length").parse().unwrap();
            while self.unread.len() < length {
                assert!(self.read_more(), "the body is cut off at {} of {length}", self.unread.len());
            }
            answer.body = self.unread.drain(..length).collect();
        }
        answer.check(method);
        answer
    }

    /// Reads the head of an answer, which may be an interim one.
    #[track_caller]
    pub fn answer_head(&mut self) -> Answer {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut head = httparse::Response::new(&mut headers);
            if let httparse::Status::Complete(length) = head.parse(&self.unread).unwrap() {
                let status = head.code.unwrap();
                let text = |bytes| String::from_utf8(Vec::from(bytes)).unwrap();
                let headers =
                    head.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
                self.unread.drain(..length);
                return Answer { status, headers, body: Vec::new() };
            }
            assert!(self.read_more(), "the connection ended without an answer");
        }
    }

    /// Reads to the end of the connection, and tells whether nothing arrived.
    pub fn at_end(&mut self) -> bool {
        while self.read_more() {}
        self.unread.is_empty()
    }

    fn read_more(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        let count = self.stream.read(&mut buffer).unwrap();
        self.unread.extend(&buffer[..count]);
        count > 0
    }
}
