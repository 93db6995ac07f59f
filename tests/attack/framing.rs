//! Requests that can be read in two ways get one answer, a refusal, and the connection is closed.

use crate::support::{Victim, answers_in};

/// The smuggled request: if the server took it for one, there would be a second answer.
const SMUGGLED: &str = "GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends a request to an upload. What follows its head is the body in one reading, and more in the other.
#[track_caller]
fn is_refused(victim: &Victim, request: &str, statuses: &[u16]) {
    let all = victim.provoke(format!("{request}{SMUGGLED}"));
    let status = all.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    assert!(statuses.contains(&status), "{request:?}: {all}");
    assert_eq!(answers_in(&all), 1, "{request:?}: {all}");
    assert!(all.to_ascii_lowercase().contains("connection: close\r\n"), "{request:?}: {all}");
    assert!(all.contains(r#"{"errors":[{"code":""#), "{request:?}: {all}");
}

fn with(headers: &str, body: &str) -> String {
    format!("POST /v2/a/blobs/uploads/?digest=x HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}")
}

#[test]
fn a_body_with_two_framings_is_refused() {
    let victim = Victim::start("");
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    ] {
        is_refused(&victim, &with(headers, "0\r\n\r\n"), &[400]);
    }
    victim.serves();
}

#[test]
fn codings_in_disguise_are_refused() {
    let victim = Victim::start("");
    for (headers, status) in [
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 501),
        ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 501),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: chunked, gzip\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Transfer-Encoding: \"chunked\"\r\n", 501),
        ("Transfer-Encoding: chunked;q=1\r\n", 501),
        ("Transfer-Encoding:\r\n", 501),
        ("Transfer-Encoding : chunked\r\n", 400),
        ("Transfer-Encoding\t: chunked\r\n", 400),
        ("Transfer-Encoding: \u{b}chunked\r\n", 400),
        ("Transfer-Encoding: chunked\0\r\n", 400),
        ("Transfer-Encoding:\r\n chunked\r\n", 400),
        (" Transfer-Encoding: chunked\r\n", 400),
        ("X: y\rTransfer-Encoding: chunked\r\n", 400),
        ("X: y\nTransfer-Encoding: chunked\r\n", 400),
    ] {
        is_refused(&victim, &with(headers, "0\r\n\r\n"), &[status]);
    }
    victim.serves();
}

#[test]
fn lengths_that_are_none_or_two_are_refused() {
    let victim = Victim::start("");
    for headers in [
        "Content-Length: 0\r\nContent-Length: 30\r\n",
        "Content-Length: 30\r\nContent-Length: 30\r\n",
        "Content-Length: 30, 30\r\n",
        "Content-Length: +30\r\n",
        "Content-Length: -30\r\n",
        "Content-Length: 0x1e\r\n",
        "Content-Length: 3 0\r\n",
        "Content-Length:\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length : 30\r\n",
        "Content-Length: 3\r\n 0\r\n",
    ] {
        is_refused(&victim, &with(headers, ""), &[400]);
    }
    victim.serves();
}

/// A broken chunk is found while the handler reads: the upload fails, and the connection is closed.
#[test]
fn chunks_that_parsers_disagree_on_are_refused() {
    let victim = Victim::start("");
    for body in [
        "10000000000000000\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "-1\r\n",
        "+0\r\n\r\n",
        "0x0\r\n\r\n",
        " 0\r\n\r\n",
        "0 \r\n\r\n",
        "0\n\n",
        "0\r\n\n",
        "0\r\r\n\r\n",
        "1;a=\"\n\"\r\nx\r\n0\r\n\r\n",
        "1\r\nxx\r\n0\r\n\r\n",
        "1\r\nx\n0\r\n\r\n",
        "0\r\n",
        "0\r\nTrailer : x\r\n\r\n",
        &format!("1;{}\r\n", "x".repeat(20_000)),
        &format!("0\r\n{}\r\n", "X: y\r\n".repeat(3_000)),
    ] {
        let path = victim.begin();
        let patch = format!("PATCH {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        is_refused(&victim, &patch, &[400]);
    }
    victim.serves();
}

#[test]
fn lines_that_parsers_end_differently_are_refused() {
    let victim = Victim::start("");
    for head in [
        "GET /v2/ HTTP/1.1\nHost: a\n\n",
        "GET /v2/ HTTP/1.1\r\nHost: a\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n",
        "GET /v2/\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\n\r\n",
        "\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        is_refused(&victim, head, &[400]);
    }
    victim.serves();
}

#[test]
fn targets_that_name_something_else_to_a_proxy_are_refused() {
    let victim = Victim::start("");
    for target in [
        "*",
        "a.example:443",
        "/v2/../v2/",
        "/v2/%2e%2e/v2/",
        "/v2/./",
        "/v2\\a",
        "/v2/#a",
        "http://user@a.example/v2/",
        "ftp://a.example/v2/",
        "v2/",
    ] {
        is_refused(&victim, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), &[400]);
    }
    is_refused(&victim, "CONNECT a.example:443 HTTP/1.1\r\nHost: a\r\n\r\n", &[400]);
    // In absolute form the target's host is the one that is used, and the path is the same.
    let mut client = victim.connect();
    client.send("GET http://b.example/v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().status, 200);
}
