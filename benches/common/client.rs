//! A small HTTP/1.1 client with one persistent connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

const BUFFER_SIZE_BYTES: usize = 256 * 1024;

/// A connection to a server.
pub struct Client {
    connection: BufReader<TcpStream>,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns the answer if it has this status, and panics otherwise.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

impl Client {
    /// Connects.
    pub fn connect(address: &str) -> Self {
        let connection = TcpStream::connect(address).unwrap();
        connection.set_nodelay(true).unwrap();
        Self { connection: BufReader::with_capacity(BUFFER_SIZE_BYTES, connection) }
    }

    /// Sends a request without a body.
    pub fn send(&mut self, method: &str, target: &str) -> Answer {
        self.send_body(method, target, "application/octet-stream", 0, |_| Ok(()))
    }

    /// Sends a request whose body `write` writes.
    pub fn send_body(
        &mut self,
        method: &str,
        target: &str,
        content_type: &str,
        length: u64,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Answer {
        let mut out = io::BufWriter::with_capacity(BUFFER_SIZE_BYTES, self.connection.get_ref());
        write!(
            out,
            "{method} {target} HTTP/1.1\r\nHost: registry\r\nContent-Type: {content_type}\r\n\
             Content-Length: {length}\r\n\r\n"
        )
        .unwrap();
        write(&mut out).unwrap();
        out.flush().unwrap();
        drop(out);
        let (mut answer, length) = self.head();
        self.body(length).read_to_end(&mut answer.body).unwrap();
        answer
    }

    /// Fetches a resource, discards its body, and returns the body's length.
    pub fn download(&mut self, target: &str) -> u64 {
        write!(self.connection.get_mut(), "GET {target} HTTP/1.1\r\nHost: registry\r\n\r\n").unwrap();
        let (answer, length) = self.head();
        answer.expect(200);
        io::copy(&mut self.body(length), &mut io::sink()).unwrap()
    }

    fn body(&mut self, length: u64) -> impl Read {
        (&mut self.connection).take(length)
    }

    /// Reads a head; returns it with the length of its body.
    fn head(&mut self) -> (Answer, u64) {
        let status = self.line().split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut answer = Answer { status: status.expect("a status"), location: None, body: Vec::new() };
        let mut length = 0;
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else { return (answer, length) };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            } else if name.eq_ignore_ascii_case("location") {
                answer.location = Some(value.trim().to_owned());
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.connection.read_line(&mut line).unwrap();
        assert_ne!(read, 0, "the server closed the connection");
        line.trim_end().to_owned()
    }
}
