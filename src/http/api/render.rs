//! Answers and the headers that several of them carry.

use serde::Serialize;
use tide::http::headers::{CONTENT_TYPE, LOCATION};
use tide::http::{Body, Response, StatusCode};

use crate::spec::{ContentDigest, RepoName};

/// The exact Content-Type of JSON answers: some clients compare it as text (E3).
pub(in crate::http) const JSON: &str = "application/json";

/// The Content-Type of answers for people.
pub(in crate::http) const TEXT: &str = "text/plain; charset=utf-8";

/// The name of the header that leads to the next part of a list.
pub(in crate::http) const LINK: &str = "link";

/// The name of the header that says which bytes: those wanted of a blob, or those that an upload has.
pub(in crate::http) const RANGE: &str = "range";

/// Makes an answer without a body.
pub(in crate::http) fn empty(status: StatusCode) -> Response {
    Response::new(status)
}

/// Makes an answer with a body of that exact type.
pub(in crate::http) fn content(status: StatusCode, content_type: &str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(status);
    // Set before the body: http_types would take a type of its own from it otherwise.
    response.insert_header(CONTENT_TYPE, content_type);
    response.set_body(body);
    response
}

/// Makes a JSON answer.
pub(in crate::http) fn json(value: &impl Serialize) -> serde_json::Result<Response> {
    Ok(content(StatusCode::Ok, JSON, serde_json::to_vec(value)?))
}

/// Makes the answer for something that is now stored at `location`.
pub(in crate::http) fn created(location: &str, digest: ContentDigest) -> Response {
    let mut response = empty(StatusCode::Created);
    response.insert_header(LOCATION, location);
    set_digest(&mut response, digest);
    response
}

/// Sets the digest header.
pub(in crate::http) fn set_digest(response: &mut Response, digest: ContentDigest) {
    response.insert_header("docker-content-digest", digest.to_string());
}

/// Returns where a blob is pulled from. Locations are paths with a leading slash: they hold behind any proxy
/// (H6).
pub(in crate::http) fn blob_location(repo: &RepoName, digest: ContentDigest) -> String {
    format!("/v2/{repo}/blobs/{digest}")
}

/// Returns where a manifest is pulled from.
pub(in crate::http) fn manifest_location(repo: &RepoName, digest: ContentDigest) -> String {
    format!("/v2/{repo}/manifests/{digest}")
}
