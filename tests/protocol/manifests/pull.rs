//! Pulling manifests.

use crate::support::{Manifest, OCI_CONFIG, OCI_MANIFEST, TestServer, descriptor, unknown_digest};

/// M1, M2, M4, M5, M6: GET and HEAD by tag and by digest return the exact bytes, digest, length and type.
#[test]
fn a_manifest_comes_back_exactly_as_it_was_pushed() {
    let server = TestServer::start();
    server.push_blob("a", "{}");
    let config = descriptor(OCI_CONFIG, "{}");
    // Spaces, order, unknown and repeated fields must not be changed.
    let bytes = format!(
        "{{ \"layers\":[],\n\t\"x\": 1.50, \"mediaType\":\"{OCI_MANIFEST}\", \"config\":{config}, \
         \"schemaVersion\" : 2, \"\u{e9}\": \"\\u00e9\" }}\n\n"
    );
    let manifest = Manifest::of(OCI_MANIFEST, bytes);
    server.push("a", "v1", &manifest).is(201);
    for reference in ["v1", &manifest.digest] {
        let target = format!("/v2/a/manifests/{reference}");
        for answer in [server.get(&target).send().is(200), server.head(&target).send().is(200)] {
            assert_eq!(answer.digest(), manifest.digest);
            assert_eq!(answer.header("Content-Length"), manifest.bytes.len().to_string());
            assert_eq!(answer.header("Content-Type"), OCI_MANIFEST);
        }
        assert_eq!(server.get(target).send().body, manifest.bytes);
    }
}

/// M7: a missing manifest is 404, and the code distinguishes a missing repository from a missing manifest.
#[test]
fn a_missing_manifest_is_not_found() {
    let server = TestServer::start();
    server.push_tagged("a", "v1");
    for reference in ["none", &unknown_digest()] {
        server.manifest("a", reference).fails(404, "MANIFEST_UNKNOWN");
        server.manifest("none", reference).fails(404, "NAME_UNKNOWN");
        server.head(format!("/v2/a/manifests/{reference}")).send().is(404);
        server.head(format!("/v2/none/manifests/{reference}")).send().is(404);
    }
}

/// M7: a manifest belongs to its repository only.
#[test]
fn a_manifest_of_another_repository_is_not_found() {
    let server = TestServer::start();
    let image = server.push_tagged("a", "v1");
    server.push_blob("b", "something");
    server.manifest("b", &image.digest).fails(404, "MANIFEST_UNKNOWN");
    server.manifest("b", "v1").fails(404, "MANIFEST_UNKNOWN");
}

/// M8, M10: the stored manifest is served, whatever `Accept` says in however many lines.
#[test]
fn the_stored_manifest_is_served_whatever_is_accepted() {
    let server = TestServer::start();
    let image = server.push_tagged("a", "v1");
    let lines: &[&[&str]] = &[
        &[],
        &["*/*"],
        &["application/json"],
        &[
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
        ],
        &["application/vnd.oci.image.index.v1+json, application/vnd.oci.image.config.v1+json, */*;q=0.1"],
        &["text/html"],
        &["application/vnd.oci.image.manifest.v1+json;q=0"],
        &[""],
    ];
    for accept in lines {
        for method in ["GET", "HEAD"] {
            let mut request = server.request(method, "/v2/a/manifests/v1");
            for line in *accept {
                request = request.header("Accept", *line);
            }
            let answer = request.send().is(200);
            assert_eq!(answer.header("Content-Type"), OCI_MANIFEST, "{accept:?}");
            assert_eq!(answer.digest(), image.digest);
        }
    }
}

/// M9: a malformed digest is a client's mistake, never a failure of the server.
#[test]
fn a_malformed_digest_is_refused() {
    let server = TestServer::start();
    server.push_tagged("a", "v1");
    for digest in
        ["sha256:abc", "sha256:", "sha256:%C3%A9", "sha512:abc", "blake3:abc", "x::y", "sha256:../../x"]
    {
        let target = format!("/v2/a/manifests/{}", digest.replace('/', "%2F"));
        for method in ["GET", "HEAD", "DELETE"] {
            let status = server.request(method, &target).send().status;
            assert!(matches!(status, 400 | 404), "{method} {target}: {status}");
        }
    }
    server.manifest("a", "sha256:abc").fails(400, "DIGEST_INVALID");
}
