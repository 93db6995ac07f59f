//! Answers, over a socket.

use tide::http::StatusCode;

use super::server::{TestServer, Told, answer};
use crate::wire::{Sent, WireLimits};

#[test]
fn a_body_of_unknown_length_is_not_sent() {
    let server = TestServer::start();
    let mut client = server.connect();
    let answer = client.get("/stream");
    assert!(answer.status == 500 && answer.text().contains("\"UNKNOWN\""), "{}", answer.head);
    assert_eq!(client.get("/hello").text(), "hello");
}

#[test]
fn an_http_1_0_connection_is_kept_only_on_demand() {
    let server = TestServer::start();
    let all = server.ask("GET /hello HTTP/1.0\r\n\r\n");
    assert!(all.contains("Connection: close\r\n") && all.ends_with("\r\n\r\nhello"), "{all}");
    let mut client = server.connect();
    for _ in 0..2 {
        client.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let answer = client.answer();
        assert_eq!((answer.text(), answer.header("Connection")), ("hello", Some("keep-alive")));
    }
}

/// H4: HEAD has an explicit length and no body, and is never chunked.
#[test]
fn head_has_a_length_and_no_body() {
    let server = TestServer::start();
    let mut client = server.connect();
    for (path, length) in [
        ("/hello", Some("Content-Length: 5\r\n")),
        ("/length", Some("Content-Length: 5368709120\r\n")),
        ("/stream", None),
        ("/none", None),
    ] {
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = client.head();
        assert_eq!(head.contains("Content-Length"), length.is_some(), "{head}");
        assert!(head.contains(length.unwrap_or_default()), "{head}");
        assert!(!head.contains("Transfer-Encoding"), "{head}");
    }
    // Had there been a body, it would be taken for this answer's head.
    assert_eq!(client.get("/hello").status, 200);
}

#[test]
fn statuses_without_a_body_have_none() {
    let server = TestServer::start();
    let mut client = server.connect();
    for path in ["/no-content", "/not-modified"] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = client.head();
        assert!(!head.contains("Content-Length") && !head.contains("Transfer-Encoding"), "{head}");
    }
    let missing = client.get("/none");
    assert_eq!((missing.status, missing.header("Content-Length")), (404, Some("0")));
}

#[test]
fn large_answers_arrive_whole() {
    let server = TestServer::start();
    let mut client = server.connect();
    let answer = client.get("/large");
    assert_eq!(answer.header("Content-Length"), Some("300000"));
    assert!(answer.body.iter().all(|byte| *byte == b'x'));
    assert_eq!(client.get("/hello").text(), "hello");
}

#[test]
fn a_header_with_a_line_end_is_not_sent() {
    let server = TestServer::start();
    let mut client = server.connect();
    let answer = client.get("/bad-header");
    assert_eq!(answer.status, 500);
    assert!(!answer.head.contains("Injected"), "{}", answer.head);
    assert!(answer.text().contains("\"UNKNOWN\""));
}

#[test]
fn an_answer_that_ends_early_is_no_whole_answer() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("GET /short HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut all = Vec::new();
    let ended = std::io::Read::read_to_end(&mut client.socket, &mut all);
    assert!(ended.is_err() || !String::from_utf8_lossy(&all).contains("\r\n\r\nshort"), "{all:?}");
}

#[test]
fn the_application_can_end_the_connection() {
    let server = TestServer::start();
    let all = server.ask("GET /close HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(all.matches("Connection: close\r\n").count(), 1, "{all}");
    assert!(all.ends_with("\r\n\r\nlast"), "{all}");
}

#[test]
fn a_panic_is_answered_500_and_harms_no_other_connection() {
    let server = TestServer::start();
    let mut other = server.connect();
    assert_eq!(other.get("/hello").text(), "hello");
    let all = server.ask("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(all.starts_with("HTTP/1.1 500 ") && all.contains("\"UNKNOWN\""), "{all}");
    let all = server.ask("POST /panic HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert!(all.starts_with("HTTP/1.1 500 "), "{all}");
    assert_eq!(other.get("/hello").text(), "hello");
    assert_eq!(server.connect().get("/hello").text(), "hello");
}

#[test]
fn a_tide_application_can_be_served() {
    let told = Told::default();
    let telling = told.clone();
    let mut tide = tide::new();
    tide.at("/v2/*rest").put(move |mut request: tide::Request<()>| {
        let on_sent = telling.on_sent();
        async move {
            let rest = request.param("rest")?.to_owned();
            let body = request.body_string().await?;
            let mut response = tide::Response::new(201);
            response.set_body(format!("{rest}: {body}"));
            response.insert_ext(on_sent);
            Ok(response)
        }
    });
    let server = TestServer::with(WireLimits::default(), move |request| {
        let tide = tide.clone();
        async move { tide.respond(request).await.unwrap() }
    });
    let mut client = server.connect();
    client.send("PUT /v2/a/b?x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    let answer = client.answer();
    assert_eq!((answer.status, answer.text()), (201, "a/b: body"));
    assert_eq!(told.wait(1), [Sent { bytes_in: 4, bytes_out: 9, complete: true }]);
    assert_eq!(client.get("/v2/a").status, 405);
}

/// The phrases that `http_types` has otherwise, or that are most often read.
const PHRASES: [(u16, &str); 12] = [
    (200, "OK"),
    (201, "Created"),
    (202, "Accepted"),
    (203, "Non-Authoritative Information"),
    (206, "Partial Content"),
    (226, "IM Used"),
    (300, "Multiple Choices"),
    (304, "Not Modified"),
    (404, "Not Found"),
    (413, "Content Too Large"),
    (416, "Range Not Satisfiable"),
    (422, "Unprocessable Content"),
];

/// A response has the phrase of its specification, and no header that the application did not set. A cache
/// that revalidates takes the headers of a 304 over to the content that it has.
#[test]
fn a_response_without_a_body_has_only_the_headers_of_the_application() {
    let server = TestServer::start();
    let mut client = server.connect();
    let statuses = (200..600).filter(|status| StatusCode::try_from(*status).is_ok());
    for (status, method) in statuses.flat_map(|status| [(status, "GET"), (status, "HEAD")]) {
        client.send(format!("{method} /status/{status} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = client.head();
        let lines: Vec<_> = head.lines().filter(|line| !line.starts_with("Date: ")).collect();
        let phrase = PHRASES.iter().find(|(known, _)| *known == status).map(|(_, phrase)| *phrase);
        let first = format!("HTTP/1.1 {status} ");
        match phrase {
            Some(phrase) => assert_eq!(lines[0], first + phrase),
            None => assert!(lines[0].starts_with(&first), "{head}"),
        }
        let has_length = method == "GET" && !matches!(status, 204 | 304);
        let others = if has_length { vec!["Content-Length: 0", ""] } else { vec![""] };
        assert_eq!(lines[1..], others, "{method} {status}");
    }
}

/// A response that has a media type without a body keeps it, but never a 204 or a 304.
#[test]
fn a_media_type_stays_where_there_can_be_a_body() {
    let server = TestServer::with(WireLimits::default(), |request| async move {
        let mut response = answer(request).await;
        response.insert_header("Content-Type", "a/b");
        response
    });
    let mut client = server.connect();
    for (status, expected) in [(200, true), (201, true), (204, false), (304, false), (404, true)] {
        client.send(format!("GET /status/{status} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = client.head();
        assert_eq!(head.contains("Content-Type: a/b\r\n"), expected, "{head}");
        assert_eq!(head.contains("Content-Type"), expected, "{head}");
    }
}
