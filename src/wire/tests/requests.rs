//! Requests and their bodies, over a socket.

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use smol::Timer;
use smol::future::poll_once;

use super::server::{TestServer, answer};
use crate::wire::admission::Holder;
use crate::wire::connection::Connection;
use crate::wire::stream::{MemoryStream, Stream, write_all};
use crate::wire::{Stop, WireLimits};

#[test]
fn a_connection_is_kept_for_further_requests() {
    let server = TestServer::start();
    let mut client = server.connect();
    for _ in 0..3 {
        let answer = client.get("/hello");
        assert_eq!((answer.status, answer.text()), (200, "hello"));
        assert!(answer.header("Date").unwrap().ends_with(" GMT"));
        assert_eq!(answer.header("Connection"), None);
    }
    assert_eq!(client.get("/peer").text(), client.socket.local_addr().unwrap().to_string());
}

#[test]
fn pipelined_requests_get_their_answers_in_order() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(
        "GET /target?1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\
         two\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n\
         GET /target?4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    let bodies: Vec<String> = (0..4).map(|_| client.answer().text().to_owned()).collect();
    assert_eq!(bodies, ["/target?1", "two", "three", "/target?4"]);
    assert!(client.has_ended());
}

/// A client that always has the next request ready must not keep the thread.
#[test]
fn a_client_that_never_pauses_leaves_others_their_turn() {
    let (server, client) = MemoryStream::pair();
    let requests = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    smol::block_on(write_all(&client, requests.as_bytes())).unwrap();
    let answered = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&answered);
    let connection = Connection {
        stream: Arc::new(server),
        holder: Holder::new(),
        peer: "127.0.0.1:1".into(),
        app: Arc::new(move |request| {
            counted.fetch_add(1, Ordering::SeqCst);
            answer(request)
        }),
        limits: Arc::new(WireLimits::default()),
        health_paths: Arc::new([]),
        stop: Stop::new(),
        refusals: Arc::default(),
    };
    smol::block_on(async {
        let mut connection = Box::pin(connection.run());
        for _ in 0..1_000 {
            let before = answered.load(Ordering::SeqCst);
            assert!(poll_once(&mut connection).await.is_none());
            // In one turn it answers some, though all of them are there.
            let in_a_row = answered.load(Ordering::SeqCst) - before;
            assert!(in_a_row <= 20, "{in_a_row} in a row");
            if before == 100 {
                break;
            }
            Timer::after(Duration::from_millis(1)).await;
        }
        client.shutdown_write().unwrap();
        connection.await;
    });
    assert_eq!(answered.load(Ordering::SeqCst), 100);
}

#[test]
fn a_body_that_is_not_read_does_not_become_the_next_request() {
    let server = TestServer::start();
    let mut client = server.connect();
    let smuggled = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(format!(
        "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{smuggled}",
        smuggled.len()
    ));
    assert_eq!(client.answer().status, 403);
    client.send(format!(
        "POST /ignore HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{smuggled}\r\n0\r\n\r\n",
        smuggled.len()
    ));
    assert_eq!(client.answer().status, 403);
    assert_eq!(client.get("/target").text(), "/target");
}

#[test]
fn a_part_of_a_body_can_be_read() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    assert_eq!(client.answer().text(), "01234");
    client.send("56789GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().text(), "hello");
}

#[test]
fn targets_reach_the_application_as_sent() {
    let server = TestServer::start();
    let mut client = server.connect();
    for query in ["?digest=sha256%3A00&from=a/b", "?a+b=%20&&='\"<>", "?", ""] {
        assert_eq!(client.get(&format!("/target{query}")).text(), format!("/target{query}"));
    }
    assert_eq!(client.get("/url?x=%2F").text(), "http://localhost/url?x=%2F");
    client.send("GET http://b.example/target?x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().text(), "/target?x");
}

#[test]
fn requests_that_can_be_read_in_two_ways_are_refused_and_end_the_connection() {
    let server = TestServer::start();
    for (request, status) in [
        (
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n\
             0\r\n\r\nG",
            400,
        ),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400),
        ("GET /hello HTTP/1.1\nHost: a\n\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /../hello HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("\x16\x03\x01\x02\x00\x01\x00\x01", 400),
    ] {
        let all = server.ask(format!("{request}GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(all.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {all}");
        assert_eq!(all.matches("HTTP/1.1").count(), 1, "{request:?}: {all}");
        assert!(all.contains("Content-Type: application/json\r\n"), "{all}");
        assert!(all.contains("Connection: close\r\n"), "{all}");
        assert!(all.contains(r#"{"errors":[{"code":"UNSUPPORTED","message":""#), "{all}");
    }
}

#[test]
fn heads_over_a_limit_are_refused() {
    let server = TestServer::start();
    for (request, status) in [
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(8 * 1024)), 414),
        (format!("GET /{}", "a".repeat(9 * 1024)), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(40 * 1024)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: a\r\n".repeat(100)), 431),
    ] {
        let all = server.ask(request);
        assert!(all.starts_with(&format!("HTTP/1.1 {status} ")), "{all}");
    }
}

#[test]
fn a_body_sent_byte_by_byte_arrives_whole() {
    let server = TestServer::start();
    let mut client = server.connect();
    let request = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5;x=y\r\nhello\r\nC\r\n, registries\r\n0\r\nTrailer: a\r\n\r\n";
    for byte in request.as_bytes() {
        client.send([*byte]);
    }
    assert_eq!(client.answer().text(), "hello, registries");
    assert_eq!(client.get("/hello").text(), "hello");
}

#[test]
fn large_bodies_arrive_whole() {
    let server = TestServer::start();
    let body: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let mut client = server.connect();
    client.send(format!("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    assert_eq!(client.answer().body, body);
    client.send("PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in body.chunks(32 * 1024 - 1) {
        client.send(format!("{:X}\r\n", chunk.len()));
        client.send(chunk);
        client.send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.answer().body, body);
}

#[test]
fn a_body_cut_short_is_an_error_and_still_answered() {
    let server = TestServer::start();
    for request in [
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n0\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n012",
    ] {
        let mut client = server.connect();
        client.send(request);
        client.socket.shutdown(Shutdown::Write).unwrap();
        let all = client.rest();
        assert!(all.starts_with("HTTP/1.1 400 "), "{all}");
        assert!(
            all.contains("Connection: close") && all.ends_with("the request's body ended early"),
            "{all}"
        );
    }
}

#[test]
fn broken_chunks_are_an_error_and_end_the_connection() {
    let server = TestServer::start();
    for body in ["g\r\n", "5\nhello\r\n0\r\n\r\n", "10000000000000000\r\n", "5\r\nhello0\r\n\r\n", "-1\r\n"] {
        let all = server.ask(format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             {body}GET /hello HTTP/1.1\r\n"
        ));
        assert!(all.starts_with("HTTP/1.1 400 ") && all.contains("failed: the chunks"), "{body:?}: {all}");
        assert_eq!(all.matches("HTTP/1.1").count(), 1, "{all}");
    }
}

#[test]
fn a_half_closed_client_gets_its_answer() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    client.socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.answer().text(), "hello");
    assert!(client.has_ended());
}

#[test]
fn continue_is_sent_when_the_body_is_first_read() {
    let server = TestServer::start();
    let mut client = server.connect();
    for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        client.send(format!("PUT /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{framing}\r\n\r\n"));
        assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
        client.send(if framing.ends_with('5') { "hello" } else { "5\r\nhello\r\n0\r\n\r\n" });
        let answer = client.answer();
        assert_eq!((answer.status, answer.text()), (200, "hello"));
    }
}

#[test]
fn no_continue_is_sent_when_the_body_is_not_wanted() {
    let server = TestServer::start();
    let all =
        server.ask("PUT /ignore HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert!(all.starts_with("HTTP/1.1 403 ") && all.contains("Connection: close\r\n"), "{all}");
}

#[test]
fn no_continue_is_sent_to_a_client_that_does_not_wait() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("PUT /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.answer().text(), "hello");
}

#[test]
fn an_early_refusal_of_a_large_upload_can_be_read() {
    let server = TestServer::start();
    for framing in ["Content-Length: 33554432", "Transfer-Encoding: chunked"] {
        let mut client = server.connect();
        client.send(format!("PUT /ignore HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
        if framing.ends_with("chunked") {
            client.send("2000000\r\n");
        }
        // Like simple clients, send everything before reading the answer.
        let piece = vec![0; 1024 * 1024];
        for _ in 0..32 {
            client.send(&piece);
        }
        let answer = client.answer();
        assert_eq!((answer.status, answer.text()), (403, "no"));
        assert_eq!(answer.header("Connection"), Some("close"));
    }
}

#[test]
fn a_head_that_takes_too_long_is_answered_408() {
    let limits = WireLimits { head_time_max: Duration::from_millis(200), ..WireLimits::default() };
    let server = TestServer::with(limits, answer);
    let all = server.ask("GET /hello HTTP/1.1\r\nHost:");
    assert!(all.starts_with("HTTP/1.1 408 ") && all.contains("\"UNKNOWN\""), "{all}");
}

#[test]
fn an_idle_connection_is_closed_without_an_answer() {
    let limits = WireLimits { keep_alive_idle_max: Duration::from_millis(200), ..WireLimits::default() };
    let server = TestServer::with(limits, answer);
    assert_eq!(server.connect().rest(), "");
    let mut client = server.connect();
    assert_eq!(client.get("/hello").text(), "hello");
    assert!(client.has_ended());
}

#[test]
fn a_body_without_progress_is_given_up() {
    let limits = WireLimits { body_progress_time_max: Duration::from_millis(200), ..WireLimits::default() };
    let server = TestServer::with(limits, answer);
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    let answer = client.answer();
    assert_eq!(answer.text(), "failed: no more of the request's body came in time");
    assert_eq!(answer.header("Connection"), Some("close"));
}

#[test]
fn what_the_client_did_not_say_is_not_made_up() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("PATCH /content-type HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(client.answer().text(), "None");
    client.send("PATCH /content-type HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Type: a/b\r\n\r\nx");
    assert_eq!(client.answer().text(), "Some(\"a/b\")");
}
