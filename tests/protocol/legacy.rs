//! The steps of the conformance suite of version 1.1.1 of the specification, in its order, for what only that
//! suite tests.

use serde_json::json;

use crate::support::{Manifest, OCTETS, TestServer, sha256, unknown_digest, with_query};

/// E1, E2, M7, B4: pulls of missing things fail in the specification's form, and HEAD without a body.
#[test]
fn the_steps_of_its_pulls() {
    let server = TestServer::start();
    let image = server.push_tagged("conformance/a", "tagtest0");
    server.head(format!("/v2/conformance/a/blobs/{}", unknown_digest())).send().is(404);
    server.blob("conformance/a", &unknown_digest()).is(404);
    server.head("/v2/conformance/a/manifests/.INVALID_MANIFEST_NAME").send().is(404);
    let answer = server.manifest("conformance/a", ".INVALID_MANIFEST_NAME").is(404);
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    assert!(!errors.is_empty());
    for error in errors {
        let code = error["code"].as_str().unwrap();
        assert!(code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{code}");
    }
    for reference in ["tagtest0", &image.digest] {
        let head = server.head(format!("/v2/conformance/a/manifests/{reference}")).send().is(200);
        assert_eq!(head.digest(), image.digest);
        assert_eq!(server.manifest("conformance/a", reference).is(200).body, image.bytes);
    }
}

/// C1, C3, C5, C10, C8, U14: its pushes: streamed, whole with PUT and with POST, in chunks, and out of order.
#[test]
fn the_steps_of_its_pushes() {
    let server = TestServer::start();
    let content = b"NBA Jam on my NBA toast";
    let digest = sha256(content);
    let (one, two) = content.split_at(5);

    let patch = server.patch(server.begin("conformance/a")).header("Content-Type", OCTETS).body(content);
    let location = patch.send().is(202).location();
    let end = with_query(&location, &format!("digest={digest}"));
    let put = server.put(end).header("Content-Type", OCTETS).header("Content-Length", "0").send().is(201);
    server.get(put.location()).send().is(200);

    let single = server.post(format!("/v2/conformance/b/blobs/uploads/?digest={digest}"));
    let answer = single.header("Content-Type", OCTETS).body(content).send().is(201);
    server.get(answer.location()).send().is(200);

    let location = server.begin("conformance/c");
    let chunk = |location: &str, range: String, bytes: &[u8]| {
        let patch = server.patch(location).header("Content-Type", OCTETS).header("Content-Range", range);
        patch.body(bytes).send()
    };
    let (first, second) = (format!("0-{}", one.len() - 1), format!("{}-{}", one.len(), content.len() - 1));
    chunk(&location, second.clone(), two).is(416);
    let answer = chunk(&location, first.clone(), one).is(202);
    assert_eq!(answer.header("Range"), first);
    // Again to the location of the first answer.
    chunk(&location, first.clone(), one).is(416);
    let status = server.get(&location).send().is(204);
    assert_eq!(status.header("Range"), first);
    let answer = chunk(&status.location(), second, two).is(202);
    assert_eq!(answer.header("Range"), format!("0-{}", content.len() - 1));
    let end = with_query(&answer.location(), &format!("digest={digest}"));
    let put = server.put(end).header("Content-Type", OCTETS).body("").send().is(201);
    assert_eq!(server.get(put.location()).send().is(200).body, content);
}

/// T1, T2, T3, T5: its mounts: with a source the blob's exact location, without one any result.
#[test]
fn the_steps_of_its_mounts() {
    let server = TestServer::start();
    let digest = server.push_blob("conformance/a", "mounted");
    let post =
        |query: String| server.post(format!("/v2/conformance/b/blobs/uploads/?{query}")).body("").send();
    let answer = post(format!("mount={digest}&from=conformance/a")).is(201);
    assert_eq!(answer.header("Location"), format!("/v2/conformance/b/blobs/{digest}"));
    assert_eq!(server.blob("conformance/b", &digest).is(200).body, b"mounted");
    post(format!("mount={}&from=conformance/a", unknown_digest())).is(202);
    post(format!("mount={}", unknown_digest())).is(202);
    post(format!("mount={digest}")).is(201);
}

/// L1, L2, L3, L5, L6, R2, R6, R8: its discovery: tags in order, in pages and after a tag; referrers and
/// their filter.
#[test]
fn the_steps_of_its_discovery() {
    let server = TestServer::start();
    let image = server.push_image("conformance/a", "subject");
    let tags = ["test0", "test1", "test2", "test3", "TEST0", "TEST1", "TEST2", "TEST3"];
    for tag in tags {
        server.push("conformance/a", tag, &image).is(201);
    }
    let mut sorted = tags.map(str::to_owned).to_vec();
    sorted.sort();
    assert_eq!(server.tags("conformance/a", "").is(200).texts("tags"), sorted);
    let half = server.tags("conformance/a", "?n=4").is(200).texts("tags");
    assert_eq!(half, sorted[..4]);
    let query = format!("?n=4&last={}", half[3]);
    assert_eq!(server.tags("conformance/a", &query).is(200).texts("tags"), sorted[4..]);

    let count = |subject: &str, query: &str| {
        let answer = server.referrers("conformance/a", subject, query);
        assert_eq!(answer.maybe("OCI-Filters-Applied").is_some(), query.contains("artifactType"));
        answer.json()["manifests"].as_array().unwrap().len()
    };
    assert_eq!(count(&unknown_digest(), ""), 0);
    for (number, kind) in ["application/vnd.nba.strawberry.jam.croissant", "application/x"].iter().enumerate()
    {
        for salt in 0..=number {
            let artifact = Manifest::artifact(&image, kind, &json!({ "salt": salt.to_string() }));
            let answer = server.push_artifact("conformance/a", &artifact);
            assert_eq!(answer.header("OCI-Subject"), image.digest);
        }
    }
    assert_eq!(count(&image.digest, ""), 3);
    assert_eq!(count(&image.digest, "?artifactType=application/vnd.nba.strawberry.jam.croissant"), 1);
}

/// D1, D2, D3, D5: its deletions, blobs before their manifest as one of its settings wants, and the other
/// way round.
#[test]
fn the_steps_of_its_deletions() {
    let server = TestServer::start();
    for manifest_first in [false, true] {
        let image = server.push_tagged("conformance/a", "tagtest0");
        server.delete("/v2/conformance/a/manifests/tagtest0").send().is(202);
        server.manifest("conformance/a", "tagtest0").is(404);
        assert_eq!(server.tags("conformance/a", "").is(200).texts("tags"), [""; 0]);

        let manifest = format!("/v2/conformance/a/manifests/{}", image.digest);
        let config = sha256(r#"{"architecture":"amd64","os":"linux","author":"tagtest0"}"#);
        let mut targets = vec![
            format!("/v2/conformance/a/blobs/{config}"),
            format!("/v2/conformance/a/blobs/{}", sha256("layer of tagtest0")),
        ];
        targets.insert(if manifest_first { 0 } else { 2 }, manifest);
        for target in targets {
            server.delete(&target).send().is(202);
            server.get(&target).send().is(404);
        }
    }
}
