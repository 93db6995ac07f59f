//! The head of an answer, and the form its body will have.

use std::io::Write;

use tide::http::headers::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use tide::http::{Body, Response, StatusCode};

use super::date::push_date;
use super::ranges::RangesBody;
use super::reason::reason;
use crate::wire::FileBody;

/// What the request and the state of its connection say about the answer.
#[derive(Debug, Clone, Copy)]
pub(in crate::wire) struct ReplyTo {
    /// The method was HEAD: no body follows.
    pub(in crate::wire) is_head: bool,
    /// The client speaks HTTP/1.1 and not 1.0.
    pub(in crate::wire) is_http_1_1: bool,
    /// The connection ends after this answer.
    pub(in crate::wire) close: bool,
}

/// The form in which a body goes out.
#[derive(Debug)]
pub(in crate::wire) enum Payload {
    /// No body.
    None,
    /// Exactly `length` bytes of `body`.
    Sized {
        /// Where the bytes come from.
        body: Body,
        /// How many there must be.
        length: u64,
    },
    /// A stretch of a file.
    File(FileBody),
    /// Several stretches of a file, each introduced.
    Ranges(RangesBody),
}

/// An answer ready to be sent.
#[derive(Debug)]
pub(in crate::wire) struct Reply {
    /// The head as it is sent, up to its empty line.
    pub(in crate::wire) head: Vec<u8>,
    /// What follows the head.
    pub(in crate::wire) payload: Payload,
    /// Whether the connection must end after it.
    pub(in crate::wire) close: bool,
}

impl Payload {
    /// Returns whether it holds memory while it is sent.
    pub(in crate::wire) fn is_in_memory(&self) -> bool {
        matches!(self, Self::Sized { .. })
    }
}

/// Why an answer of the application cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(in crate::wire) enum UnsendableReply {
    /// Sent as it is, the header could become something else on the way.
    #[error("the answer's header {0:?} holds bytes that no header may have")]
    BadHeader(String),
    /// A body of unknown length would have to be chunked, which no answer needs.
    #[error("the answer has a body of unknown length")]
    NoLength,
}

impl Reply {
    /// Makes an answer ready to be sent.
    pub(in crate::wire) fn new(mut response: Response, to: ReplyTo) -> Result<Self, UnsendableReply> {
        let status = response.status();
        let file = response.ext_mut().remove::<FileBody>().map(Payload::File);
        let file = file.or_else(|| response.ext_mut().remove::<RangesBody>().map(Payload::Ranges));
        let said = said_length(&response);
        let body = take_body(&mut response);
        let has_none = has_no_body(status);
        let known = match &file {
            Some(Payload::File(file)) => Some(file.length),
            Some(Payload::Ranges(ranges)) => Some(ranges.length()),
            _ => body.len().map(|length| length as u64),
        };
        let length = match (to.is_head || status == StatusCode::NotModified, has_none) {
            // RFC 9110 section 8.6: what a GET would have; an empty body says nothing about that.
            (true, _) => said.or(known.filter(|length| *length > 0 || file.is_some())),
            (false, true) => None,
            (false, false) => known.or(said),
        };
        let length = length.filter(|_| !has_none || status == StatusCode::NotModified);
        let payload = match (file, length) {
            _ if to.is_head || has_none => Payload::None,
            (_, Some(0)) => Payload::None,
            (Some(file), _) => file,
            (None, Some(length)) => Payload::Sized { body, length },
            (None, None) => return Err(UnsendableReply::NoLength),
        };
        let close = to.close || asks_to_close(&response);
        let head = head(&response, length, ReplyTo { close, ..to })?;
        Ok(Self { head, payload, close })
    }
}

/// Takes the body out. `http_types` gives a response the media type of the empty body that remains; one that
/// had none must go out without.
pub(crate) fn take_body(response: &mut Response) -> Body {
    let is_typed = response.header(CONTENT_TYPE).is_some();
    let body = response.take_body();
    if !is_typed {
        response.remove_header(CONTENT_TYPE);
    }
    body
}

fn head(response: &Response, length: Option<u64>, to: ReplyTo) -> Result<Vec<u8>, UnsendableReply> {
    let status = response.status();
    let mut head = Vec::with_capacity(512);
    // Writing into memory does not fail. The version is the server's own, whatever the client's: RFC 9110
    // section 2.5.
    let code = u16::from(status);
    let _ = write!(head, "HTTP/1.1 {code} {}\r\n", reason(code));
    for (name, values) in response.iter() {
        // A cache would take the type of a 304 over to the content that it has: RFC 9111 section 4.3.4.
        if is_of_transport(name.as_str()) || (*name == CONTENT_TYPE && has_no_body(status)) {
            continue;
        }
        for value in values {
            push_header(&mut head, name.as_str(), value.as_str())?;
        }
    }
    push_date(&mut head);
    if let Some(length) = length {
        let _ = write!(head, "Content-Length: {length}\r\n");
    }
    if to.close {
        push_header(&mut head, "Connection", "close")?;
    } else if !to.is_http_1_1 {
        push_header(&mut head, "Connection", "keep-alive")?;
    }
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

/// Only the transport sets these. `http_types` has names in lower case.
fn is_of_transport(name: &str) -> bool {
    matches!(
        name,
        "content-length" | "transfer-encoding" | "connection" | "keep-alive" | "date" | "trailer" | "upgrade"
    )
}

/// Tells whether a header's name may have the byte beside letters and digits.
fn is_mark(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'#'
            | b'$'
            | b'%'
            | b'&'
            | b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'.'
            | b'^'
            | b'_'
            | b'`'
            | b'|'
            | b'~'
    )
}

/// Pushes a header with its name in the usual capitals. `http_types` checks no more than that both are ASCII.
fn push_header(head: &mut Vec<u8>, name: &str, value: &str) -> Result<(), UnsendableReply> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || is_mark(byte);
    let is_text = |byte: u8| byte == b'\t' || (b' '..0x7f).contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) || !value.bytes().all(is_text) {
        return Err(UnsendableReply::BadHeader(name.to_owned()));
    }
    let name_at = head.len();
    head.extend_from_slice(name.as_bytes());
    let mut at_start = true;
    for byte in head.iter_mut().skip(name_at) {
        if at_start {
            byte.make_ascii_uppercase();
        }
        at_start = *byte == b'-';
    }
    head.extend_from_slice(b": ");
    head.extend_from_slice(value.as_bytes());
    head.extend_from_slice(b"\r\n");
    Ok(())
}

fn said_length(response: &Response) -> Option<u64> {
    let value = response.header(CONTENT_LENGTH)?.last().as_str();
    value.parse().ok().filter(|_| value.bytes().all(|byte| byte.is_ascii_digit()))
}

fn asks_to_close(response: &Response) -> bool {
    response.header(CONNECTION).is_some_and(|values| {
        values
            .iter()
            .any(|value| value.as_str().split(',').any(|token| token.trim().eq_ignore_ascii_case("close")))
    })
}

fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NoContent | StatusCode::NotModified)
}
