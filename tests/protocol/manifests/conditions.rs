//! Conditional requests.

use crate::support::{Answer, Client, Manifest, TestServer, sha256, unknown_digest};

fn quoted(digest: &str) -> String {
    format!("\"{digest}\"")
}

#[track_caller]
fn push(client: &Client, reference: &str, manifest: &Manifest, condition: (&str, &str)) -> Answer {
    client
        .put(format!("/v2/a/manifests/{reference}"))
        .header("Content-Type", &manifest.media_type)
        .header(condition.0, condition.1)
        .body(&manifest.bytes)
        .send()
}

/// M11: the digest is the entity tag; a client that has the content gets 304 without a body.
#[test]
fn content_that_a_client_has_is_not_sent_again() {
    let server = TestServer::start();
    let image = server.push_tagged("a", "v1");
    let blob = server.push_blob("a", "content");
    let targets = [
        ("/v2/a/manifests/v1".to_owned(), &image.digest),
        (format!("/v2/a/manifests/{}", image.digest), &image.digest),
        (format!("/v2/a/blobs/{blob}"), &blob),
    ];
    for (target, digest) in targets {
        for method in ["GET", "HEAD"] {
            let ask = |name: &str, value: &str| server.request(method, &target).header(name, value).send();
            let tag = quoted(digest);
            assert_eq!(server.request(method, &target).send().is(200).header("ETag"), tag);
            for known in [&*tag, &format!("W/{tag}"), "*", &format!("\"x\", {tag}")] {
                let unmodified = ask("If-None-Match", known).is(304);
                assert_eq!(unmodified.header("ETag"), tag);
                assert_eq!(unmodified.digest(), *digest);
            }
            ask("If-None-Match", &quoted(&unknown_digest())).is(200);
            ask("If-Match", &tag).is(200);
            ask("If-Match", "*").is(200);
            ask("If-Match", &quoted(&unknown_digest())).is(412);
            ask("If-Match", &format!("W/{tag}")).is(412);
        }
    }
    server.get("/v2/a/manifests/none").header("If-None-Match", "*").send().is(404);
}

/// M11, B5: a range is served only from the content that `If-Range` names.
#[test]
fn a_range_of_other_content_is_not_served() {
    let server = TestServer::start();
    let blob = server.push_blob("a", "content");
    let ask = |tag: &str| {
        server.get(format!("/v2/a/blobs/{blob}")).header("Range", "bytes=0-3").header("If-Range", tag).send()
    };
    assert_eq!(ask(&quoted(&blob)).is(206).body, b"cont");
    assert_eq!(ask(&quoted(&sha256("other"))).is(200).body, b"content");
    assert_eq!(ask(&format!("W/{}", quoted(&blob))).is(200).body, b"content");
}

/// M11: a push can require that the tag does not exist.
#[test]
fn a_push_may_require_absence() {
    let server = TestServer::start();
    let (one, other) = (server.push_image("a", "one"), server.push_image("a", "other"));
    let absent = ("If-None-Match", "*");
    assert_eq!(push(&server, "v1", &one, absent).is(201).header("ETag"), quoted(&one.digest));
    push(&server, "v1", &other, absent).is(412);
    push(&server, "v1", &one, absent).is(412);
    assert_eq!(server.manifest("a", "v1").digest(), one.digest);
    server.delete("/v2/a/manifests/v1").send().is(202);
    push(&server, "v1", &other, absent).is(201);
    push(&server, &one.digest, &one, absent).is(412);
}

/// M11: a push can require what the tag names, so that of two concurrent changes one succeeds.
#[test]
fn a_push_may_require_what_the_tag_names() {
    let server = TestServer::start();
    let (one, other) = (server.push_image("a", "one"), server.push_image("a", "other"));
    push(&server, "v1", &one, ("If-Match", "*")).is(412);
    push(&server, "v1", &one, ("If-Match", &quoted(&one.digest))).is(412);
    server.manifest("a", "v1").is(404);
    server.push("a", "v1", &one).is(201);
    push(&server, "v1", &other, ("If-Match", &quoted(&other.digest))).is(412);
    push(&server, "v1", &other, ("If-Match", &format!("W/{}", quoted(&one.digest)))).is(412);
    push(&server, "v1", &other, ("If-Match", &quoted(&one.digest))).is(201);
    push(&server, "v1", &one, ("If-Match", &quoted(&one.digest))).is(412);
    assert_eq!(server.manifest("a", "v1").digest(), other.digest);
    push(&server, "v1", &one, ("If-None-Match", &quoted(&other.digest))).is(412);
    push(&server, "v1", &one, ("If-None-Match", &quoted(&one.digest))).is(201);
    push(&server, "v1", &other, ("If-Match", "*")).is(201);
}

/// M11: of many clients that push only if the tag is absent, one succeeds.
#[test]
fn of_many_first_pushes_one_succeeds() {
    let server = TestServer::start();
    let images: Vec<_> = (0..8).map(|number| server.push_image("a", &format!("image {number}"))).collect();
    let client: &Client = &server;
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let pushes: Vec<_> = images
            .iter()
            .map(|image| scope.spawn(move || push(client, "v1", image, ("If-None-Match", "*")).status))
            .collect();
        pushes.into_iter().map(|push| push.join().unwrap()).collect()
    });
    let first: Vec<_> = statuses.iter().filter(|status| **status == 201).collect();
    assert_eq!((first.len(), statuses.len()), (1, 8), "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 201 | 412)), "{statuses:?}");
    let winner = statuses.iter().position(|status| *status == 201).unwrap();
    assert_eq!(server.manifest("a", "v1").digest(), images[winner].digest);
}

/// M11: an unsupported condition is refused, never ignored.
#[test]
fn a_condition_that_cannot_be_kept_is_refused() {
    let server = TestServer::start();
    let image = server.push_tagged("a", "v1");
    let both = server
        .put("/v2/a/manifests/v1")
        .header("Content-Type", &image.media_type)
        .header("If-Match", "*")
        .header("If-None-Match", "*");
    both.body(&image.bytes).send().fails(400, "UNSUPPORTED");
    let delete = server.delete("/v2/a/manifests/v1").header("If-Match", quoted(&image.digest));
    delete.send().fails(400, "UNSUPPORTED");
    server.manifest("a", "v1").is(200);
}
