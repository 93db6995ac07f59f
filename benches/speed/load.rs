//! A client that uses as little processor time as possible, since it shares the processors with the server.
//!
//! Requests are rendered in advance, connections are kept, files are sent by `sendfile`, and the kernel
//! discards received bytes without copying them (`MSG_TRUNC`, see tcp(7)).

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::net::RecvFlags;

const HEAD_SIZE_MAX_BYTES: usize = 64 * 1024;
const DISCARD_SIZE_BYTES: usize = 1024 * 1024;
const SENDFILE_SIZE_BYTES: usize = 1024 * 1024;

/// How often a client waiting for bytes checks whether to end.
const TAKE_PAUSE: Duration = Duration::from_millis(50);

/// A persistent connection.
pub struct Load {
    socket: TcpStream,
    buffer: Vec<u8>,
}

/// The parts of an answer's head that are used.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    pub location: Option<String>,
    /// The length of the body.
    pub length: u64,
    /// The length of the head itself.
    pub head_length: usize,
    /// How much of the body arrived with the head.
    came_along: usize,
}

impl Load {
    /// Connects.
    pub fn connect(address: &str) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, buffer: vec![0; DISCARD_SIZE_BYTES] }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// Sends a file from `offset` to its end.
    pub fn send_file(&mut self, file: &File, offset: u64) {
        let mut position = offset;
        loop {
            match rustix::fs::sendfile(&self.socket, file, Some(&mut position), SENDFILE_SIZE_BYTES) {
                Ok(0) => return,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("cannot send the file: {error}"),
            }
        }
    }

    /// Reads the head of an answer to a request with this method.
    pub fn head(&mut self, method: &str) -> Head {
        let mut filled = 0;
        let end = loop {
            let room = self.buffer.get_mut(filled..HEAD_SIZE_MAX_BYTES).unwrap();
            let count = self.socket.read(room).unwrap();
            assert_ne!(count, 0, "the server closed the connection");
            filled += count;
            let text = self.buffer.get(..filled).unwrap();
            if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = std::str::from_utf8(self.buffer.get(..end).unwrap()).unwrap();
        let header = |name: &str| {
            let mut fields = text.lines().filter_map(|line| line.split_once(':'));
            fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let length = header("content-length").map_or(0, |length| length.parse().unwrap());
        Head {
            status,
            location: header("location").map(str::to_owned),
            length: if method == "HEAD" { 0 } else { length },
            head_length: end,
            came_along: filled - end,
        }
    }

    /// Reads a whole answer, discards its body, and returns its head, which must have this status.
    pub fn answer(&mut self, method: &str, status: u16) -> Head {
        let head = self.head(method);
        assert_eq!(head.status, status, "{head:?}");
        self.discard(head.length - head.came_along as u64);
        head
    }

    /// Discards `length` bytes.
    pub fn discard(&mut self, count: u64) {
        let mut left = count;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let room = self.buffer.get_mut(..most).unwrap();
            match rustix::net::recv(&self.socket, room, RecvFlags::TRUNC) {
                Ok((_, 0)) => panic!("the server closed the connection"),
                Ok((_, count)) => left -= count as u64,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("cannot read: {error}"),
            }
        }
    }

    /// Discards what arrives until `ended` is set, and returns how much it was.
    pub fn take_until(&mut self, ended: &AtomicBool) -> u64 {
        self.socket.set_read_timeout(Some(TAKE_PAUSE)).unwrap();
        let mut taken = 0;
        while !ended.load(Ordering::SeqCst) {
            match rustix::net::recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::TRUNC) {
                Ok((_, 0)) => panic!("the server closed the connection"),
                Ok((_, count)) => taken += count as u64,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(error) => panic!("cannot read: {error}"),
            }
        }
        taken
    }

    /// Reads an answer of 200 whose length, head included, is known.
    pub fn same_answer(&mut self, length: usize) {
        let mut filled = 0;
        while filled < length {
            let room = self.buffer.get_mut(filled..length).unwrap();
            let count = self.socket.read(room).unwrap();
            assert_ne!(count, 0, "the server closed the connection");
            filled += count;
        }
        assert!(self.buffer.starts_with(b"HTTP/1.1 200"), "the answer is not a 200");
    }
}

/// Renders a request without a body.
pub fn request(method: &str, target: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: registry\r\n\r\n").into_bytes()
}

/// Renders the head of a request with a body.
pub fn request_head(method: &str, target: &str, content_type: &str, length: u64) -> Vec<u8> {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: registry\r\nContent-Type: {content_type}\r\n\
         Content-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

/// Returns the location of an upload with its digest appended.
pub fn with_digest(location: &str, digest: &str) -> String {
    // docker-registry's locations begin with a host.
    let path = location.strip_prefix("http://").and_then(|rest| rest.find('/').map(|at| rest.split_at(at).1));
    let path = path.unwrap_or(location);
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}digest={digest}")
}
