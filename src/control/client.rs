//! The client's end of the control socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use crate::admin::{AdminError, AnswerSink, Request};
use crate::control::message::{AnswerPart, DataIdentity, EVENT_SIZE_MAX_BYTES, encode_request};
use crate::wire::connect_socket;

/// A connection to a running server, good for one request.
#[derive(Debug)]
pub(crate) struct ControlClient {
    stream: UnixStream,
    data: DataIdentity,
}

/// Connects to the server that uses a data directory at its socket, or returns `None` where none can be
/// reached there.
pub(crate) fn connect(data: &Path, socket: &Path) -> io::Result<Option<ControlClient>> {
    let data = match DataIdentity::of(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    Ok(connect_socket(socket)?.map(|stream| ControlClient { stream, data }))
}

impl ControlClient {
    /// Sends a request, passes items on, and returns the report.
    pub(crate) fn ask(self, request: &Request, sink: &mut dyn AnswerSink) -> Result<Value, AdminError> {
        let line = encode_request(request, self.data).map_err(AdminError::failed)?;
        let mut stream = &self.stream;
        stream.write_all(&line).map_err(|error| lost(&error))?;
        let mut lines = BufReader::new(&self.stream);
        loop {
            match next_event(&mut lines)? {
                AnswerPart::Progress { what, done, total } => sink.progress(&what, done, total),
                AnswerPart::Item(item) => sink.item(item)?,
                AnswerPart::Result(result) => return Ok(result),
                AnswerPart::Failure(failure) => return Err(failure),
            }
        }
    }
}

fn next_event(lines: &mut BufReader<&UnixStream>) -> Result<AnswerPart, AdminError> {
    let mut line = Vec::new();
    let mut bounded = lines.take(EVENT_SIZE_MAX_BYTES as u64);
    bounded.read_until(b'\n', &mut line).map_err(|error| lost(&error))?;
    match line.strip_suffix(b"\n") {
        Some(line) => serde_json::from_slice(line)
            .map_err(|error| AdminError::failed(format!("cannot parse the server's answer: {error}"))),
        None if line.len() >= EVENT_SIZE_MAX_BYTES => {
            Err(AdminError::failed("a line of the server's answer is too long"))
        }
        None => Err(AdminError::failed("the server closed the connection before it answered")),
    }
}

fn lost(error: &io::Error) -> AdminError {
    AdminError::failed(format!("lost the connection to the server: {error}"))
}
