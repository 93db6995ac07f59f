//! A request's head: what is asked for, and how its body is framed.

use std::borrow::Cow;

use tide::http::{Method, Request, Version};

use super::target::{check_host, parse_target, url};
use crate::wire::RawTarget;
use crate::wire::limits::WireLimits;
use crate::wire::rejection::Rejection;

/// How many header lines are parsed without an allocation: most heads have fewer.
const FEW_HEADERS: usize = 24;

/// How the body of a request is framed (RFC 9112 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) enum BodyFraming {
    /// There is no body.
    None,
    /// There are exactly this many bytes.
    Length(u64),
    /// The body is sent in chunks.
    Chunked,
}

/// A request without its body, and what its head says to the transport.
#[derive(Debug)]
pub(in crate::wire) struct RequestHead {
    /// The request for the application, its body still empty.
    pub(in crate::wire) request: Request,
    /// How the body is framed.
    pub(in crate::wire) framing: BodyFraming,
    /// Whether the client speaks HTTP/1.1 and not 1.0.
    pub(in crate::wire) is_http_1_1: bool,
    /// Whether the client lets the connection be kept.
    pub(in crate::wire) keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(in crate::wire) expects_continue: bool,
}

/// The headers that the transport itself has to understand.
#[derive(Debug, Default)]
struct Understood<'a> {
    host: Option<&'a str>,
    content_length: Option<u64>,
    is_chunked: bool,
    says_close: bool,
    says_keep_alive: bool,
    expects_continue: bool,
}

impl RequestHead {
    /// Parses a whole head, as [`HeadScanner`](super::head_scanner::HeadScanner) found it.
    pub(in crate::wire) fn parse(head: &[u8], limits: &WireLimits) -> Result<Self, Rejection> {
        // As many as there are lines: most heads have a few of the many that are allowed.
        let lines = head.iter().filter(|byte| **byte == b'\n').count();
        let lines = lines.min(limits.headers_max);
        let (mut few, mut many) = ([httparse::EMPTY_HEADER; FEW_HEADERS], Vec::new());
        let headers = few.get_mut(..lines).unwrap_or_else(|| {
            many = vec![httparse::EMPTY_HEADER; lines];
            &mut many
        });
        let mut parsed = httparse::Request::new(headers);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Ok(_) => return Err(Rejection::BadRequest("the request's head is cut off")),
            Err(httparse::Error::Version) if names_a_version(head) => return Err(Rejection::UnknownVersion),
            Err(error) => return Err(refusal_of(error)),
        }
        let is_http_1_1 = parsed.version == Some(1);
        let target = parsed.path.unwrap_or_default();
        if target.len() > limits.target_size_max_bytes {
            return Err(Rejection::TargetTooLong);
        }
        let understood = understand(parsed.headers, is_http_1_1)?;
        let framing = match (understood.is_chunked, understood.content_length) {
            (true, Some(_)) => {
                return Err(Rejection::BadRequest("a body has a length and a transfer coding"));
            }
            (true, None) if !is_http_1_1 => {
                return Err(Rejection::BadRequest("HTTP/1.0 has no transfer codings"));
            }
            (true, None) => BodyFraming::Chunked,
            (false, None | Some(0)) => BodyFraming::None,
            (false, Some(length)) => BodyFraming::Length(length),
        };
        let request = request(&parsed, target, &understood, is_http_1_1)?;
        Ok(Self {
            request,
            framing,
            is_http_1_1,
            keep_alive: !understood.says_close && (is_http_1_1 || understood.says_keep_alive),
            // RFC 9110 section 10.1.1: without a body there is nothing to expect.
            expects_continue: understood.expects_continue && is_http_1_1 && framing != BodyFraming::None,
        })
    }
}

/// Tells a request of another version from one that is no request at all.
fn names_a_version(head: &[u8]) -> bool {
    let line = head.trim_ascii_start().split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let version = words.nth(2).and_then(|word| word.strip_prefix(b"HTTP/")).unwrap_or_default();
    let is_version =
        matches!(version, [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit());
    is_version && words.next().is_none()
}

fn refusal_of(error: httparse::Error) -> Rejection {
    match error {
        httparse::Error::TooManyHeaders => Rejection::HeadTooLarge,
        httparse::Error::HeaderName => Rejection::BadRequest("a header's name is not valid"),
        httparse::Error::HeaderValue => Rejection::BadRequest("a header's value is not valid"),
        httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token
        | httparse::Error::Version => Rejection::BadRequest("the request line is not valid"),
    }
}

fn request(
    parsed: &httparse::Request<'_, '_>,
    target: &str,
    understood: &Understood<'_>,
    is_http_1_1: bool,
) -> Result<Request, Rejection> {
    let name = parsed.method.unwrap_or_default();
    let method = method(name)?;
    let target = parse_target(target)?;
    if is_http_1_1 && understood.host.is_none() {
        return Err(Rejection::BadRequest("the request has no Host header"));
    }
    if let Some(host) = target.host {
        check_host(host)?;
    }
    let url = url(target.path_and_query)?;
    let mut request = Request::new(method, url);
    request.set_version(Some(if is_http_1_1 { Version::Http1_1 } else { Version::Http1_0 }));
    request.ext_mut().insert(RawTarget::new(target.path_and_query));
    for header in parsed.headers.iter().filter(|header| !header.name.is_empty()) {
        request.append_header(header.name, &*ascii(header.value));
    }
    if let Some(host) = target.host {
        // RFC 9112 section 3.2.2: the target's host stands above the header's, which must still be valid.
        request.insert_header("Host", host);
    }
    Ok(request)
}

fn method(name: &str) -> Result<Method, Rejection> {
    match name {
        // Nearly all requests have one of these.
        "GET" => Ok(Method::Get),
        "HEAD" => Ok(Method::Head),
        _ => {
            let method: Method = name.parse().map_err(|_| Rejection::UnknownMethod)?;
            // Methods are case-sensitive; the parser of `http_types` is not.
            if method.as_ref() == name { Ok(method) } else { Err(Rejection::UnknownMethod) }
        }
    }
}

/// Bytes outside of ASCII may stand in a value but mean nothing; `http_types` has no place for them.
fn ascii(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => value.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect(),
    }
}

fn understand<'a>(
    headers: &'a [httparse::Header<'_>],
    is_http_1_1: bool,
) -> Result<Understood<'a>, Rejection> {
    let mut understood = Understood::default();
    for header in headers {
        let name_is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if name_is("Host") {
            let host = std::str::from_utf8(header.value).unwrap_or_default();
            if understood.host.replace(host).is_some() {
                return Err(Rejection::BadRequest("the request has several Host headers"));
            }
            // Checked here too, because an absolute-form target keeps it from becoming part of the URL.
            check_host(host)?;
        } else if name_is("Content-Length") {
            if understood.content_length.replace(content_length(header.value)?).is_some() {
                return Err(Rejection::BadRequest("the request has several Content-Length headers"));
            }
        } else if name_is("Transfer-Encoding") {
            if understood.is_chunked || !header.value.eq_ignore_ascii_case(b"chunked") {
                return Err(Rejection::UnknownCoding);
            }
            understood.is_chunked = true;
        } else if name_is("Connection") {
            understood.says_close |= has_token(header.value, "close");
            understood.says_keep_alive |= has_token(header.value, "keep-alive");
        } else if name_is("Expect") && is_http_1_1 {
            if !header.value.eq_ignore_ascii_case(b"100-continue") {
                return Err(Rejection::UnknownExpectation);
            }
            understood.expects_continue = true;
        }
    }
    Ok(understood)
}

/// Digits and nothing else: `+1`, `1, 1` and lengths over 64 bits are refused.
fn content_length(value: &[u8]) -> Result<u64, Rejection> {
    std::str::from_utf8(value)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or(Rejection::BadRequest("the Content-Length is not a length"))
}

fn has_token(value: &[u8], token: &str) -> bool {
    value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}
