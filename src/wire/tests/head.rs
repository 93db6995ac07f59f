//! Heads, table by table.

use crate::wire::RawTarget;
use crate::wire::limits::WireLimits;
use crate::wire::rejection::Rejection;
use crate::wire::request::{BodyFraming, HeadScanner, RequestHead};
use tide::http::headers::HeaderValue;
use tide::http::{Method, StatusCode};

fn parse(head: &str) -> Result<RequestHead, Rejection> {
    let limits = WireLimits::default();
    let length = HeadScanner::default().scan(head.as_bytes(), &limits)?.expect("a whole head");
    RequestHead::parse(&head.as_bytes()[..length], &limits)
}

/// A request of HTTP/1.1 with these header lines beside its `Host`.
fn with(headers: &str) -> Result<RequestHead, Rejection> {
    parse(&format!("POST /v2/ HTTP/1.1\r\nHost: a\r\n{headers}\r\n"))
}

fn status(result: Result<RequestHead, Rejection>) -> Option<u16> {
    result.err().map(|rejection| u16::from(rejection.response().status()))
}

#[test]
fn a_head_becomes_a_request() {
    let head = parse(
        "PATCH /v2/a%2Fb/blobs/uploads/1?x=%20a+b&y HTTP/1.1\r\nhost: registry.example:5000\r\n\
         Accept: a\r\nACCEPT:b \t\r\nX-Empty:\r\nUser-Agent: caf\u{e9}\r\n\r\n",
    )
    .unwrap();
    let request = &head.request;
    assert_eq!(request.method(), Method::Patch);
    assert_eq!(request.url().path(), "/v2/a%2Fb/blobs/uploads/1");
    assert_eq!(request.url().query(), Some("x=%20a+b&y"));
    assert_eq!(request.header("Host").unwrap().as_str(), "registry.example:5000");
    let target = request.ext().get::<RawTarget>().unwrap();
    assert_eq!(target.path(), "/v2/a%2Fb/blobs/uploads/1");
    assert_eq!(target.query(), Some("x=%20a+b&y"));
    let accepted: Vec<&str> = request.header("Accept").unwrap().iter().map(HeaderValue::as_str).collect();
    assert_eq!(accepted, ["a", "b"]);
    assert_eq!(request.header("X-Empty").unwrap().as_str(), "");
    assert_eq!(request.header("User-Agent").unwrap().as_str(), "caf??");
    assert!(request.header("Content-Type").is_none());
    assert_eq!(head.framing, BodyFraming::None);
    assert!(head.is_http_1_1 && head.keep_alive && !head.expects_continue);
}

#[test]
fn a_host_need_not_be_one_of_a_url() {
    for host in ["registry.1:5000", "xn--a", "0x.0x"] {
        let head = parse(&format!("GET /v2/ HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap();
        assert_eq!(head.request.header("Host").unwrap().as_str(), host);
        assert!(parse(&format!("GET http://{host}/v2/ HTTP/1.1\r\nHost: a\r\n\r\n")).is_ok(), "{host}");
    }
}

#[test]
fn an_absolute_target_takes_the_place_of_the_host() {
    let head = parse("GET http://b.example:80/v2/?n=1 HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    assert_eq!(head.request.header("Host").unwrap().as_str(), "b.example:80");
    assert_eq!(head.request.ext().get::<RawTarget>().unwrap().as_str(), "/v2/?n=1");
    assert_eq!(status(parse("GET http://b/ HTTP/1.1\r\n\r\n")), Some(400));
    assert_eq!(status(parse("GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n")), Some(400));
    assert_eq!(status(parse("GET http://user@b/ HTTP/1.1\r\nHost: a\r\n\r\n")), Some(400));
}

#[test]
fn bodies_are_framed_by_length_or_by_chunks() {
    for (headers, framing) in [
        ("Content-Length: 0\r\n", BodyFraming::None),
        ("Content-Length: 5\r\n", BodyFraming::Length(5)),
        ("content-length:\t18446744073709551615 \r\n", BodyFraming::Length(u64::MAX)),
        ("Transfer-Encoding: chunked\r\n", BodyFraming::Chunked),
        ("transfer-encoding: CHUNKED \r\n", BodyFraming::Chunked),
    ] {
        assert_eq!(with(headers).unwrap().framing, framing, "{headers}");
    }
}

#[test]
fn framing_that_can_be_read_in_two_ways_is_refused() {
    for (headers, expected) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: 5, 5\r\n", 400),
        ("Content-Length: +5\r\n", 400),
        ("Content-Length: -5\r\n", 400),
        ("Content-Length: 0x5\r\n", 400),
        ("Content-Length: 5 5\r\n", 400),
        ("Content-Length: 5a\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: 18446744073709551616\r\n", 400),
        ("Content-Length : 5\r\n", 400),
        ("Transfer-Encoding : chunked\r\n", 400),
        ("Transfer-Encoding\t: chunked\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: chunked, gzip\r\n", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 501),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501),
        ("Transfer-Encoding: identity\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Transfer-Encoding: \"chunked\"\r\n", 501),
        ("Transfer-Encoding: chunked;q=1\r\n", 501),
        ("Transfer-Encoding: chunked,\r\n", 501),
        ("Transfer-Encoding:\r\n", 501),
        ("Transfer-Encoding:\r\n chunked\r\n", 400),
        ("Transfer-Encoding: \x0bchunked\r\n", 400),
        ("X: y\rTransfer-Encoding: chunked\r\n", 400),
        ("X: y\nTransfer-Encoding: chunked\r\n", 400),
        (": empty\r\n", 400),
        ("no colon\r\n", 400),
        ("Host: b\r\n", 400),
        ("Host: a\r\n", 400),
        ("Expect: 200-ok\r\n", 417),
    ] {
        assert_eq!(status(with(headers)), Some(expected), "{headers:?}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(status(parse(old)), Some(400));
}

#[test]
fn request_lines_that_are_not_valid_are_refused() {
    for (line, expected) in [
        ("GET / HTTP/1.1", None),
        ("GET  / HTTP/1.1", Some(400)),
        ("GET /  HTTP/1.1", Some(400)),
        ("GET / HTTP/1.1 ", Some(400)),
        ("GET\t/\tHTTP/1.1", Some(400)),
        ("GET /", Some(400)),
        ("GET", Some(400)),
        ("GET * HTTP/1.1", Some(400)),
        ("OPTIONS * HTTP/1.1", Some(400)),
        ("CONNECT a:443 HTTP/1.1", Some(400)),
        ("GET v2/ HTTP/1.1", Some(400)),
        ("GET /a/../b HTTP/1.1", Some(400)),
        ("get / HTTP/1.1", Some(501)),
        ("BREW / HTTP/1.1", Some(501)),
        ("G(T / HTTP/1.1", Some(400)),
        ("GET / HTTP/2.0", Some(505)),
        ("GET / HTTP/1.2", Some(505)),
        ("GET / http/1.1", Some(400)),
        ("GET / HTTP/1.1.1", Some(400)),
        ("GET / HTTP/1", Some(400)),
    ] {
        assert_eq!(status(parse(&format!("{line}\r\nHost: a\r\n\r\n"))), expected, "{line:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(8 * 1024));
    assert_eq!(status(parse(&long)), Some(u16::from(StatusCode::UriTooLong)));
}

#[test]
fn a_host_is_asked_of_http_1_1_only() {
    assert_eq!(status(parse("GET / HTTP/1.1\r\nA: b\r\n\r\n")), Some(400));
    assert_eq!(status(parse("GET / HTTP/1.1\r\nHost:\r\n\r\n")), Some(400));
    assert_eq!(status(parse("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")), Some(400));
    let head = parse("GET / HTTP/1.0\r\n\r\n").unwrap();
    assert!(head.request.header("Host").is_none());
    assert_eq!(status(parse("GET / HTTP/1.0\r\nHost: a b\r\n\r\n")), Some(400));
}

#[test]
fn connections_are_kept_as_the_version_has_it() {
    for (head, kept) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, Close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false),
    ] {
        assert_eq!(parse(head).unwrap().keep_alive, kept, "{head:?}");
    }
}

#[test]
fn the_expectation_counts_only_with_a_body_and_with_http_1_1() {
    for (head, expects) in [
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n", true),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", true),
        ("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", false),
        ("PUT / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n", false),
        ("PUT / HTTP/1.0\r\nContent-Length: 1\r\nExpect: other\r\n\r\n", false),
    ] {
        assert_eq!(parse(head).unwrap().expects_continue, expects, "{head:?}");
    }
}
