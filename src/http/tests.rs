//! The app as a transport sees it, over a registry in memory.

use tide::http::{Method, Request, Response, StatusCode};

use super::*;
use crate::registry::{RegistryOptions, Storage};
use crate::spec::ContentDigest;
use crate::wire::{FileBody, OnSent, Sent};

/// An app and the registry behind it.
struct Fixture(App);

impl Fixture {
    fn new(options: HttpOptions) -> Self {
        let registry = Registry::open(RegistryOptions::new(Storage::Memory)).unwrap();
        Self(App::new(registry, options, Arc::default()))
    }

    fn send(&self, method: Method, target: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut request = Request::new(method, format!("http://registry.test{target}").as_str());
        if !body.is_empty() {
            request.set_body(body);
            request.remove_header("content-type");
            request.insert_header("content-length", body.len().to_string());
        }
        for (name, value) in headers {
            request.append_header(*name, *value);
        }
        request.ext_mut().insert(RawTarget::new(target));
        smol::block_on(self.0.respond(request))
    }

    fn get(&self, target: &str) -> Response {
        self.send(Method::Get, target, &[], "")
    }

    fn push_blob(&self, repo: &str, content: &str) -> String {
        let digest = ContentDigest::sha256_of(content.as_bytes()).to_string();
        let target = format!("/v2/{repo}/blobs/uploads/?digest={digest}");
        assert_eq!(self.send(Method::Post, &target, &[], content).status(), StatusCode::Created);
        digest
    }

    fn push_manifest(&self, repo: &str, reference: &str, subject: Option<&str>) -> (Response, String) {
        let config = self.push_blob(repo, "{}");
        let descriptor = |digest: &str| format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":2}}"#);
        let subject =
            subject.map_or_else(String::new, |digest| format!(r#","subject":{}"#, descriptor(digest)));
        let config = descriptor(&config);
        let body = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[]{subject}}}"#
        );
        let target = format!("/v2/{repo}/manifests/{reference}");
        (self.send(Method::Put, &target, &[("content-type", MANIFEST)], &body), body)
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn app() -> Fixture {
    Fixture::new(HttpOptions::default())
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.header(name).map(|values| values.last().as_str().to_owned())
}

fn text(response: &mut Response) -> String {
    smol::block_on(response.body_string()).unwrap()
}

fn sent(response: &mut Response, bytes_in: u64, bytes_out: u64) {
    let OnSent(tell) = response.ext_mut().remove().unwrap();
    tell(Sent { bytes_in, bytes_out, complete: true });
}

/// V2: the version check, with and without its slash, and by HEAD.
#[test]
fn the_version_check_answers_an_empty_object() {
    let app = app();
    for target in ["/v2", "/v2/"] {
        let mut response = app.get(target);
        assert_eq!(response.status(), StatusCode::Ok);
        assert_eq!(header(&response, "content-type").unwrap(), "application/json");
        assert_eq!(text(&mut response), "{}");
        let mut head = app.send(Method::Head, target, &[], "");
        assert_eq!(header(&head, "content-length").unwrap(), "2");
        assert_eq!(text(&mut head), "");
    }
}

/// V2, E3: every answer says what it is, whatever it is an answer to.
#[test]
fn every_answer_carries_the_version_and_an_id_of_its_own() {
    let app = app();
    let mut ids = std::collections::BTreeSet::new();
    let targets =
        ["/v2/", "/", "/nowhere/at/all", "/livez", "/v2/a/tags/list", "/v2/A/tags/list", "/metrics"];
    for target in targets {
        let response = app.get(target);
        assert_eq!(header(&response, "docker-distribution-api-version").unwrap(), "registry/2.0", "{target}");
        ids.insert(header(&response, "x-request-id").unwrap());
    }
    assert_eq!(ids.len(), targets.len());
    let theirs = app.send(Method::Get, "/v2/", &[("x-request-id", "chosen-by-a-client")], "");
    assert_eq!(header(&theirs, "x-request-id").unwrap(), "chosen-by-a-client");
    let unusable = app.send(Method::Get, "/v2/", &[("x-request-id", "id=1 peer=-")], "");
    assert_eq!(header(&unusable, "x-request-id").unwrap().len(), 16);
}

#[test]
fn a_panic_is_answered_500_with_the_requests_id_counted_and_holds_nothing() {
    let app = app();
    // More often than there is room for anything that the handler holds.
    for _ in 0..20 {
        let mut response = app.send(Method::Put, "/panic", &[("x-request-id", "an-id")], "content");
        assert_eq!(response.status(), StatusCode::InternalServerError);
        assert_eq!(header(&response, "x-request-id").unwrap(), "an-id");
        assert_eq!(header(&response, "connection").unwrap(), "close");
        sent(&mut response, 0, 0);
        let expected = concat!(
            r#"{"errors":[{"code":"UNKNOWN","message":"the server failed to answer; its log says more","#,
            r#""detail":{"request":"an-id"}}]}"#
        );
        assert_eq!(header(&response, "content-length").unwrap(), expected.len().to_string());
        assert_eq!(text(&mut response), expected);
    }
    let metrics = text(&mut app.get("/metrics"));
    let mut lines = metrics.lines();
    assert!(lines.any(|line| line == "pulk_http_panics_total 20"), "{metrics}");
    assert!(metrics.lines().any(|line| line == "pulk_http_requests_in_flight 1"), "{metrics}");
    app.push_blob("a", "content");
}

/// H7: outside of all routes it is 404 in JSON, also where the path is long or merely looks like a route.
#[test]
fn what_is_nowhere_is_not_found_in_json() {
    let app = app();
    let long = format!("/v2/{}", "a/".repeat(4000));
    for target in ["/favicon.ico", "/v3/", "/v2/a/b", "/livez/x", long.as_str()] {
        let mut response = app.get(target);
        assert_eq!(response.status(), StatusCode::NotFound, "{target}");
        assert_eq!(header(&response, "content-type").unwrap(), "application/json");
        assert!(text(&mut response).starts_with(r#"{"errors":[{"code":"UNSUPPORTED","#), "{target}");
    }
}

/// H8: the raw target is used, not what a parser of URLs made of it.
#[test]
fn the_target_is_read_as_it_was_sent() {
    let app = app();
    let (pushed, _) = app.push_manifest("wire/docker", "v1", None);
    assert_eq!(pushed.status(), StatusCode::Created);
    assert_eq!(app.get("/v2/wire%2Fdocker/manifests/v%31").status(), StatusCode::Ok);
    // As a URL this is /v2/wire/docker/manifests/v1.
    assert_eq!(app.get("/v2/x/../wire/docker/manifests/v1").status(), StatusCode::BadRequest);
}

/// A program that calls the app without pulk's transport has only the URL.
#[test]
fn a_request_without_its_raw_target_is_read_from_its_url() {
    let app = app();
    app.push_manifest("a", "v1", None);
    let request = Request::new(Method::Get, "http://registry.test/v2/a/tags/list?n=1");
    let mut response = smol::block_on(app.0.respond(request));
    assert_eq!(text(&mut response), r#"{"name":"a","tags":["v1"]}"#);
}

/// M5, M6, M11, R1: what a push and a pull of a manifest carry.
#[test]
fn a_manifest_comes_back_with_its_type_its_digest_and_its_length() {
    let app = app();
    let subject = ContentDigest::sha256_of(b"missing").to_string();
    let (pushed, body) = app.push_manifest("a", "v1", Some(&subject));
    let digest = ContentDigest::sha256_of(body.as_bytes()).to_string();
    assert_eq!(pushed.status(), StatusCode::Created);
    assert_eq!(header(&pushed, "location").unwrap(), format!("/v2/a/manifests/{digest}"));
    assert_eq!(header(&pushed, "oci-subject").unwrap(), subject);

    for method in [Method::Get, Method::Head] {
        let mut response = app.send(method, "/v2/a/manifests/v1", &[("accept", "text/html")], "");
        assert_eq!(response.status(), StatusCode::Ok);
        assert_eq!(header(&response, "content-type").unwrap(), MANIFEST);
        assert_eq!(header(&response, "content-length").unwrap(), body.len().to_string());
        assert_eq!(header(&response, "docker-content-digest").unwrap(), digest);
        assert_eq!(header(&response, "etag").unwrap(), format!("\"{digest}\""));
        assert_eq!(text(&mut response), if method == Method::Get { body.as_str() } else { "" });

        let known = format!("\"x\", W/\"{digest}\"");
        let cached = app.send(method, "/v2/a/manifests/v1", &[("if-none-match", &known)], "");
        assert_eq!(cached.status(), StatusCode::NotModified);
        assert!(cached.header("content-length").is_none());
        let other = app.send(method, "/v2/a/manifests/v1", &[("if-match", "\"x\"")], "");
        assert_eq!(other.status(), StatusCode::PreconditionFailed);
    }
}

/// M11: a condition on a push is decided before anything moves.
#[test]
fn a_push_whose_condition_does_not_hold_changes_nothing() {
    let app = app();
    let (_, first) = app.push_manifest("a", "v1", None);
    let (_, second) = app.push_manifest("a", "other", Some(&ContentDigest::sha256_of(b"s").to_string()));
    let put = |name: &str, value: &str| {
        let headers = [("content-type", MANIFEST), (name, value)];
        app.send(Method::Put, "/v2/a/manifests/v1", &headers, &second).status()
    };
    assert_eq!(put("if-none-match", "*"), StatusCode::PreconditionFailed);
    assert_eq!(put("if-match", "\"sha256:stale\""), StatusCode::PreconditionFailed);
    assert_eq!(text(&mut app.get("/v2/a/manifests/v1")), first);
    let current = format!("\"{}\"", ContentDigest::sha256_of(first.as_bytes()));
    assert_eq!(put("if-match", &current), StatusCode::Created);
    assert_eq!(text(&mut app.get("/v2/a/manifests/v1")), second);
}

/// M11: a deletion keeps no conditions, so it takes none.
#[test]
fn a_deletion_with_a_condition_is_refused() {
    let app = app();
    app.push_manifest("a", "v1", None);
    let refused = app.send(Method::Delete, "/v2/a/manifests/v1", &[("if-match", "\"x\"")], "");
    assert_eq!(refused.status(), StatusCode::BadRequest);
    assert_eq!(app.get("/v2/a/manifests/v1").status(), StatusCode::Ok);
}

/// W10: what is announced as too large is refused by its head alone; what is not announced, once it is too
/// large.
#[test]
fn a_manifest_over_the_limit_is_refused_without_reading_all_of_it() {
    let app = app();
    let announced = [("content-type", MANIFEST), ("content-length", "99999999999999")];
    let response = app.send(Method::Put, "/v2/a/manifests/v1", &announced, "");
    assert_eq!(response.status(), StatusCode::PayloadTooLarge);

    let mut request = Request::new(Method::Put, "http://registry.test/v2/a/manifests/v1");
    let endless = smol::io::BufReader::new(smol::io::repeat(b' '));
    request.set_body(tide::http::Body::from_reader(endless, None));
    assert_eq!(smol::block_on(app.0.respond(request)).status(), StatusCode::PayloadTooLarge);
}

/// U15: a manifest that is shorter than it was said to be is refused.
#[test]
fn a_manifest_that_is_shorter_than_announced_is_refused() {
    let app = app();
    let headers = [("content-type", MANIFEST), ("content-length", "1000")];
    let mut response = app.send(Method::Put, "/v2/a/manifests/v1", &headers, "{}");
    assert_eq!(response.status(), StatusCode::BadRequest);
    assert!(text(&mut response).contains("SIZE_INVALID"));
    assert_eq!(app.get("/v2/a/manifests/v1").status(), StatusCode::NotFound);
}

/// B1, B3, B5, B6, B8: a blob is left to the transport, with the stretch that was asked for.
#[test]
fn a_blob_is_handed_to_the_transport_as_a_stretch_of_its_file() {
    let app = app();
    let digest = app.push_blob("a", "0123456789");
    let blob = format!("/v2/a/blobs/{digest}");
    for (range, status, offset, length, content_range) in [
        ("", 200, 0, 10, None),
        ("bytes=0-", 206, 0, 10, Some("bytes 0-9/10")),
        ("bytes=2-5", 206, 2, 4, Some("bytes 2-5/10")),
        ("bytes=-3", 206, 7, 3, Some("bytes 7-9/10")),
        ("bytes=8-99", 206, 8, 2, Some("bytes 8-9/10")),
        ("bytes=0-1,4-5", 200, 0, 10, None),
    ] {
        let headers: &[_] = if range.is_empty() { &[] } else { &[("range", range)] };
        let response = app.send(Method::Get, &blob, headers, "");
        assert_eq!(response.status() as u16, status, "{range}");
        let file = response.ext().get::<FileBody>().unwrap();
        assert_eq!((file.offset, file.length), (offset, length), "{range}");
        assert_eq!(header(&response, "content-length").unwrap(), length.to_string(), "{range}");
        assert_eq!(header(&response, "content-range").as_deref(), content_range, "{range}");
        assert_eq!(header(&response, "accept-ranges").unwrap(), "bytes");
    }
    let unsatisfiable = app.send(Method::Get, &blob, &[("range", "bytes=10-")], "");
    assert_eq!(unsatisfiable.status(), StatusCode::RequestedRangeNotSatisfiable);
    assert_eq!(header(&unsatisfiable, "content-range").unwrap(), "bytes */10");
    assert!(unsatisfiable.ext().get::<FileBody>().is_none());

    let head = app.send(Method::Head, &blob, &[("range", "bytes=2-5")], "");
    assert_eq!((head.status(), header(&head, "content-length").unwrap()), (StatusCode::Ok, "10".to_owned()));
    assert!(head.ext().get::<FileBody>().is_none());
}

/// B5: a range of content that the client knows under another tag is not served.
#[test]
fn a_range_of_something_else_is_ignored() {
    let app = app();
    let digest = app.push_blob("a", "0123456789");
    let blob = format!("/v2/a/blobs/{digest}");
    let mine = format!("\"{digest}\"");
    for (validator, status) in
        [(mine.as_str(), 206), ("\"other\"", 200), ("Tue, 24 Nov 2026 00:00:00 GMT", 200)]
    {
        let headers = [("range", "bytes=2-5"), ("if-range", validator)];
        assert_eq!(app.send(Method::Get, &blob, &headers, "").status() as u16, status, "{validator}");
    }
}

/// B1: a blob of no bytes has a length and no file.
#[test]
fn an_empty_blob_has_a_length_and_nothing_to_send() {
    let app = app();
    let digest = ContentDigest::sha256_of(b"").to_string();
    let pushed = app.send(Method::Post, &format!("/v2/a/blobs/uploads/?digest={digest}"), &[], "");
    assert_eq!(pushed.status(), StatusCode::Created);
    let response = app.get(&format!("/v2/a/blobs/{digest}"));
    assert_eq!(response.status(), StatusCode::Ok);
    assert_eq!(header(&response, "content-length").unwrap(), "0");
    assert!(response.ext().get::<FileBody>().is_none());
}

/// D1, D3, H7: with deletion switched off, 405 says what there is instead.
#[test]
fn deletion_can_be_switched_off() {
    let app = Fixture::new(HttpOptions { deletes: false, ..HttpOptions::default() });
    app.push_manifest("a", "v1", None);
    let refused = app.send(Method::Delete, "/v2/a/manifests/v1", &[], "");
    assert_eq!(refused.status(), StatusCode::MethodNotAllowed);
    assert_eq!(header(&refused, "allow").unwrap(), "GET, HEAD, PUT, OPTIONS");
    assert_eq!(app.get("/v2/a/manifests/v1").status(), StatusCode::Ok);
}

/// L7: a list is cut at the cap, and the link leads through all of it.
#[test]
fn a_list_over_the_cap_is_linked_to_its_end() {
    let app = Fixture::new(HttpOptions { list_max_names: 2, ..HttpOptions::default() });
    for tag in ["v1", "v2", "v3", "v4", "v5"] {
        app.push_manifest("a", tag, None);
    }
    let mut target = "/v2/a/tags/list?n=1000".to_owned();
    let mut parts = Vec::new();
    for _ in 0..3 {
        let mut response = app.get(&target);
        parts.push(text(&mut response));
        let Some(link) = header(&response, "link") else { break };
        target = link.strip_prefix('<').unwrap().split_once(">; rel=\"next\"").unwrap().0.to_owned();
    }
    let expected = [r#"["v1","v2"]"#, r#"["v3","v4"]"#, r#"["v5"]"#];
    assert_eq!(parts, expected.map(|tags| format!(r#"{{"name":"a","tags":{tags}}}"#)));
}

#[test]
fn health_answers_under_every_name() {
    let app = app();
    for target in ["/livez", "/live", "/healthz", "/readyz", "/ready"] {
        let mut response = app.get(target);
        assert_eq!((response.status(), text(&mut response).as_str()), (StatusCode::Ok, "ok\n"), "{target}");
    }
    assert_eq!(app.send(Method::Post, "/livez", &[], "").status(), StatusCode::MethodNotAllowed);
}

/// A request is counted when the transport says that its answer went out, with the bytes that it says.
#[test]
fn a_request_is_counted_once_its_answer_has_gone_out() {
    let app = app();
    let count = r#"pulk_http_requests_total{route="/v2/{name}/tags/list",method="GET",status="404"} 1"#;
    let mut response = app.get("/v2/some/name/tags/list");
    let before = text(&mut app.get("/metrics"));
    assert!(!before.contains("tags/list"));
    // This one and the scrape itself.
    assert!(before.contains("\npulk_http_requests_in_flight 2\n"), "{before}");

    sent(&mut response, 11, 22);
    let after = text(&mut app.get("/metrics"));
    for line in [
        count,
        "pulk_http_received_bytes_total 11",
        "pulk_http_sent_bytes_total 22",
        "pulk_http_requests_in_flight 1",
        r#"pulk_http_request_duration_seconds_count{route="/v2/{name}/tags/list",method="GET"} 1"#,
        r#"pulk_build_info{version="0.1.0"} 1"#,
        "pulk_blobs 0",
    ] {
        assert!(after.lines().any(|rendered| rendered == line), "{line} is not in\n{after}");
    }
    assert!(after.ends_with("# EOF\n"));
    assert!(!after.contains("some/name"));
}
