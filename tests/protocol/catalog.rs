//! The extensions: the catalog of repositories, and the list of extensions.

use crate::support::{TestServer, follow};

/// §17: the catalog lists the repositories that have manifests, in the order of their bytes.
#[test]
fn the_catalog_lists_repositories_with_manifests() {
    let server = TestServer::start();
    assert_eq!(server.get("/v2/_catalog").send().is(200).body, br#"{"repositories":[]}"#);
    for repo in ["b", "a/b", "a", "a-b", "a/b/c"] {
        server.push_tagged(repo, "v1");
    }
    server.push_blob("only/blobs", "content");
    let answer = server.get("/v2/_catalog").send().is(200);
    assert_eq!(answer.header("Content-Type"), "application/json");
    assert_eq!(answer.texts("repositories"), ["a", "a-b", "a/b", "a/b/c", "b"]);
}

/// §17: an empty repository is not listed until it is pushed to again.
#[test]
fn an_emptied_repository_is_not_listed() {
    let server = TestServer::start();
    let image = server.push_tagged("emptied", "v1");
    server.push_tagged("kept", "v1");
    server.delete("/v2/emptied/manifests/v1").send().is(202);
    assert_eq!(server.get("/v2/_catalog").send().texts("repositories"), ["emptied", "kept"]);
    server.delete(format!("/v2/emptied/manifests/{}", image.digest)).send().is(202);
    assert_eq!(server.get("/v2/_catalog").send().texts("repositories"), ["kept"]);
    server.push("emptied", "v1", &image).is(201);
    assert_eq!(server.get("/v2/_catalog").send().texts("repositories"), ["emptied", "kept"]);
}

/// §17: `n`, `n=0`, `last` and links are as for tags.
#[test]
fn the_catalog_is_paginated() {
    let server = TestServer::start();
    let repos = ["a", "b/c", "d", "e/f/g"];
    for repo in repos {
        server.push_tagged(repo, "v1");
    }
    server.push_blob("b/without-manifests", "content");
    for (n, parts) in [(1, 4), (2, 2), (3, 2), (4, 1), (1000, 1)] {
        let listed = follow(&server, &format!("/v2/_catalog?n={n}"));
        assert_eq!(listed.len(), parts, "n={n}");
        assert_eq!(listed.iter().flat_map(|part| part.texts("repositories")).collect::<Vec<_>>(), repos);
    }
    let first = server.get("/v2/_catalog?n=2").send().is(200);
    assert_eq!(first.header("Link"), "</v2/_catalog?n=2&last=b%2Fc>; rel=\"next\"");
    let none = server.get("/v2/_catalog?n=0").send().is(200);
    assert_eq!((none.texts("repositories").len(), none.next()), (0, None));
    for last in ["b/c", "b%2Fc", "c"] {
        let answer = server.get(format!("/v2/_catalog?last={last}")).send().is(200);
        assert_eq!(answer.texts("repositories"), ["d", "e/f/g"]);
    }
    server.get("/v2/_catalog?n=-1").send().fails(400, "PAGINATION_NUMBER_INVALID");
}

/// §17: the existing extensions can be discovered with their endpoints; others do not exist.
#[test]
fn extensions_are_discovered() {
    let server = TestServer::start();
    let body = server.get("/v2/_oci/ext/discover").send().is(200).json();
    for (at, name, endpoint) in [(0, "_oci", "/v2/_oci/ext/discover"), (1, "_catalog", "/v2/_catalog")] {
        let extension = &body["extensions"][at];
        assert_eq!(extension["name"], name);
        assert_eq!(extension["endpoints"], serde_json::json!([endpoint]));
        assert!(extension["url"].as_str().unwrap().starts_with("https://"));
        assert!(!extension["description"].as_str().unwrap().is_empty());
        server.get(endpoint).send().is(200);
    }
    for path in ["/v2/_docker/x", "/v2/_chainguard/x/y", "/v2/a/_oci/x"] {
        server.get(path).send().is(404);
    }
}
