//! Answers while the registry is being opened, which takes a while after an unclean stop.

use tide::http::{Request, Response, StatusCode};

use crate::http::api::{Failure, render};
use crate::http::endpoints::{LIVE_PATHS, READY_PATHS};
use crate::http::envelope::{frame, target_of};
use crate::http::ops::health;
use crate::spec::ErrorCode;
use crate::wire::RawTarget;

/// Answers a request while the registry is being opened. `progress` is its progress in words.
///
/// The server is alive but not ready, and every route of the specification gets 503 with `Retry-After`.
pub fn respond_while_starting(request: &Request, progress: &str) -> Response {
    let target = request.ext().get().cloned().unwrap_or_else(|| target_of(request.url()));
    let mut response = answer(&target, progress);
    response.insert_header("docker-distribution-api-version", "registry/2.0");
    frame(request.method(), &mut response);
    response
}

fn answer(target: &RawTarget, progress: &str) -> Response {
    match target.path() {
        path if LIVE_PATHS.contains(&path) => health::live(),
        path if READY_PATHS.contains(&path) || path == "/metrics" => {
            render::content(StatusCode::ServiceUnavailable, render::TEXT, format!("{progress}\n"))
        }
        path if path == "/v2" || path.starts_with("/v2/") => {
            Failure::of(ErrorCode::Unavailable, progress).into_response()
        }
        _ => Failure::unknown_path().into_response(),
    }
}

#[cfg(test)]
mod tests {
    use tide::http::Method;

    use super::*;

    fn ask(method: Method, target: &str, progress: &str) -> (u16, String, Response) {
        let mut request = Request::new(method, format!("http://registry.test{target}").as_str());
        request.ext_mut().insert(RawTarget::new(target));
        let mut response = respond_while_starting(&request, progress);
        let text = smol::block_on(response.body_string()).unwrap();
        (response.status() as u16, text, response)
    }

    #[test]
    fn it_is_alive_but_not_ready_and_reports_its_progress() {
        let progress = "rebuilding the index: 1 of 2 MiB";
        for target in ["/livez", "/live", "/healthz", "/"] {
            assert_eq!(ask(Method::Get, target, progress).0, 200);
        }
        for target in ["/readyz", "/ready", "/metrics"] {
            let (status, text, _) = ask(Method::Get, target, progress);
            assert_eq!((status, text.as_str()), (503, "rebuilding the index: 1 of 2 MiB\n"));
        }
        assert_eq!(ask(Method::Get, "/elsewhere", progress).0, 404);
    }

    /// E4: every route of the specification gets an error of the specification, with `Retry-After`.
    #[test]
    fn every_route_of_the_specification_gets_retry_after() {
        for (method, target) in [
            (Method::Get, "/v2/"),
            (Method::Get, "/v2"),
            (Method::Get, "/v2/a/manifests/latest?x=y"),
            (Method::Put, "/v2/a/manifests/latest"),
        ] {
            let (status, text, response) = ask(method, target, "rebuilding");
            assert_eq!(status, 503);
            assert_eq!(response.header("retry-after").unwrap().as_str(), "5");
            assert_eq!(text, r#"{"errors":[{"code":"UNAVAILABLE","message":"rebuilding"}]}"#);
        }
        let (status, text, response) = ask(Method::Head, "/v2/a/blobs/b", "rebuilding");
        assert_eq!((status, text.as_str()), (503, ""));
        assert!(response.header("content-length").is_some());
    }
}
