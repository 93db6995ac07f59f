//! Errors, warnings and limits.

use serde_json::Value;

use crate::support::{Manifest, OCI_MANIFEST, TestServer, sha256, unknown_digest, with_query};

/// E1, E2, E3, E6: each mistake has its status and code, in the specification's form and with the type that
/// docker parses; HEAD has only the status.
#[test]
fn every_mistake_has_its_status_and_code() {
    let server = TestServer::start();
    let image = server.push_tagged("a", "v1");
    let digest = unknown_digest();
    let session = server.begin("a");
    let get = |target: &str| server.get(target);
    let put = |target: &str| server.put(target).header("Content-Type", OCI_MANIFEST);
    let table = [
        (get("/v2/none/manifests/v1"), 404, "NAME_UNKNOWN"),
        (get("/v2/none/tags/list"), 404, "NAME_UNKNOWN"),
        (get("/v2/a/manifests/none"), 404, "MANIFEST_UNKNOWN"),
        (get(&format!("/v2/a/manifests/{digest}")), 404, "MANIFEST_UNKNOWN"),
        (get(&format!("/v2/a/blobs/{digest}")), 404, "BLOB_UNKNOWN"),
        (get("/v2/a/blobs/uploads/none"), 404, "BLOB_UPLOAD_UNKNOWN"),
        (get("/v2/A/tags/list"), 400, "NAME_INVALID"),
        (get("/v2/a/blobs/sha256:x"), 400, "DIGEST_INVALID"),
        (server.patch(&session).header("Content-Range", "x").body("x"), 400, "BLOB_UPLOAD_INVALID"),
        (server.patch(&session).header("Content-Range", "9-9").body("x"), 416, "BLOB_UPLOAD_INVALID"),
        (server.patch(&session).header("Content-Range", "0-1").body("x"), 400, "SIZE_INVALID"),
        (server.put(&session).body("x"), 400, "DIGEST_INVALID"),
        (put("/v2/a/manifests/v1").body("x"), 400, "MANIFEST_INVALID"),
        (put("/v2/b/manifests/v1").body(&image.bytes), 400, "MANIFEST_BLOB_UNKNOWN"),
        (put("/v2/a/manifests/v1").body(vec![b' '; 5 * 1024 * 1024]), 413, "SIZE_INVALID"),
        (server.post("/v2/a/tags/list"), 405, "UNSUPPORTED"),
        (get("/nowhere"), 404, "UNSUPPORTED"),
    ];
    for (request, status, code) in table {
        let what = format!("{request:?}");
        let answer = request.send();
        assert_eq!((answer.status, &*answer.code()), (status, code), "{what}");
        let message = answer.json()["errors"][0]["message"].clone();
        assert!(message.as_str().is_some_and(|message| !message.is_empty()), "{what}");
    }
    for target in ["/v2/none/manifests/v1", "/v2/A/manifests/v1", &format!("/v2/a/blobs/{digest}")] {
        let answer = server.head(target).send();
        assert_eq!(answer.status, server.get(target).send().status);
        assert_eq!(answer.header("Content-Type"), "application/json");
    }
}

/// E2: errors use only the specification's codes, and have details where there are any.
#[test]
fn details_name_what_is_missing() {
    let server = TestServer::start();
    server.push_tagged("a", "v1");
    let digest = unknown_digest();
    let detail = |target: &str| server.get(target).send().is(404).json()["errors"][0]["detail"].clone();
    assert_eq!(detail(&format!("/v2/a/blobs/{digest}")), serde_json::json!({ "digest": digest }));
    assert_eq!(detail(&format!("/v2/a/manifests/{digest}")), serde_json::json!({ "digest": digest }));
    assert_eq!(detail("/v2/a/manifests/none"), serde_json::json!({ "tag": "none" }));
    assert_eq!(detail("/v2/none/tags/list"), serde_json::json!({ "name": "none" }));
    assert_eq!(detail("/nowhere"), Value::Null);
}

/// E1, E3: what the transport refuses as no request is answered in the same form.
#[test]
fn what_is_no_request_is_refused_in_the_same_form() {
    let server = TestServer::start();
    let long = "a".repeat(9000);
    for (raw, status) in [
        ("GET /v2/\r\n\r\n".to_owned(), 400),
        ("GET /v2/ HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /v2/ HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n".to_owned(), 400),
        (
            "PUT /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
                .to_owned(),
            400,
        ),
        (format!("GET /v2/{long}/tags/list HTTP/1.1\r\nHost: x\r\n\r\n"), 414),
        (format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{}\r\n", format!("X: {long}\r\n").repeat(4)), 431),
    ] {
        let mut connection = server.connect();
        connection.send(raw.as_bytes());
        connection.answer("GET").is(status);
        assert!(connection.at_end());
    }
}

/// E4: too many uploads are refused with `Retry-After`; once one has ended, the next one is accepted.
#[test]
fn too_many_uploads_are_refused_with_retry_after() {
    let server = TestServer::with(|options| options.registry.upload_sessions_max = 2);
    let first = server.begin("a");
    server.begin("b");
    let refused = server.post("/v2/a/blobs/uploads/").body("").send().fails(429, "TOOMANYREQUESTS");
    assert!(refused.header("Retry-After").parse::<u32>().unwrap() > 0);
    let single = server.post(format!("/v2/a/blobs/uploads/?digest={}", sha256("x"))).body("x").send();
    assert!(single.fails(429, "TOOMANYREQUESTS").maybe("Retry-After").is_some());
    server.put(with_query(&first, &format!("digest={}", sha256("x")))).body("x").send().is(201);
    server.begin("a");
}

/// E5: no answer has a `Warning` header, which clients would print.
#[test]
fn no_answer_warns() {
    let server = TestServer::start();
    let image = server.push_tagged("a", "v1");
    for answer in [
        server.get("/v2/").send(),
        server.manifest("a", "v1"),
        server.push("a", "v1", &image),
        server.push("a", "-", &Manifest::index(&[])),
        server.delete("/v2/a/manifests/v1").send(),
    ] {
        assert_eq!(answer.all("Warning"), [""; 0]);
    }
}
