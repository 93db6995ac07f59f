//! Deleting tags, manifests and blobs.

use serde_json::json;

use crate::support::{Manifest, TestServer, sha256, unknown_digest};

/// D1: deleting a tag removes only the tag, at once.
#[test]
fn deleting_a_tag_keeps_the_manifest() {
    let server = TestServer::start();
    let image = server.push_tagged("a", "v1");
    server.push("a", "v2", &image).is(201);
    server.delete("/v2/a/manifests/v1").send().is(202);
    server.manifest("a", "v1").fails(404, "MANIFEST_UNKNOWN");
    server.head("/v2/a/manifests/v1").send().is(404);
    assert_eq!(server.manifest("a", "v2").is(200).body, image.bytes);
    assert_eq!(server.manifest("a", &image.digest).is(200).body, image.bytes);
    assert_eq!(server.tags("a", "").texts("tags"), ["v2"]);
    server.delete("/v2/a/manifests/v2").send().is(202);
    server.manifest("a", &image.digest).is(200);
    assert_eq!(server.tags("a", "").is(200).texts("tags"), [""; 0]);
}

/// D2: deleting a manifest removes all its tags, and no others.
#[test]
fn deleting_a_manifest_deletes_its_tags() {
    let server = TestServer::start();
    let (image, other) = (server.push_tagged("a", "v1"), server.push_tagged("a", "other"));
    for tag in ["v1.0", "latest"] {
        server.push("a", tag, &image).is(201);
    }
    server.push_tagged("b", "v1");
    server.delete(format!("/v2/a/manifests/{}", image.digest)).send().is(202);
    for reference in ["v1", "v1.0", "latest", &image.digest] {
        server.manifest("a", reference).fails(404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(server.tags("a", "").texts("tags"), ["other"]);
    assert_eq!(server.manifest("a", "other").is(200).digest(), other.digest);
    assert_eq!(server.manifest("b", "v1").is(200).digest(), image.digest);
    server.delete(format!("/v2/none/manifests/{}", image.digest)).send().fails(404, "NAME_UNKNOWN");
    server.delete("/v2/none/manifests/v1").send().fails(404, "NAME_UNKNOWN");
}

/// D3: a blob can be deleted; an unknown one is 404.
#[test]
fn deleting_a_blob_deletes_it_here_only() {
    let server = TestServer::start();
    let digest = server.push_blob("a", "content");
    server.push_blob("a", "something else");
    server.push_blob("b", "content");
    server.delete(format!("/v2/a/blobs/{digest}")).send().is(202);
    server.blob("a", &digest).fails(404, "BLOB_UNKNOWN");
    assert_eq!(server.blob("b", &digest).is(200).body, b"content");
    server.delete(format!("/v2/a/blobs/{}", unknown_digest())).send().fails(404, "BLOB_UNKNOWN");
    server.delete(format!("/v2/none/blobs/{digest}")).send().fails(404, "NAME_UNKNOWN");
}

/// D1, D2, D3: if deletion is disabled, it is 405 and changes nothing.
#[test]
fn deletion_can_be_switched_off() {
    let server = TestServer::with(|options| options.http.deletes = false);
    let image = server.push_tagged("a", "v1");
    let blob = server.push_blob("a", "content");
    for target in [
        "/v2/a/manifests/v1".to_owned(),
        format!("/v2/a/manifests/{}", image.digest),
        format!("/v2/a/blobs/{blob}"),
    ] {
        let answer = server.delete(&target).send().fails(405, "UNSUPPORTED");
        assert!(!answer.header("Allow").contains("DELETE"));
        server.get(target).send().is(200);
    }
}

/// D4: HEAD shows a deletion right after its answer.
#[test]
fn a_deletion_takes_effect_at_once() {
    let server = TestServer::start();
    for round in 0..20 {
        let image = server.push_tagged("a", &format!("v{round}"));
        let blob = server.push_blob("a", format!("blob {round}"));
        for target in [
            format!("/v2/a/manifests/v{round}"),
            format!("/v2/a/manifests/{}", image.digest),
            format!("/v2/a/blobs/{blob}"),
        ] {
            server.head(&target).send().is(200);
            server.delete(&target).send().is(202);
            server.head(&target).send().is(404);
        }
    }
}

/// D5: blobs may be deleted before the manifest that names them, which can still be pulled and deleted.
#[test]
fn blobs_may_be_deleted_before_their_manifest() {
    let server = TestServer::start();
    let image = server.push_tagged("a", "v1");
    let layer = sha256("layer of v1");
    server.delete(format!("/v2/a/blobs/{layer}")).send().is(202);
    server.blob("a", &layer).fails(404, "BLOB_UNKNOWN");
    assert_eq!(server.manifest("a", "v1").is(200).body, image.bytes);
    // Pushed again, it would reference missing blobs.
    server.push("a", "v2", &image).fails(400, "MANIFEST_BLOB_UNKNOWN");
    server.push_blob("a", "layer of v1");
    server.push("a", "v2", &image).is(201);
    server.delete(format!("/v2/a/manifests/{}", image.digest)).send().is(202);
    server.manifest("a", "v1").is(404);
}

/// D6: children of an image index and subjects may be deleted; what refers to them stays.
#[test]
fn children_and_subjects_may_be_deleted() {
    let server = TestServer::start();
    let child = server.push_image("a", "child");
    let index = Manifest::index(&[&child]);
    server.push("a", "index", &index).is(201);
    let artifact = Manifest::artifact(&child, "application/x", &json!({}));
    server.push_artifact("a", &artifact);
    server.delete(format!("/v2/a/manifests/{}", child.digest)).send().is(202);
    server.manifest("a", &child.digest).fails(404, "MANIFEST_UNKNOWN");
    assert_eq!(server.manifest("a", "index").is(200).body, index.bytes);
    assert_eq!(server.manifest("a", &artifact.digest).is(200).body, artifact.bytes);
}

/// D7: deleting twice is 404.
#[test]
fn deleting_twice_is_not_found() {
    let server = TestServer::start();
    let image = server.push_tagged("a", "v1");
    let blob = server.push_blob("a", "content");
    for (target, code) in [
        ("/v2/a/manifests/v1".to_owned(), "MANIFEST_UNKNOWN"),
        (format!("/v2/a/manifests/{}", image.digest), "MANIFEST_UNKNOWN"),
        (format!("/v2/a/blobs/{blob}"), "BLOB_UNKNOWN"),
    ] {
        server.delete(&target).send().is(202);
        server.delete(&target).send().fails(404, code);
    }
}

/// D1, D2, D3: deleted content can be pushed again.
#[test]
fn deleted_content_can_be_pushed_again() {
    let server = TestServer::start();
    for _ in 0..2 {
        let image = server.push_tagged("a", "v1");
        assert_eq!(server.manifest("a", "v1").is(200).body, image.bytes);
        server.delete(format!("/v2/a/manifests/{}", image.digest)).send().is(202);
        for content in ["layer of v1", r#"{"architecture":"amd64","os":"linux","author":"v1"}"#] {
            server.delete(format!("/v2/a/blobs/{}", sha256(content))).send().is(202);
        }
        server.tags("a", "").fails(404, "NAME_UNKNOWN");
    }
}
