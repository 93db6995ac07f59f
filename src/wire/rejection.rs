//! Requests and connections that the transport itself rejects, and its answers.

use tide::http::StatusCode;

use crate::spec::{ErrorAnswer, ErrorCode};
use crate::wire::refusals::RefusalReason;

/// Why a request is refused before the application sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejection {
    /// The head breaks the grammar, or could be read in two ways.
    #[error("{0}")]
    BadRequest(&'static str),
    /// The head took too long to arrive.
    #[error("the request's head took too long to arrive")]
    HeadTooSlow,
    /// The target is over the limit.
    #[error("the request's target is too long")]
    TargetTooLong,
    /// The only expectation a server can meet is `100-continue`.
    #[error("the expectation is not supported")]
    UnknownExpectation,
    /// The head, or the number of its headers, is over the limit.
    #[error("the request's head is too large")]
    HeadTooLarge,
    /// The application panicked.
    #[error("the server failed to answer")]
    Failed,
    /// The method is none of HTTP's.
    #[error("the method is not supported")]
    UnknownMethod,
    /// The transfer coding is not exactly `chunked`.
    #[error("the transfer coding is not supported")]
    UnknownCoding,
    /// No more connections are allowed.
    #[error("the server has too many connections")]
    TooManyConnections,
    /// No more connections are allowed from this address.
    #[error("there are too many connections from this address")]
    TooManyOfAddress,
    /// The version is neither 1.0 nor 1.1.
    #[error("the HTTP version is not supported")]
    UnknownVersion,
}

impl Rejection {
    /// Returns the code and the status that the client gets.
    fn answer(self) -> ErrorAnswer {
        match self {
            Self::BadRequest(_) => ErrorAnswer::BAD_REQUEST,
            Self::HeadTooSlow => ErrorAnswer::HEAD_TIMEOUT,
            Self::TargetTooLong => ErrorAnswer::TARGET_TOO_LONG,
            Self::UnknownExpectation => ErrorAnswer::UNKNOWN_EXPECTATION,
            Self::HeadTooLarge => ErrorAnswer::HEAD_TOO_LARGE,
            Self::Failed => ErrorCode::Unknown.into(),
            Self::UnknownMethod | Self::UnknownCoding => ErrorAnswer::NOT_IMPLEMENTED,
            Self::TooManyConnections => ErrorAnswer::OVERLOADED,
            Self::TooManyOfAddress => ErrorCode::TooManyRequests.into(),
            Self::UnknownVersion => ErrorAnswer::UNKNOWN_VERSION,
        }
    }

    /// Returns what it is counted as.
    pub(super) fn reason(self) -> RefusalReason {
        let label = match self {
            Self::BadRequest(_) => "bad_request",
            Self::HeadTooSlow => "head_too_slow",
            Self::TargetTooLong => "target_too_long",
            Self::UnknownExpectation => "unknown_expectation",
            Self::HeadTooLarge => "head_too_large",
            Self::Failed => "failed",
            Self::UnknownMethod => "unknown_method",
            Self::UnknownCoding => "unknown_coding",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyOfAddress => "too_many_of_address",
            Self::UnknownVersion => "unknown_version",
        };
        RefusalReason { label, status: Some(self.answer().status) }
    }

    /// Makes the answer, with an error body of the form that the OCI distribution specification asks for.
    pub(super) fn response(self) -> tide::http::Response {
        let ErrorAnswer { code, status } = self.answer();
        let error = serde_json::json!({ "errors": [{ "code": code.as_str(), "message": self.to_string() }] });
        let mut response = tide::http::Response::new(
            StatusCode::try_from(status).unwrap_or(StatusCode::InternalServerError),
        );
        response.set_body(error.to_string());
        response.insert_header("Content-Type", "application/json");
        if matches!(self, Self::TooManyConnections | Self::TooManyOfAddress) {
            response.insert_header("Retry-After", "1");
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_carry_an_error_body_of_the_specification() {
        let mut response = Rejection::BadRequest("a \"quoted\" reason").response();
        assert_eq!(response.status(), StatusCode::BadRequest);
        assert_eq!(response.header("Content-Type").unwrap().as_str(), "application/json");
        let body = smol::block_on(response.body_string()).unwrap();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["errors"][0]["code"], "UNSUPPORTED");
        assert_eq!(body["errors"][0]["message"], "a \"quoted\" reason");
        assert!(response.header("Retry-After").is_none());
    }

    #[test]
    fn too_many_connections_says_when_to_come_back() {
        for (rejection, status) in [
            (Rejection::TooManyConnections, StatusCode::ServiceUnavailable),
            (Rejection::TooManyOfAddress, StatusCode::TooManyRequests),
        ] {
            let response = rejection.response();
            assert_eq!(response.status(), status);
            assert_eq!(response.header("Retry-After").unwrap().as_str(), "1");
        }
    }
}
