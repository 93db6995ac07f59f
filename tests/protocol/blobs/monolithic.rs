//! Starting an upload, and pushing a blob in one request.

use std::time::Duration;

use crate::support::{OCTETS, TestServer, filler, sha256, unknown_digest, with_query};

/// How often a test polls whether an upload has expired before it fails.
const ASKED_MAX: usize = 1000;

/// U1, U2: POST opens a session with its own location, and sends the headers that distribution sends.
#[test]
fn a_post_opens_a_session() {
    let server = TestServer::start();
    let open = || server.post("/v2/a/b/blobs/uploads/").body("").send().is(202);
    let (one, other) = (open(), open());
    assert_ne!(one.location(), other.location());
    assert!(one.location().starts_with("/v2/a/b/blobs/uploads/"));
    assert!(one.location().contains(one.header("Docker-Upload-UUID")));
    assert_eq!(one.header("Range"), "0-0");
    assert_eq!(one.header("Content-Length"), "0");
}

/// U3, C13: no chunk is too small, so no minimum is sent.
#[test]
fn chunks_may_be_as_small_as_can_be() {
    let server = TestServer::start();
    let post = server.post("/v2/a/blobs/uploads/").body("").send().is(202);
    assert_eq!(post.maybe("OCI-Chunk-Min-Length"), None);
    let location = post.location();
    for (at, byte) in b"abc".iter().enumerate() {
        let answer = server
            .patch(&location)
            .header("Content-Range", format!("{at}-{at}"))
            .header("Content-Type", OCTETS)
            .body([*byte])
            .send()
            .is(202);
        assert_eq!(answer.header("Range"), format!("0-{at}"));
        assert_eq!(answer.maybe("OCI-Chunk-Min-Length"), None);
    }
    server.put(with_query(&location, &format!("digest={}", sha256("abc")))).body("").send().is(201);
}

/// U4: an unknown algorithm is refused when it is announced.
#[test]
fn an_unknown_algorithm_is_refused_at_once() {
    let server = TestServer::start();
    for algorithm in ["md5", "", "SHA256", "sha3%2B512"] {
        let target = format!("/v2/a/blobs/uploads/?digest-algorithm={algorithm}");
        server.post(target).body("").send().fails(400, "DIGEST_INVALID");
    }
}

/// U5: body and type of POST are ignored, and length and slash may be missing.
#[test]
fn body_and_type_of_a_post_are_ignored() {
    let server = TestServer::start();
    let typed = server.post("/v2/a/blobs/uploads/").header("Content-Type", "application/json");
    for request in [
        typed.body("{\"not\": \"content\"}"),
        server.post("/v2/a/blobs/uploads/"),
        server.post("/v2/a/blobs/uploads"),
        server.post("/v2/a/blobs/uploads/").chunked(b"ignored", 3),
    ] {
        let location = request.send().is(202).location();
        assert_eq!(server.get(&location).send().is(204).header("Range"), "0--1");
        let end = with_query(&location, &format!("digest={}", sha256("content")));
        server.put(end).body("content").send().is(201);
    }
}

/// U6: a session belongs to its repository.
#[test]
fn a_session_is_unknown_to_other_repositories() {
    let server = TestServer::start();
    server.push_blob("b", "known");
    let location = server.begin("a");
    let elsewhere = location.replace("/v2/a/", "/v2/b/");
    assert_ne!(location, elsewhere);
    server.patch(&elsewhere).body("x").send().fails(404, "BLOB_UPLOAD_UNKNOWN");
    server.get(&elsewhere).send().fails(404, "BLOB_UPLOAD_UNKNOWN");
    let end = format!("digest={}", sha256("x"));
    server.put(with_query(&elsewhere, &end)).body("x").send().fails(404, "BLOB_UPLOAD_UNKNOWN");
    server.delete(&elsewhere).send().fails(404, "BLOB_UPLOAD_UNKNOWN");
    server.put(with_query(&location, &end)).body("x").send().is(201);
}

/// U7, C14: an idle upload expires, and is then unknown.
#[test]
fn an_idle_upload_expires() {
    let server = TestServer::with(|options| options.registry.upload_idle_max = Duration::from_millis(20));
    let location = server.begin("a");
    // Polled without touching the upload, since a request for its status keeps it alive.
    let uploads = |server: &TestServer| {
        let metrics = String::from_utf8(server.get("/metrics").send().is(200).body).unwrap();
        let line = metrics.lines().find(|line| line.starts_with("pulk_uploads_in_flight "));
        line.map(str::to_owned).unwrap_or_else(|| panic!("{metrics}"))
    };
    let over = (0..ASKED_MAX).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        uploads(&server).ends_with(" 0")
    });
    assert!(over, "{}", uploads(&server));
    server.get(&location).send().fails(404, "BLOB_UPLOAD_UNKNOWN");
    server.patch(&location).body("x").send().fails(404, "BLOB_UPLOAD_UNKNOWN");
}

/// U10, U11, U16: PUT is 201 with a location to pull from and the digest, and the blob exists at once.
#[test]
fn a_blob_is_pushed_with_one_put() {
    let server = TestServer::start();
    for length in [0, 1, 70_000, 2 * 1024 * 1024] {
        let bytes = filler(6, length);
        let digest = sha256(&bytes);
        let location = with_query(&server.begin("a/b"), &format!("digest={digest}"));
        let put = server.put(&location).header("Content-Type", OCTETS).body(&bytes).send().is(201);
        assert_eq!(put.digest(), digest);
        assert_eq!(put.header("Location"), format!("/v2/a/b/blobs/{digest}"));
        let head = server.head(put.location()).send().is(200);
        assert_eq!(head.header("Content-Length"), length.to_string());
        assert!(server.get(put.location()).send().is(200).body == bytes);
        // The session is over.
        server.get(location).send().fails(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

/// U12, C15: content with another digest is refused, and nothing of it is kept.
#[test]
fn content_with_another_digest_is_refused() {
    let server = TestServer::start();
    server.push_blob("a", "known");
    let (said, actual) = (sha256("what was said"), sha256("what came"));
    server.push_blob_as("a", &said, "what came").fails(400, "DIGEST_INVALID");
    server.push_blob_as("a", "md5:d41d8cd98f00b204e9800998ecf8427e", "").fails(400, "DIGEST_INVALID");
    server.push_blob_as("a", "sha256:short", "").fails(400, "DIGEST_INVALID");
    let post = server.post(format!("/v2/a/blobs/uploads/?digest={said}")).body("what came");
    post.send().fails(400, "DIGEST_INVALID");
    for digest in [said, actual] {
        server.blob("a", &digest).fails(404, "BLOB_UNKNOWN");
    }
}

/// U13: without a digest the upload cannot be completed, and stays.
#[test]
fn an_end_without_a_digest_is_refused_and_the_session_stays() {
    let server = TestServer::start();
    let location = server.begin("a");
    server.patch(&location).body("content").send().is(202);
    server.put(&location).body("more").send().fails(400, "DIGEST_INVALID");
    server.put(with_query(&location, "digest=")).body("").send().fails(400, "DIGEST_INVALID");
    assert_eq!(server.get(&location).send().is(204).header("Range"), "0-6");
    let end = with_query(&location, &format!("digest={}", sha256("content")));
    server.put(end).body("").send().is(201);
}

/// U14: a single POST stores the whole blob.
#[test]
fn a_blob_is_pushed_with_one_post() {
    let server = TestServer::start();
    let bytes = filler(7, 100_000);
    for (digest, request) in [
        (sha256(&bytes), server.post(format!("/v2/a/blobs/uploads/?digest={}", sha256(&bytes))).body(&bytes)),
        (sha256(""), server.post(format!("/v2/a/blobs/uploads/?digest={}", sha256(""))).body("")),
        (
            sha256("chunked"),
            server.post(format!("/v2/a/blobs/uploads?digest={}", sha256("chunked"))).chunked(b"chunked", 2),
        ),
    ] {
        let answer = request.header("Content-Type", OCTETS).send().is(201);
        assert_eq!(answer.header("Location"), format!("/v2/a/blobs/{digest}"));
        assert_eq!(answer.digest(), digest);
        server.get(answer.location()).send().is(200);
    }
    server.blob("a", &unknown_digest()).is(404);
}

/// U15: a body that ends early, or is longer than its length, stores nothing.
#[test]
fn a_body_that_breaks_off_stores_nothing() {
    let server = TestServer::start();
    server.push_blob("a", "known");
    for digest in [sha256("cont"), sha256("content")] {
        let location = with_query(&server.begin("a"), &format!("digest={digest}"));
        for target in [location, format!("/v2/a/blobs/uploads/?digest={digest}")] {
            let method = if target.contains("uploads/?") { "POST" } else { "PUT" };
            let mut connection = server.connect();
            let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n");
            connection.send(format!("{head}cont").as_bytes());
            connection.end_sending();
            connection.answer(method).fails(400, "SIZE_INVALID");
        }
        server.blob("a", &digest).is(404);
    }
    let (digest, chunk) = (sha256("content"), "7\r\ncontent\r\n");
    for end in ["", "0", "0\r\n", "1\r\n", "x\r\n\r\n", "0\r\nTrailer: x\r\n"] {
        let head = format!(
            "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        let mut connection = server.connect();
        connection.send(format!("{head}{chunk}{end}").as_bytes());
        connection.end_sending();
        connection.answer("POST").is(400);
        server.blob("a", &digest).is(404);
    }
    // What follows a body is the next request, not more of it.
    let target = format!("/v2/a/blobs/uploads/?digest={}", sha256("contentmore"));
    let mut connection = server.connect();
    connection.send(
        format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\ncontentmore").as_bytes(),
    );
    connection.answer("POST").fails(400, "DIGEST_INVALID");
    server.blob("a", &sha256("contentmore")).is(404);
}
