//! Uploads in several requests: chunks with a range, streams without one, status, cancellation.

use crate::support::{Answer, Client, OCTETS, TestServer, filler, sha256, with_query};

/// How often a test polls an upload's offset before it fails.
const ASKED_MAX: usize = 2000;

/// Sends a chunk with its range.
#[track_caller]
fn chunk(client: &Client, location: &str, first: usize, bytes: &[u8]) -> Answer {
    client
        .patch(location)
        .header("Content-Type", OCTETS)
        .header("Content-Range", format!("{first}-{}", first + bytes.len() - 1))
        .body(bytes)
        .send()
}

/// Ends an upload with a body that may be empty.
#[track_caller]
fn end(client: &Client, location: &str, whole: &[u8], last: &[u8]) -> Answer {
    client.put(with_query(location, &format!("digest={}", sha256(whole)))).body(last).send()
}

/// C1, C2, C7: the answer to each chunk has the last byte of the blob so far, and PUT completes it.
#[test]
fn chunks_are_answered_with_the_last_byte_so_far() {
    let server = TestServer::start();
    let bytes = filler(10, 300_000);
    let mut location = server.begin("a");
    for (at, part) in bytes.chunks(100_000).enumerate() {
        let answer = chunk(&server, &location, at * 100_000, part).is(202);
        assert_eq!(answer.header("Range"), format!("0-{}", (at + 1) * 100_000 - 1));
        location = answer.location();
    }
    let answer = end(&server, &location, &bytes, b"").is(201);
    assert_eq!(answer.header("Location"), format!("/v2/a/blobs/{}", sha256(&bytes)));
    assert!(server.get(answer.location()).send().body == bytes);
}

/// C2: a malformed range, one that does not begin at 0, and one in the form of answers are refused.
#[test]
fn a_range_of_another_form_is_refused() {
    let server = TestServer::start();
    let location = server.begin("a");
    for range in
        ["bytes=0-6", "bytes 0-6/7", "0-", "-6", "0", "a-b", "6-0", "", "0-6/7", "0-99999999999999999999"]
    {
        let answer = server.patch(&location).header("Content-Range", range).body("content").send();
        answer.fails(400, "BLOB_UPLOAD_INVALID");
    }
    chunk(&server, &location, 1, b"content").is(416);
    assert_eq!(server.get(&location).send().is(204).header("Range"), "0--1");
    chunk(&server, &location, 0, b"content").is(202);
    end(&server, &location, b"content", b"").is(201);
}

/// C3, C11: a chunk before or after the upload's offset is 416 and changes nothing; the answer has the
/// offset.
#[test]
fn chunks_out_of_order_are_refused_with_the_offset() {
    let server = TestServer::start();
    let location = server.begin("a");
    let ahead = chunk(&server, &location, 4, b"more").fails(416, "BLOB_UPLOAD_INVALID");
    assert_eq!((ahead.header("Location"), ahead.header("Range")), (&*location, "0--1"));
    chunk(&server, &location, 0, b"some").is(202);
    for first in [0, 2, 3, 5, 4000] {
        let refused = chunk(&server, &location, first, b"more").fails(416, "BLOB_UPLOAD_INVALID");
        assert_eq!((refused.header("Location"), refused.header("Range")), (&*location, "0-3"));
        assert_eq!(server.get(&location).send().is(204).header("Range"), "0-3");
    }
    chunk(&server, &location, 4, b"more").is(202);
    end(&server, &location, b"somemore", b"").is(201);
}

/// C4, C11: a last chunk out of order is 416, too, and the session stays.
#[test]
fn a_last_chunk_out_of_order_is_refused_and_the_session_stays() {
    let server = TestServer::start();
    let location = server.begin("a");
    chunk(&server, &location, 0, b"some").is(202);
    let target = with_query(&location, &format!("digest={}", sha256("somemore")));
    for range in ["0-3", "3-6", "5-8"] {
        let put = server.put(&target).header("Content-Range", range).body("more");
        let refused = put.send().fails(416, "BLOB_UPLOAD_INVALID");
        assert_eq!((refused.header("Location"), refused.header("Range")), (&*location, "0-3"));
    }
    server.blob("a", &sha256("somemore")).is(404);
    server.put(&target).header("Content-Range", "4-7").body("more").send().is(201);
    assert_eq!(server.blob("a", &sha256("somemore")).is(200).body, b"somemore");
}

/// C5, C6: streams have no range, mostly no length, some no type; several of them append.
#[test]
fn streams_append_without_range_length_and_type() {
    let server = TestServer::start();
    let bytes = filler(11, 1_000_000);
    let location = server.begin("a");
    let answer = server.patch(&location).chunked(&bytes[..700_000], 32 * 1024).send().is(202);
    assert_eq!(answer.header("Range"), "0-699999");
    let answer = server.patch(answer.location()).chunked(&bytes[700_000..700_001], 1).send().is(202);
    assert_eq!(answer.header("Range"), "0-700000");
    let with_length = server.patch(answer.location()).header("Content-Type", "text/plain");
    let answer = with_length.body(&bytes[700_001..]).send().is(202);
    assert_eq!(answer.header("Range"), "0-999999");
    let answer = end(&server, &answer.location(), &bytes, b"").is(201);
    assert!(server.get(answer.location()).send().body == bytes);
}

/// C1, C5: a stream may be empty; docker pushes empty layers this way.
#[test]
fn a_stream_may_be_empty() {
    let server = TestServer::start();
    let answer = server.patch(server.begin("a")).chunked(b"", 1).send().is(202);
    assert_eq!(answer.header("Range"), "0-0");
    end(&server, &answer.location(), b"", b"").is(201);
    assert_eq!(
        server.head(format!("/v2/a/blobs/{}", sha256(""))).send().is(200).header("Content-Length"),
        "0"
    );
}

/// C7: the last chunk may come with PUT, with its range or without.
#[test]
fn the_last_chunk_may_come_with_the_end() {
    let server = TestServer::start();
    let location = server.begin("a");
    chunk(&server, &location, 0, b"some").is(202);
    end(&server, &location, b"somemore", b"more").is(201);
    let location = server.begin("a");
    chunk(&server, &location, 0, b"some").is(202);
    let target = with_query(&location, &format!("digest={}", sha256("some other")));
    server.put(target).header("Content-Range", "4-9").body(" other").send().is(201);
    let location = server.begin("a");
    server.patch(&location).chunked(b"some", 2).send().is(202);
    let target = with_query(&location, &format!("digest={}", sha256("some third")));
    server.put(target).chunked(b" third", 2).send().is(201);
    for content in ["somemore", "some other", "some third"] {
        assert_eq!(server.blob("a", &sha256(content)).is(200).body, content.as_bytes());
    }
}

/// C8, C9: the status has the upload's offset; if it is empty, regclient continues at byte 0.
#[test]
fn the_status_has_the_offset() {
    let server = TestServer::start();
    let location = server.begin("a");
    let next =
        |answer: &Answer| answer.header("Range").split_once('-').unwrap().1.parse::<i64>().unwrap() + 1;
    let status = server.get(&location).send().is(204);
    assert_eq!((status.header("Location"), status.header("Range")), (&*location, "0--1"));
    assert_eq!(next(&status), 0);
    chunk(&server, &location, 0, b"some").is(202);
    for method in ["GET", "HEAD"] {
        let status = server.request(method, &location).send().is(204);
        assert_eq!((status.header("Location"), status.header("Range")), (&*location, "0-3"));
        assert_eq!(next(&status), 4);
    }
}

/// C10: the location of an earlier answer stays valid, and refuses a chunk that came already.
#[test]
fn an_older_location_of_a_session_stays_valid() {
    let server = TestServer::start();
    let oldest = server.begin("a");
    let older = chunk(&server, &oldest, 0, b"some").is(202).location();
    let newest = chunk(&server, &older, 4, b"more").is(202).location();
    for location in [&oldest, &older, &newest] {
        assert_eq!(server.get(location).send().is(204).header("Range"), "0-7");
        chunk(&server, location, 4, b"more").is(416);
        chunk(&server, location, 0, b"some").is(416);
    }
    end(&server, &oldest, b"somemore", b"").is(201);
    for location in [&oldest, &older, &newest] {
        server.get(location).send().fails(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

/// C12: a length that differs from the range's is refused, and nothing is stored.
#[test]
fn a_length_that_differs_from_the_range_is_refused() {
    let server = TestServer::start();
    let location = server.begin("a");
    for range in ["0-5", "0-7", "0-0"] {
        let patch = server.patch(&location).header("Content-Range", range).body("content");
        patch.send().fails(400, "SIZE_INVALID");
        assert_eq!(server.get(&location).send().is(204).header("Range"), "0--1");
    }
}

/// C12: the length of a stream is known only at its end; bytes up to the range's end are kept and reported.
#[test]
fn a_stream_that_differs_from_its_range_is_refused() {
    let server = TestServer::start();
    let location = server.begin("a");
    for size in [7, 4, 1] {
        let location = server.begin("a");
        let longer = server.patch(&location).header("Content-Range", "0-3").chunked(b"content", size);
        longer.send().fails(400, "SIZE_INVALID");
        assert_eq!(server.get(&location).send().is(204).header("Range"), "0-3");
    }
    let shorter = server.patch(&location).header("Content-Range", "0-9").chunked(b"content", 3);
    shorter.send().fails(400, "SIZE_INVALID");
    assert_eq!(server.get(&location).send().is(204).header("Range"), "0-6");
    let target = with_query(&location, &format!("digest={}", sha256("content and more")));
    let longer = server.put(&target).header("Content-Range", "7-8").chunked(b" and more", 9);
    longer.send().fails(400, "SIZE_INVALID");
    server.put(target).header("Content-Range", "9-15").chunked(b"nd more", 9).send().is(201);
}

/// C12: after a chunk breaks off, the status has the offset, and the client resumes there.
#[test]
fn an_upload_resumes_after_a_broken_connection() {
    let server = TestServer::start();
    let bytes = filler(12, 2_000_000);
    let location = server.begin("a");
    let mut connection = server.connect();
    let head = format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", bytes.len());
    connection.send(head.as_bytes());
    connection.send(&bytes[..1_200_000]);
    // Waits until some of it arrived, since the connection could break first.
    let arrived = |server: &TestServer| {
        let status = server.get(&location).send().is(204);
        let last: i64 = status.header("Range").strip_prefix("0-").unwrap().parse().unwrap();
        usize::try_from(last + 1).unwrap()
    };
    assert!((0..ASKED_MAX).any(|_| arrived(&server) > 0), "nothing arrived");
    connection.cut();
    let resumed = (0..ASKED_MAX).any(|_| {
        let offset = arrived(&server);
        chunk(&server, &location, offset, &bytes[offset..]).status == 202
    });
    assert!(resumed, "no chunk was taken");
    assert_eq!(arrived(&server), bytes.len());
    end(&server, &location, &bytes, b"").is(201);
    assert!(server.blob("a", &sha256(&bytes)).is(200).body == bytes);
}

/// C14: a session that never existed or has ended is unknown to every method.
#[test]
fn an_unknown_session_is_not_found() {
    let server = TestServer::start();
    let ended = server.begin("a");
    end(&server, &ended, b"content", b"content").is(201);
    let digest = format!("digest={}", sha256("x"));
    for location in [
        &*ended,
        "/v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000",
        "/v2/a/blobs/uploads/none",
        "/v2/none/blobs/uploads/00000000-0000-4000-8000-000000000000",
    ] {
        for request in [
            server.get(location),
            server.patch(location).body("x"),
            server.put(with_query(location, &digest)).body("x"),
            server.delete(location),
        ] {
            request.send().fails(404, "BLOB_UPLOAD_UNKNOWN");
        }
    }
}

/// C15: a wrong digest at the end is 400, and neither digest can be pulled.
#[test]
fn chunks_with_another_digest_are_refused() {
    let server = TestServer::start();
    server.push_blob("a", "known");
    for last in ["", "more"] {
        let location = server.begin("a");
        chunk(&server, &location, 0, b"some").is(202);
        end(&server, &location, b"other", last.as_bytes()).fails(400, "DIGEST_INVALID");
        for content in ["some", "somemore", "other"] {
            server.blob("a", &sha256(content)).fails(404, "BLOB_UNKNOWN");
        }
    }
}

/// X1, X2: an upload can be cancelled once; then it is unknown, and nothing of it is left.
#[test]
fn a_cancelled_upload_is_gone() {
    let server = TestServer::start();
    server.push_blob("a", "known");
    for stored in ["", "some"] {
        let location = server.begin("a");
        server.patch(&location).body(stored).send().is(202);
        server.delete(&location).send().is(204);
        server.get(&location).send().fails(404, "BLOB_UPLOAD_UNKNOWN");
        server.patch(&location).body("more").send().fails(404, "BLOB_UPLOAD_UNKNOWN");
        end(&server, &location, stored.as_bytes(), b"").fails(404, "BLOB_UPLOAD_UNKNOWN");
        server.delete(&location).send().fails(404, "BLOB_UPLOAD_UNKNOWN");
        server.blob("a", &sha256(stored)).is(404);
    }
}

/// X2: cancelling deletes no content, and works if deletion is disabled.
#[test]
fn an_upload_can_be_cancelled_if_deletion_is_disabled() {
    let server = TestServer::with(|options| options.http.deletes = false);
    server.delete(server.begin("a")).send().is(204);
}

/// C12: a client whose request hangs reconnects and takes its upload over, wherever the first request waits.
#[test]
fn a_client_that_comes_back_takes_its_upload_over() {
    let server = TestServer::start();
    for hanging in [
        "Content-Length: 100\r\n\r\n",
        "Content-Length: 8\r\nContent-Range: 0-7\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
        // Everything in its range may have arrived, but not its end.
        "Transfer-Encoding: chunked\r\nContent-Range: 0-3\r\n\r\n4\r\nsome\r\n",
    ] {
        let location = server.begin("a");
        let mut connection = server.connect();
        connection.send(format!("PATCH {location} HTTP/1.1\r\nHost: x\r\n{hanging}").as_bytes());
        if hanging.contains("some") {
            wait_until_at(&server, &location, "0-3");
        } else {
            chunk(&server, &location, 0, b"some").is(202);
        }
        chunk(&server, &location, 4, b"more").is(202);
        end(&server, &location, b"somemore", b"").is(201);
        drop(connection);
    }
}

/// Waits until an upload has this range.
fn wait_until_at(client: &Client, location: &str, range: &str) {
    let is_there = || client.get(location).send().is(204).header("Range") == range;
    assert!((0..ASKED_MAX).any(|_| is_there()), "the upload never came to {range}");
}
