//! Rules for all requests, and the answer to `/v2/`.

use crate::support::{Manifest, OCTETS, TestServer, sha256, unknown_digest, with_query};

/// H1: pull, push, discovery and management exist completely.
#[test]
fn every_category_is_served() {
    let server = TestServer::start();
    let image = server.push_tagged("all/of/it", "v1");
    let blob = server.push_blob("all/of/it", "one more");
    server.manifest("all/of/it", "v1").is(200);
    server.head(format!("/v2/all/of/it/manifests/{}", image.digest)).send().is(200);
    server.blob("all/of/it", &blob).is(200);
    server.head(format!("/v2/all/of/it/blobs/{blob}")).send().is(200);
    server.tags("all/of/it", "").is(200);
    server.referrers("all/of/it", &image.digest, "");
    server.delete("/v2/all/of/it/manifests/v1").send().is(202);
    server.delete(format!("/v2/all/of/it/manifests/{}", image.digest)).send().is(202);
    server.delete(format!("/v2/all/of/it/blobs/{blob}")).send().is(202);
}

/// H2: what the specification leaves open follows RFC 9110: dates, methods, persistent connections.
#[test]
fn what_is_not_specified_follows_http() {
    let server = TestServer::start();
    let answer = server.get("/v2/").send().is(200);
    assert!(answer.header("Date").ends_with(" GMT"));
    assert_eq!(answer.header("Connection"), "close");
    server.request("BREW", "/v2/").send().fails(501, "UNSUPPORTED");
    let options = server.request("OPTIONS", "/v2/a/blobs/uploads/").send().is(204);
    assert_eq!(options.header("Allow"), "POST, OPTIONS");

    let mut connection = server.connect();
    for _ in 0..3 {
        let answer = connection.exchange(&server.get("/v2/")).is(200);
        assert_eq!(answer.maybe("Connection"), None);
    }
}

/// H3: no request is redirected.
#[test]
fn no_request_is_redirected() {
    let server = TestServer::start();
    let image = server.push_tagged("a", "v1");
    let blob = server.push_blob("a", "a blob");
    for target in
        [format!("/v2/a/blobs/{blob}"), format!("/v2/a/manifests/{}", image.digest), "/v2".to_owned()]
    {
        let answer = server.get(target).send().is(200);
        assert_eq!(answer.maybe("Location"), None);
    }
}

/// H4: HEAD has the headers of GET, including its length, and no body, also for a 404.
#[test]
fn head_has_the_headers_of_get() {
    let server = TestServer::start();
    let image = server.push_tagged("a/b", "v1");
    let blob = server.push_blob("a/b", "a blob");
    let empty = server.push_blob("a/b", "");
    let targets = [
        ("/v2/".to_owned(), 200),
        ("/v2/_catalog".to_owned(), 200),
        ("/v2/a/b/tags/list".to_owned(), 200),
        ("/v2/a/b/manifests/v1".to_owned(), 200),
        (format!("/v2/a/b/manifests/{}", image.digest), 200),
        (format!("/v2/a/b/blobs/{blob}"), 200),
        (format!("/v2/a/b/blobs/{empty}"), 200),
        (format!("/v2/a/b/referrers/{blob}"), 200),
        ("/v2/a/b/manifests/none".to_owned(), 404),
        (format!("/v2/a/b/blobs/{}", unknown_digest()), 404),
        ("/v2/none/tags/list".to_owned(), 404),
        ("/elsewhere".to_owned(), 404),
    ];
    for (target, status) in targets {
        let headers = |method: &str| {
            let mut headers = server.request(method, &target).send().is(status).headers;
            headers.retain(|(name, _)| !["date", "x-request-id"].contains(&name.to_lowercase().as_str()));
            headers.sort();
            headers
        };
        assert_eq!(headers("HEAD"), headers("GET"), "{target}");
    }
}

/// H5: every Go client accepts gzip, and containerd zstd as well; no answer is encoded.
#[test]
fn nothing_is_encoded_whatever_the_client_accepts() {
    let server = TestServer::start();
    let layer = "a".repeat(100_000);
    let blob = server.push_blob("a", &layer);
    let image = server.push_tagged("a", "v1");
    for accepted in ["gzip", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5", "br, identity;q=0"] {
        let get = |target: String| {
            let answer = server.get(target).header("Accept-Encoding", accepted).send().is(200);
            assert_eq!(answer.maybe("Content-Encoding"), None);
            assert_eq!(answer.maybe("Vary"), None);
            answer.body
        };
        assert!(get(format!("/v2/a/blobs/{blob}")) == layer.as_bytes());
        assert!(get("/v2/a/manifests/v1".to_owned()) == image.bytes);
        assert!(get(format!("/v2/a/referrers/{}", image.digest)).starts_with(b"{"));
        assert!(get("/v2/a/tags/list".to_owned()).starts_with(b"{"));
        assert!(get("/v2/_catalog".to_owned()).starts_with(b"{"));
    }
}

/// H6: Location is a path with a leading slash that survives what clients do to its query.
#[test]
fn a_location_survives_what_clients_do_to_its_query() {
    let server = TestServer::start();
    let bytes = b"content";
    let digest = sha256(bytes);
    let encoded = digest.replace(':', "%3A");
    for query in [
        format!("digest={digest}"),
        format!("digest={encoded}"),
        format!("digest={}", digest.replace(':', "%3a")),
        format!("a=1&digest={encoded}"),
        format!("digest={encoded}&z=%3D%3D&_state=a%2Bb"),
        format!("&digest={digest}"),
        format!("%64igest={encoded}"),
    ] {
        let location = server.begin("some/repo");
        assert!(location.starts_with("/v2/some/repo/blobs/uploads/"));
        let location = server.patch(with_query(&location, "x=y")).body(bytes).send().is(202).location();
        let answer = server.put(with_query(&location, &query)).body("").send().is(201);
        assert_eq!(server.get(answer.location()).send().is(200).body, bytes, "{query}");
    }
    let manifest = server.push_image("some/repo", "x");
    let location = server.push("some/repo", "t", &manifest).location();
    assert_eq!(server.get(location).send().is(200).body, manifest.bytes);
}

/// H7: a known path with another method is 405 with Allow, an unknown path is 404, both with JSON.
#[test]
fn other_methods_are_refused_with_the_allowed_ones() {
    let server = TestServer::start();
    let digest = unknown_digest();
    let session = server.begin("a");
    for (method, target, allow) in [
        ("POST", "/v2/", "GET, HEAD, OPTIONS"),
        ("DELETE", "/v2/_catalog", "GET, HEAD, OPTIONS"),
        ("PUT", "/v2/a/tags/list", "GET, HEAD, OPTIONS"),
        ("POST", "/v2/a/manifests/v1", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("PATCH", &format!("/v2/a/blobs/{digest}"), "GET, HEAD, DELETE, OPTIONS"),
        ("PUT", &format!("/v2/a/referrers/{digest}"), "GET, HEAD, OPTIONS"),
        ("GET", "/v2/a/blobs/uploads/", "POST, OPTIONS"),
        ("POST", &session, "GET, HEAD, PATCH, PUT, DELETE, OPTIONS"),
    ] {
        let answer = server.request(method, target).send().fails(405, "UNSUPPORTED");
        assert_eq!(answer.header("Allow"), allow, "{method} {target}");
    }
    for target in ["/v1/", "/v2/a", "/v2/a/b/c", "/v2/_oci/other", "/v2/a/tags", "/v2/a/manifests"] {
        for method in ["GET", "PUT", "DELETE"] {
            let answer = server.request(method, target).send().is(404);
            assert_eq!(answer.maybe("Allow"), None);
            assert_eq!(answer.header("Content-Type"), "application/json");
        }
    }
}

/// Probes that were written for other registries ask for `/`.
#[test]
fn the_root_is_answered() {
    let server = TestServer::start();
    let get = server.get("/").send().is(200);
    let head = server.head("/").send().is(200);
    assert_eq!(head.header("Content-Length"), get.body.len().to_string());
    assert_eq!(
        server.post("/").body("").send().fails(405, "UNSUPPORTED").header("Allow"),
        "GET, HEAD, OPTIONS"
    );
}

/// H8: paths and queries may be percent-encoded in part, in full, or not at all.
#[test]
fn encoded_and_literal_targets_are_the_same() {
    let server = TestServer::start();
    let image = server.push_tagged("wire/docker", "v1");
    let blob = server.push_blob("wire/docker", "a blob");
    let hex = image.digest.strip_prefix("sha256:").unwrap();
    for target in [
        "/v2/wire%2Fdocker/manifests/v1".to_owned(),
        "/v2/wire%2fdocker/manifests/%761".to_owned(),
        format!("/v2/wire/docker/manifests/sha256%3A{hex}"),
        format!("/v2/%77ire%2Fdocker/manifests/sha256%3a{hex}"),
    ] {
        assert_eq!(server.get(target).send().is(200).body, image.bytes);
    }
    for query in [
        format!("mount={blob}&from=wire/docker"),
        format!("from=wire%2Fdocker&mount={}", blob.replace(':', "%3A")),
    ] {
        server.post(format!("/v2/other/blobs/uploads/?{query}")).body("").send().is(201);
        server.delete(format!("/v2/other/blobs/{blob}")).send().is(202);
    }
}

/// H9: the plus of a media type arrives encoded, raw, or as a space by the rules of forms.
#[test]
fn a_plus_in_a_query_is_a_plus() {
    let server = TestServer::start();
    let subject = server.push_image("a", "subject");
    let artifact = Manifest::artifact(&subject, "application/x+json", &serde_json::json!({}));
    server.push_artifact("a", &artifact);
    for filter in ["application/x+json", "application%2Fx%2Bjson", "application%2Fx%20json"] {
        let answer = server.referrers("a", &subject.digest, &format!("?artifactType={filter}"));
        assert_eq!(answer.json()["manifests"][0]["digest"], artifact.digest, "{filter}");
    }
}

/// V1: 200 identifies a registry of the specification, and no login is required.
#[test]
fn the_ping_identifies_a_registry() {
    let server = TestServer::start();
    let answer = server.get("/v2/").send().is(200);
    assert_eq!(answer.maybe("WWW-Authenticate"), None);
    let with_login = server.get("/v2/").header("Authorization", "Basic Og==").send().is(200);
    assert_eq!(with_login.body, answer.body);
}

/// V2: its body and headers are those that old clients check, with and without the slash, and for HEAD.
#[test]
fn the_ping_has_the_body_and_headers_that_clients_expect() {
    let server = TestServer::start();
    for (method, target) in [("GET", "/v2/"), ("GET", "/v2"), ("HEAD", "/v2/"), ("HEAD", "/v2")] {
        let answer = server.request(method, target).send().is(200);
        assert_eq!(answer.header("Content-Type"), "application/json");
        assert_eq!(answer.header("Docker-Distribution-Api-Version"), "registry/2.0");
        assert_eq!(answer.header("Content-Length"), "2");
        assert_eq!(answer.body, if method == "GET" { &b"{}"[..] } else { b"" });
    }
}

/// Y1, Y2: pulk is no proxy: a pull that names a namespace is answered from this store, without claiming one.
#[test]
fn the_namespace_of_a_mirrored_pull_is_ignored() {
    let server = TestServer::start();
    let image = server.push_tagged("library/alpine", "v1");
    for target in [
        "/v2/library/alpine/manifests/v1?ns=docker.io".to_owned(),
        format!("/v2/library/alpine/manifests/{}?ns=docker.io", image.digest),
    ] {
        let answer = server.get(target).send().is(200);
        assert_eq!(answer.body, image.bytes);
        assert_eq!(answer.maybe("OCI-Namespace"), None);
    }
    server.get("/v2/library/none/manifests/v1?ns=docker.io").send().is(404);
}

/// An early refusal reaches a client that is still sending its body.
#[test]
fn the_refusal_of_a_large_upload_can_be_read() {
    let server = TestServer::start();
    let large = vec![b'x'; 64 * 1024 * 1024];
    server.push_blob("a", "to make the repository known");
    let typed = |target: &str| server.put(target).header("Content-Type", OCTETS).body(&large);
    typed("/v2/a/manifests/v1").send().fails(413, "SIZE_INVALID");
    let session = "/v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000";
    let unknown = format!("{session}?digest={}", unknown_digest());
    typed(&unknown).send().fails(404, "BLOB_UPLOAD_UNKNOWN");
    server.patch(session).chunked(&large, 1024 * 1024).send().fails(404, "BLOB_UPLOAD_UNKNOWN");
}
