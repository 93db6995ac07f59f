//! What a client sends must not add lines to an answer, or answers.

use crate::support::{Victim, is_one_answer};

/// Line ends with what would follow them, in every encoding that a path or a query may have.
const INJECTIONS: [&str; 5] = [
    "%0d%0aInjected:%20yes",
    "%0D%0A%0D%0AHTTP/1.1%20200%20OK%0D%0AInjected:%20yes%0D%0A%0D%0A",
    "%0aInjected:%20yes",
    "%E5%98%8A%E5%98%8DInjected:%20yes",
    "%00Injected:%20yes",
];

#[track_caller]
fn injects_nothing(victim: &Victim, request: &str) {
    let all = victim.ask(request);
    assert!(is_one_answer(&all), "{request:?}: {all}");
    let head = all.split("\r\n\r\n").next().unwrap();
    for line in head.split("\r\n") {
        assert!(!line.contains(['\r', '\n', '\0']), "{request:?}: {line:?}");
        assert!(!line.to_ascii_lowercase().starts_with("injected"), "{request:?}: {line:?}");
    }
}

#[test]
fn names_and_queries_cannot_split_an_answer() {
    let victim = Victim::start("");
    let digest = format!("sha256:{}", "0".repeat(64));
    for injection in INJECTIONS {
        for target in [
            format!("/v2/a{injection}/tags/list"),
            format!("/v2/a/manifests/v1{injection}"),
            format!("/v2/a/blobs/{digest}{injection}"),
            format!("/v2/a/referrers/{digest}?artifactType={injection}"),
            format!("/v2/_catalog?n=1{injection}&last={injection}"),
            format!("/v2/a/tags/list?last={injection}"),
            format!("/v2/a/blobs/uploads/{injection}"),
            format!("/{injection}"),
        ] {
            injects_nothing(&victim, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        }
        for target in [
            format!("/v2/a{injection}/blobs/uploads/"),
            format!("/v2/a/blobs/uploads/?mount={digest}{injection}&from=b{injection}"),
            format!("/v2/a/blobs/uploads/?digest={digest}{injection}"),
            format!("/v2/a/blobs/uploads/?digest-algorithm={injection}"),
        ] {
            injects_nothing(&victim, &format!("POST {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        }
        let put = format!(
            "PUT /v2/a/manifests/{digest}?tag=v1{injection} HTTP/1.1\r\nHost: a\r\n\
             Content-Length: 2\r\n\r\n{{}}"
        );
        injects_nothing(&victim, &put);
    }
    victim.serves();
}

/// An answer repeats one of the request's headers: its id.
#[test]
fn ids_of_requests_cannot_split_an_answer() {
    let victim = Victim::start("");
    for id in ["a%0d%0aInjected: yes", "a\tInjected: yes", "a; b=\"c\"", &"a".repeat(5_000)] {
        let all = victim.ask(format!("GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Request-Id: {id}\r\n\r\n"));
        assert!(all.starts_with("HTTP/1.1 200 ") && !all.contains(id), "{all}");
    }
}

/// Annotations of manifests are returned in lists of referrers, in JSON, and in no header.
#[test]
fn artifact_types_cannot_split_an_answer() {
    let victim = Victim::start("");
    let subject = format!("sha256:{}", "1".repeat(64));
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/x","artifactType":"a/b\r\nInjected: yes",
        "subject":{{"mediaType":"application/x","digest":"{subject}","size":1}}}}"#
    );
    let all = victim.ask(format!(
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/x\r\n\
         Content-Length: {}\r\n\r\n{manifest}",
        manifest.len()
    ));
    assert!(all.starts_with("HTTP/1.1 400 ") && all.contains("MANIFEST_INVALID"), "{all}");
}
