//! Other protocols, other versions, and requests that differ from what they declare.

use crate::support::{Victim, answers_in};

#[test]
fn other_protocols_on_the_port_are_refused() {
    let victim = Victim::start("");
    let http_2 = victim.provoke("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert!(http_2.starts_with("HTTP/1.1 505 ") && answers_in(&http_2) == 1, "{http_2}");
    let hello = victim.provoke("\x16\x03\x01\x02\0\x01\0\x01\u{7f}\x03\x03");
    assert!(hello.starts_with("HTTP/1.1 400 ") && answers_in(&hello) == 1, "{hello}");
    let upgrade =
        "GET /v2/ HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n";
    let all = victim.ask(upgrade);
    assert!(all.starts_with("HTTP/1.1 200 ") && answers_in(&all) == 1, "{all}");
    for line in ["HELO a.example", "SSH-2.0-OpenSSH_9.9", "*1\r\n$4\r\nPING", "{}", "\u{ff}\u{fe}"] {
        let all = victim.ask(format!("{line}\r\n\r\n"));
        assert!(all.starts_with("HTTP/1.1 400 ") && answers_in(&all) == 1, "{line}: {all}");
    }
    victim.serves();
}

#[test]
fn http_1_0_has_no_chunks_and_no_kept_connection_unless_asked_for() {
    let victim = Victim::start("");
    let all = victim.provoke("GET /v2/ HTTP/1.0\r\n\r\nGET /v2/ HTTP/1.0\r\n\r\n");
    assert!(all.starts_with("HTTP/1.1 200 ") && answers_in(&all) == 1, "{all}");
    let all = victim.ask("GET /v2/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /v2/ HTTP/1.0\r\n\r\n");
    assert_eq!(answers_in(&all), 2, "{all}");
    let all = victim.provoke("POST /v2/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert!(all.starts_with("HTTP/1.1 400 "), "{all}");
}

#[test]
fn heads_over_a_limit_are_refused_before_they_end() {
    let victim = Victim::start("");
    let memory = victim.memory_kib();
    for (start, status) in [
        (format!("GET /{}", "a".repeat(9_000)), "414"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(40_000)), "431"),
        (format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(200)), "431"),
        (format!("GET / HTTP/1.1\r\nHost: {}", "a".repeat(8 * 1024 * 1024)), "431"),
        ("a".repeat(1024 * 1024), "414"),
    ] {
        for _ in 0..20 {
            let all = victim.provoke(&start);
            assert_eq!(all.get(9..12), Some(status), "{all}");
        }
    }
    assert!(victim.memory_kib() < memory + 8 * 1024, "heads stay in memory");
    victim.serves();
}

/// An answer has one part or the whole: thousands of ranges must not become thousands of parts.
#[test]
fn many_ranges_are_the_whole_once() {
    let victim = Victim::start("");
    let path = victim.push_blob(1000);
    let many = "0-999,".repeat(1_000);
    let mut client = victim.connect();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nRange: bytes={many}\r\n\r\n"));
    let answer = client.answer();
    assert_eq!((answer.status, answer.text.len()), (200, 1000));
    for (range, status) in [
        ("bytes=18446744073709551615-", 416),
        ("bytes=-18446744073709551616", 206),
        ("bytes=0-18446744073709551616", 206),
        ("bytes=1-0", 416),
        ("bytes=-0", 416),
        ("bytes=+1-2", 200),
    ] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nRange: {range}\r\n\r\n"));
        assert_eq!(client.answer().status, status, "{range}");
    }
}

#[test]
fn a_body_shorter_than_declared_stores_nothing_and_a_longer_one_is_no_request() {
    let victim = Victim::start("");
    let hello = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let post = format!("POST /v2/a/blobs/uploads/?digest={hello} HTTP/1.1\r\nHost: a\r\n");
    for rest in [
        "Content-Length: 6\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Transfer-Encoding: chunked\r\n\r\n6\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ] {
        let all = victim.ask(format!("{post}{rest}"));
        assert!(all.starts_with("HTTP/1.1 400 ") && answers_in(&all) == 1, "{rest:?}: {all}");
        assert_eq!(victim.connect().get(&format!("/v2/a/blobs/{hello}")).status, 404);
    }
    let all = victim.provoke(format!("{post}Content-Length: 5\r\n\r\nhello and more\r\n\r\n"));
    assert!(all.starts_with("HTTP/1.1 201 ") && answers_in(&all) == 2, "{all}");
    assert!(all.contains("HTTP/1.1 400 "), "{all}");
}

#[test]
fn pipelined_requests_are_answered_once_each_and_in_order() {
    let victim = Victim::start("");
    let mut client = victim.connect();
    let ids = 0..500;
    for id in ids.clone() {
        client.send(format!("GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Request-Id: number-{id}\r\n\r\n"));
    }
    for id in ids {
        assert_eq!(client.answer().header("x-request-id"), Some(format!("number-{id}").as_str()));
    }
    // A refused one ends the connection, whatever follows it.
    client.send(
        "GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\nGET /\0 HTTP/1.1\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(answers_in(&client.rest()), 2);
}

/// A client that sends requests without reading gets a bounded number of answers: further ones wait in the
/// client's own buffers.
#[test]
fn a_client_that_sends_requests_without_reading_takes_no_more_memory() {
    let victim = Victim::start("body_progress = \"1s\"");
    let before = victim.settled();
    let memory = victim.memory_kib();
    let mut client = victim.connect();
    client.socket.set_write_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    let requests = "GET /v2/_catalog HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1_000);
    for _ in 0..2_000 {
        if std::io::Write::write_all(&mut client.socket, requests.as_bytes()).is_err() {
            break;
        }
    }
    assert!(victim.memory_kib() < memory + 4 * 1024, "memory grows");
    victim.comes_back_to(before);
}

#[test]
fn a_misused_expectation_breaks_nothing() {
    let victim = Victim::start("body_progress = \"1s\"");
    // Without a body there is nothing to wait for; HTTP/1.0 has no expectations.
    for request in [
        "GET /v2/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "GET /v2/ HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
    ] {
        let all = victim.ask(request);
        assert!(all.starts_with("HTTP/1.1 200 ") && !all.contains(" 100 "), "{all}");
    }
    let all = victim.provoke("PUT /v2/ HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx");
    assert!(all.starts_with("HTTP/1.1 417 ") && answers_in(&all) == 1, "{all}");

    // The awaited body never comes, or another request comes in its place, which is then read as the body.
    let patch = |path: &str| {
        format!("PATCH {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 40\r\n\r\n")
    };
    let path = victim.begin();
    let all = victim.provoke(patch(&path));
    assert!(all.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408 "), "{all}");
    let path = victim.begin();
    let mut client = victim.connect();
    client.send(patch(&path));
    assert!(client.head().starts_with("HTTP/1.1 100 "));
    client.send(format!("{:40}", "GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"));
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("range")), (202, Some("0-39")));

    // A refusal instead of 100 ends the connection, because the body may follow or not.
    let all = victim.provoke(patch("/v2/a/blobs/uploads/none"));
    assert!(all.starts_with("HTTP/1.1 404 ") && answers_in(&all) == 1, "{all}");
}
