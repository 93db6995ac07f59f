//! Error answers.

use serde::Serialize;
use serde_json::{Value, json};
use tide::http::headers::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use tide::http::{Body, Response, StatusCode};

use super::render::JSON;
use crate::registry::RegistryError;
use crate::spec::{ErrorAnswer, ErrorCode};

/// How long a client should wait when the registry has too much to do or takes no writes.
const RETRY_AFTER_BUSY_SECONDS: u32 = 5;

/// How long a client should wait for space to be freed.
const RETRY_AFTER_FULL_SECONDS: u32 = 60;

/// A request that was refused or failed, and everything that the client gets.
#[derive(Debug)]
pub(in crate::http) struct Failure {
    status: StatusCode,
    code: ErrorCode,
    message: String,
    detail: Option<Value>,
    headers: Vec<(HeaderName, String)>,
}

/// The body of the specification's section "Error Codes".
#[derive(Serialize)]
struct Errors<'a> {
    errors: [ErrorEntry<'a>; 1],
}

#[derive(Serialize)]
struct ErrorEntry<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a Value>,
}

impl Failure {
    /// Makes a failure.
    pub(in crate::http) fn of(answer: impl Into<ErrorAnswer>, message: impl Into<String>) -> Self {
        let ErrorAnswer { code, status } = answer.into();
        // Every status of the table is one of HTTP: see the tests.
        let status = StatusCode::try_from(status).unwrap_or(StatusCode::InternalServerError);
        let mut failure = Self { status, code, message: message.into(), detail: None, headers: Vec::new() };
        if let Some(seconds) = retry_after_seconds(status) {
            failure = failure.with_header(RETRY_AFTER, seconds.to_string());
        }
        failure
    }

    /// Makes the failure of a path that names nothing.
    pub(in crate::http) fn unknown_path() -> Self {
        Self::of(ErrorAnswer::UNKNOWN_PATH, "no resource is at this path")
    }

    /// Adds a header to the answer.
    pub(in crate::http) fn with_header(
        mut self,
        name: impl Into<HeaderName>,
        value: impl Into<String>,
    ) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Returns the status that the client gets.
    #[cfg(test)]
    pub(in crate::http) fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the code that the client gets.
    #[cfg(test)]
    pub(in crate::http) fn code(&self) -> ErrorCode {
        self.code
    }

    /// Renders the answer.
    pub(in crate::http) fn into_response(self) -> Response {
        let mut response = Response::new(self.status);
        response.insert_header(CONTENT_TYPE, JSON);
        for (name, value) in &self.headers {
            response.insert_header(name.clone(), value.as_str());
        }
        response.set_body(Body::from_bytes(self.body()));
        if self.status == StatusCode::InternalServerError {
            response.ext_mut().insert(self);
        }
        response
    }

    fn body(&self) -> Vec<u8> {
        let entry =
            ErrorEntry { code: self.code.as_str(), message: &self.message, detail: self.detail.as_ref() };
        // Strings and a small value always serialise; an empty body would still carry the right status.
        serde_json::to_vec(&Errors { errors: [entry] }).unwrap_or_default()
    }
}

/// Adds the request's id to the body of an internal error (500): the log has the reason under that id.
pub(in crate::http) fn name_request(response: &mut Response, id: &str) {
    if let Some(mut failure) = response.ext_mut().remove::<Failure>() {
        failure.detail = Some(json!({ "request": id }));
        response.set_body(Body::from_bytes(failure.body()));
        response.insert_header(CONTENT_TYPE, JSON);
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::of(ErrorCode::Unknown, format!("cannot render the answer: {error}"))
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let mut failure = Self::of(error.answer(), error.to_string());
        failure.detail = detail_of(&error);
        failure
    }
}

/// E4: the `Retry-After` of a status.
fn retry_after_seconds(status: StatusCode) -> Option<u32> {
    match status {
        StatusCode::TooManyRequests | StatusCode::ServiceUnavailable => Some(RETRY_AFTER_BUSY_SECONDS),
        StatusCode::InsufficientStorage => Some(RETRY_AFTER_FULL_SECONDS),
        _ => None,
    }
}

fn detail_of(error: &RegistryError) -> Option<Value> {
    match error {
        RegistryError::NameUnknown(name) => Some(json!({ "name": name.as_str() })),
        RegistryError::TagUnknown(tag) => Some(json!({ "tag": tag.as_str() })),
        RegistryError::ManifestUnknown(digest)
        | RegistryError::BlobUnknown(digest)
        | RegistryError::ManifestBlobUnknown(digest) => Some(json!({ "digest": digest.to_string() })),
        RegistryError::OutOfOrder { offset, .. } => Some(json!({ "offset": offset })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;
    use crate::spec::{Digest, DigestError, Manifest};

    fn digest() -> Digest {
        format!("sha256:{}", "0".repeat(64)).parse().unwrap()
    }

    fn broken(kind: io::ErrorKind) -> RegistryError {
        RegistryError::BodyBroken(Arc::new(io::Error::from(kind)))
    }

    fn body(failure: Failure) -> Value {
        let mut response = failure.into_response();
        smol::block_on(response.body_json()).unwrap()
    }

    /// E6: the whole table of the registry's failures.
    #[test]
    fn every_failure_has_its_status_and_its_code() {
        let not_json = Manifest::parse(b"not JSON", None).unwrap_err();
        let malformed = DigestError::Malformed("x".to_owned());
        let mismatch = RegistryError::DigestMismatch { said: digest(), actual: digest() };
        let table = [
            (RegistryError::NameUnknown("a".parse().unwrap()), 404, ErrorCode::NameUnknown),
            (RegistryError::ManifestUnknown(digest()), 404, ErrorCode::ManifestUnknown),
            (RegistryError::TagUnknown("t".parse().unwrap()), 404, ErrorCode::ManifestUnknown),
            (RegistryError::BlobUnknown(digest()), 404, ErrorCode::BlobUnknown),
            (RegistryError::UploadUnknown, 404, ErrorCode::BlobUploadUnknown),
            (RegistryError::UploadTakenOver, 400, ErrorCode::BlobUploadInvalid),
            (RegistryError::OutOfOrder { begins: 1, offset: 0 }, 416, ErrorCode::BlobUploadInvalid),
            (RegistryError::SizeInvalid { said: 1, got: 0 }, 400, ErrorCode::SizeInvalid),
            (RegistryError::DigestInvalid(malformed), 400, ErrorCode::DigestInvalid),
            (mismatch, 400, ErrorCode::DigestInvalid),
            (RegistryError::ManifestInvalid(not_json), 400, ErrorCode::ManifestInvalid),
            (RegistryError::ManifestTooLarge { max: 1 }, 413, ErrorCode::SizeInvalid),
            (RegistryError::ManifestBlobUnknown(digest()), 400, ErrorCode::ManifestBlobUnknown),
            (RegistryError::TooManyTags { count: 101, max: 100 }, 414, ErrorCode::TagInvalid),
            (RegistryError::ConditionFailed(String::new()), 412, ErrorCode::ManifestInvalid),
            (RegistryError::Denied(String::new()), 403, ErrorCode::Denied),
            (broken(io::ErrorKind::UnexpectedEof), 400, ErrorCode::SizeInvalid),
            (broken(io::ErrorKind::TimedOut), 408, ErrorCode::SizeInvalid),
            (broken(io::ErrorKind::ResourceBusy), 429, ErrorCode::TooManyRequests),
            (RegistryError::TooMany("uploads"), 429, ErrorCode::TooManyRequests),
            (RegistryError::Unavailable(String::new()), 503, ErrorCode::Unavailable),
            (RegistryError::NoSpace, 507, ErrorCode::Unavailable),
            (RegistryError::ReadOnly, 503, ErrorCode::Unavailable),
            (RegistryError::DoesNotFit { asked: 2, free: 1 }, 507, ErrorCode::Unavailable),
            (RegistryError::FileTooLarge, 507, ErrorCode::Unavailable),
            (RegistryError::Internal(String::new()), 500, ErrorCode::Unknown),
        ];
        for (error, status, code) in table {
            let text = format!("{error:?}");
            let failure = Failure::from(error);
            assert_eq!(failure.status() as u16, status, "{text}");
            assert_eq!(failure.code(), code, "{text}");
        }
    }

    /// E6: the whole table of the codes.
    #[test]
    fn every_code_has_its_status() {
        let table = [
            (ErrorCode::BlobUnknown, 404),
            (ErrorCode::BlobUploadInvalid, 400),
            (ErrorCode::BlobUploadUnknown, 404),
            (ErrorCode::DigestInvalid, 400),
            (ErrorCode::ManifestBlobUnknown, 400),
            (ErrorCode::ManifestInvalid, 400),
            (ErrorCode::ManifestUnknown, 404),
            (ErrorCode::NameInvalid, 400),
            (ErrorCode::NameUnknown, 404),
            (ErrorCode::SizeInvalid, 400),
            (ErrorCode::Unauthorized, 401),
            (ErrorCode::Denied, 403),
            (ErrorCode::Unsupported, 405),
            (ErrorCode::TooManyRequests, 429),
            (ErrorCode::TagInvalid, 400),
            (ErrorCode::PaginationNumberInvalid, 400),
            (ErrorCode::RangeInvalid, 416),
            (ErrorCode::Unavailable, 503),
            (ErrorCode::Unknown, 500),
        ];
        for (code, status) in table {
            assert_eq!(Failure::of(code, "").status() as u16, status, "{code:?}");
        }
        for code in ErrorCode::ALL {
            assert!(table.iter().any(|(told, _)| told == code), "{code:?} is not in the table");
        }
    }

    #[test]
    fn every_status_of_the_table_is_one_of_http() {
        let usual = ErrorCode::ALL.iter().map(|code| ErrorAnswer::from(*code));
        for answer in usual.chain(ErrorAnswer::ALL.iter().copied()) {
            assert_eq!(Failure::of(answer, "").status() as u16, answer.status, "{answer:?}");
        }
    }

    /// E1, E2, E3: the shape of the body and its exact type.
    #[test]
    fn the_body_is_the_specifications_json() {
        let failure = Failure::from(RegistryError::BlobUnknown(digest()));
        let response = failure.into_response();
        assert_eq!(response.header(CONTENT_TYPE).unwrap().as_str(), "application/json");
        let body = body(Failure::from(RegistryError::BlobUnknown(digest())));
        let expected = json!({ "errors": [{
            "code": "BLOB_UNKNOWN",
            "message": format!("blob {} is not in the repository", digest()),
            "detail": { "digest": digest().to_string() },
        }]});
        assert_eq!(body, expected);
    }

    #[test]
    fn only_an_internal_error_has_the_id_of_its_request() {
        let mut response =
            Failure::from(RegistryError::Internal("its disk failed".to_owned())).into_response();
        name_request(&mut response, "an-id");
        assert_eq!(response.header(CONTENT_TYPE).unwrap().as_str(), "application/json");
        let body: Value = smol::block_on(response.body_json()).unwrap();
        let expected =
            json!({ "code": "UNKNOWN", "message": "its disk failed", "detail": { "request": "an-id" } });
        assert_eq!(body["errors"][0], expected);
        let mut response = Failure::unknown_path().into_response();
        name_request(&mut response, "an-id");
        let body: Value = smol::block_on(response.body_json()).unwrap();
        assert!(body.pointer("/errors/0/detail").is_none());
    }

    #[test]
    fn a_failure_without_detail_has_no_such_member() {
        let body = body(Failure::unknown_path());
        assert_eq!(body.pointer("/errors/0/code").unwrap(), "UNSUPPORTED");
        assert!(body.pointer("/errors/0/detail").is_none());
    }

    /// E4: an answer that a client should retry has `Retry-After`.
    #[test]
    fn busy_and_full_have_retry_after() {
        for error in [
            RegistryError::TooMany("uploads"),
            RegistryError::Unavailable(String::new()),
            RegistryError::NoSpace,
        ] {
            let response = Failure::from(error).into_response();
            let seconds = response.header(RETRY_AFTER).unwrap().as_str().parse::<u32>().unwrap();
            assert!(seconds > 0);
        }
        assert!(Failure::unknown_path().into_response().header(RETRY_AFTER).is_none());
    }
}
