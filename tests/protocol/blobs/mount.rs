//! Mounting blobs of other repositories.

use crate::support::{TestServer, sha256, unknown_digest, with_query};

/// T1: a mount is 201 with the blob's exact location in the target and its digest, and the blob exists at
/// once.
#[test]
fn a_blob_is_mounted_from_another_repository() {
    let server = TestServer::start();
    let digest = server.push_blob("source/repo", "content");
    let target = format!("/v2/target/repo/blobs/uploads/?mount={digest}&from=source/repo");
    let answer = server.post(target).body("").send().is(201);
    assert_eq!(answer.header("Location"), format!("/v2/target/repo/blobs/{digest}"));
    assert_eq!(answer.digest(), digest);
    assert_eq!(answer.maybe("Docker-Upload-UUID"), None);
    assert_eq!(server.head(answer.location()).send().is(200).header("Content-Length"), "7");
    assert_eq!(server.get(answer.location()).send().is(200).body, b"content");
    // It belongs to the target: changes of the source do not affect it.
    server.delete(format!("/v2/source/repo/blobs/{digest}")).send().is(202);
    server.blob("target/repo", &digest).is(200);
    server.blob("source/repo", &digest).is(404);
}

/// T1: blobs of every algorithm can be mounted, even where they exist already.
#[test]
fn every_blob_can_be_mounted_again() {
    let server = TestServer::start();
    for digest in [crate::support::sha512("x"), crate::support::blake3("x")] {
        server.push_blob_as("a", &digest, "x").is(201);
        for _ in 0..2 {
            let target = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
            server.post(target).body("").send().is(201);
        }
        server.blob("b", &digest).is(200);
    }
}

/// T2: without `from` any repository that a client may read is a source.
#[test]
fn a_mount_without_a_source_finds_one() {
    let server = TestServer::start();
    let digest = server.push_blob("source", "content");
    server.push_blob("another", "other content");
    let target = format!("/v2/target/blobs/uploads/?mount={digest}");
    let answer = server.post(&target).body("").send().is(201);
    assert_eq!(answer.header("Location"), format!("/v2/target/blobs/{digest}"));
    // Content that no repository has cannot be mounted.
    for repo in ["source", "target"] {
        server.delete(format!("/v2/{repo}/blobs/{digest}")).send().is(202);
    }
    server.post(&target).body("").send().is(202);
    server.blob("target", &digest).is(404);
}

/// T3: a failed mount becomes a working session, whatever the reason.
#[test]
fn a_failed_mount_becomes_a_session() {
    let server = TestServer::start();
    let digest = server.push_blob("source", "content");
    server.push_blob("another", "other content");
    for query in [
        format!("mount={}&from=source", unknown_digest()),
        format!("mount={}", unknown_digest()),
        format!("mount={digest}&from=another"),
        format!("mount={digest}&from=none"),
        format!("mount={digest}&from="),
        format!("mount={digest}&from=NOT%20A%20NAME"),
        format!("mount={digest}&from=https://registry.example/source"),
        "mount=multihash%2Bbase58:Qm&from=source".to_owned(),
    ] {
        let answer = server.post(format!("/v2/target/blobs/uploads/?{query}")).body("").send().is(202);
        assert_eq!(answer.header("Range"), "0-0");
        server.blob("target", &digest).is(404);
        let end = with_query(&answer.location(), &format!("digest={}", sha256("pushed instead")));
        server.put(end).body("pushed instead").send().is(201);
    }
}

/// T4: unknown parameters change nothing.
#[test]
fn unknown_parameters_of_a_mount_are_ignored() {
    let server = TestServer::start();
    let digest = server.push_blob("source", "content");
    let query = format!("from=source&mount={digest}&origin=registry.example:5000&x=%20");
    server.post(format!("/v2/target/blobs/uploads/?{query}")).body("").send().is(201);
}

/// T5: a malformed digest is refused; an unknown one, without a source, becomes a session.
#[test]
fn a_malformed_mount_is_refused_and_an_unknown_one_is_a_session() {
    let server = TestServer::start();
    for digest in ["", "sha256", "sha256:abc", "not%20a%20digest"] {
        let target = format!("/v2/target/blobs/uploads/?mount={digest}");
        server.post(target).body("").send().fails(400, "DIGEST_INVALID");
    }
    let unknown = format!("/v2/target/blobs/uploads/?mount={}", unknown_digest());
    server.post(unknown).body("").send().is(202);
}
