//! The app's endpoints: which handler answers which method of which resource.

use std::sync::Arc;

use tide::Server;
use tide::http::headers::ALLOW;
use tide::http::{Method, Request, Response, StatusCode};

use crate::http::api::{Failure, Path, Query, Resource, Route, render};
use crate::http::handlers::{Call, blobs, lists, manifests, referrers, uploads};
use crate::http::ops::{OPEN_METRICS, health};
use crate::http::state::SharedState;
use crate::spec::ErrorCode;
use crate::wire::RawTarget;

/// Other registries answer `/`, so probes that were written for them ask for it.
pub(super) const LIVE_PATHS: [&str; 4] = ["/livez", "/live", "/healthz", "/"];
pub(super) const READY_PATHS: [&str; 2] = ["/readyz", "/ready"];

/// The paths of health checks, which are answered also over the limit of connections.
pub const HEALTH_PATHS: [&[&str]; 2] = [&LIVE_PATHS, &READY_PATHS];

/// Mounts the endpoints. The router tells only the rooms apart; paths under `/v2/` are parsed from their
/// right end, which no router does.
pub(super) fn mount(server: &mut Server<SharedState>) {
    for path in ["/v2", "/v2/", "/v2/*"] {
        server.at(path).all(distribution);
    }
    for path in LIVE_PATHS {
        server.at(path).all(|request| watch(request, Resource::Live));
    }
    for path in READY_PATHS {
        server.at(path).all(|request| watch(request, Resource::Ready));
    }
    server.at("/metrics").all(|request| watch(request, Resource::Metrics));
    #[cfg(test)]
    server.at("/panic").all(panicking);
    server.at("/*").all(unknown);
}

/// Answers everything under `/v2/`.
async fn distribution(request: tide::Request<SharedState>) -> tide::Result<Response> {
    let state = Arc::clone(request.state());
    Ok(distribute(state, request.into()).await)
}

/// Tells whether a request is read from `/v2/`: the router decides nothing about it.
pub(super) fn is_read(request: &Request, target: &RawTarget) -> bool {
    matches!(request.method(), Method::Get | Method::Head) && target.path().starts_with("/v2/")
}

/// Answers a request under `/v2/` that carries its target.
pub(super) async fn distribute(state: SharedState, request: Request) -> Response {
    let target = request.ext().get::<RawTarget>();
    let path = Path::split(target.map_or("", RawTarget::path));
    let query = Query::parse(target.and_then(RawTarget::query).unwrap_or(""));
    let resource = path.resource;
    labelled(resource, answer(Call::new(state, query, request), path).await)
}

/// Answers health checks and scrapes.
async fn watch(request: tide::Request<SharedState>, resource: Resource) -> tide::Result<Response> {
    let state = request.state();
    let answered = options(request.method(), resource, state.options.deletes).and_then(|options| {
        match (options, resource) {
            (Some(options), _) => Ok(options),
            (None, Resource::Live) => Ok(health::live()),
            (None, Resource::Ready) => Ok(health::ready(&health::of(&state.registry))),
            (None, _) => match state.metrics.render() {
                Ok(rendered) => Ok(render::content(StatusCode::Ok, OPEN_METRICS, rendered)),
                Err(error) => Err(Failure::of(ErrorCode::Unknown, error.to_string())),
            },
        }
    });
    Ok(labelled(resource, answered))
}

/// Panics with all that a request can hold in its hands.
#[cfg(test)]
async fn panicking(request: tide::Request<SharedState>) -> tide::Result<Response> {
    let state = Arc::clone(request.state());
    let mut call = Call::new(Arc::clone(&state), Query::parse(""), request.into());
    let _chunk = call.take_chunk();
    let _place = state.large_answers.place(None).await;
    panic!("as asked")
}

/// Answers everything that is nowhere.
async fn unknown(_: tide::Request<SharedState>) -> tide::Result<Response> {
    Ok(labelled(Resource::Unknown, Err(Failure::unknown_path())))
}

async fn answer(mut call: Call, path: Path) -> Result<Response, Failure> {
    if let Some(options) = options(call.method(), path.resource, call.shared.options.deletes)? {
        return Ok(options);
    }
    let method = call.method();
    let call = &mut call;
    // Each resource's other methods are GET and HEAD. The room of a request
    // is that of its largest handler: those that the most frequent requests don't need are boxed.
    match (path.parse()?, method) {
        (Route::Ping, _) => Ok(render::content(StatusCode::Ok, render::JSON, "{}")),
        (Route::Catalog, _) => Box::pin(lists::catalog(call)).await,
        (Route::Discovery, _) => lists::discovery(),
        (Route::Tags(repo), _) => Box::pin(lists::tags(call, &repo)).await,
        (Route::Referrers(repo, subject), _) => Box::pin(referrers::list(call, &repo, &subject)).await,
        (Route::Manifest(repo, text), Method::Put) => Box::pin(manifests::push(call, &repo, &text)).await,
        (Route::Manifest(repo, text), Method::Delete) => {
            Box::pin(manifests::delete(call, &repo, &text)).await
        }
        (Route::Manifest(repo, text), _) => manifests::pull(call, &repo, &text).await,
        (Route::Blob(repo, digest), Method::Delete) => Box::pin(blobs::delete(call, &repo, &digest)).await,
        (Route::Blob(repo, digest), Method::Head) => blobs::head(call, &repo, &digest).await,
        (Route::Blob(repo, digest), _) => Box::pin(blobs::pull(call, &repo, &digest)).await,
        (Route::Uploads(repo), _) => Box::pin(uploads::begin(call, &repo)).await,
        (Route::Upload(repo, id), Method::Patch) => Box::pin(uploads::append(call, &repo, &id)).await,
        (Route::Upload(repo, id), Method::Put) => Box::pin(uploads::finish(call, &repo, &id)).await,
        (Route::Upload(repo, id), Method::Delete) => Box::pin(uploads::cancel(call, &repo, &id)).await,
        (Route::Upload(repo, id), _) => Box::pin(uploads::status(call, &repo, &id)).await,
    }
}

/// H7: answers OPTIONS, and refuses a method that a resource does not have.
fn options(method: Method, resource: Resource, deletes: bool) -> Result<Option<Response>, Failure> {
    let methods = resource.methods(deletes);
    if methods.is_empty() {
        return Err(Failure::unknown_path());
    }
    if method != Method::Options && methods.contains(&method) {
        return Ok(None);
    }
    let allow = methods.iter().map(Method::to_string).collect::<Vec<_>>().join(", ");
    if method == Method::Options {
        let mut response = render::empty(StatusCode::NoContent);
        response.insert_header(ALLOW, allow);
        return Ok(Some(response));
    }
    let message = format!("{method} is not for this path; {allow} are");
    Err(Failure::of(ErrorCode::Unsupported, message).with_header(ALLOW, allow))
}

/// Renders an answer, and tells metrics and the access log which resource it is of.
fn labelled(resource: Resource, answer: Result<Response, Failure>) -> Response {
    let mut response = answer.unwrap_or_else(Failure::into_response);
    response.ext_mut().insert(resource);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H7: 405 names the methods that the path has.
    #[test]
    fn a_method_that_a_path_does_not_have_is_refused_with_those_it_has() {
        let failure = options(Method::Post, Resource::Manifest, true).unwrap_err();
        let response = failure.into_response();
        assert_eq!(response.status(), StatusCode::MethodNotAllowed);
        assert_eq!(response.header(ALLOW).unwrap().as_str(), "GET, HEAD, PUT, DELETE, OPTIONS");
    }

    /// D1, D2, D3: where deletion is switched off it is 405.
    #[test]
    fn deletion_that_is_switched_off_is_not_allowed() {
        for resource in [Resource::Manifest, Resource::Blob] {
            assert!(options(Method::Delete, resource, true).unwrap().is_none());
            let failure = options(Method::Delete, resource, false).unwrap_err();
            assert_eq!(failure.status(), StatusCode::MethodNotAllowed);
            assert_eq!(failure.code(), ErrorCode::Unsupported);
        }
    }

    #[test]
    fn options_are_listed() {
        let response = options(Method::Options, Resource::Uploads, true).unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::NoContent);
        assert_eq!(response.header(ALLOW).unwrap().as_str(), "POST, OPTIONS");
    }

    /// H7: what is nowhere is 404 for every method.
    #[test]
    fn an_unknown_path_has_no_methods() {
        for method in [Method::Get, Method::Options, Method::Put] {
            let failure = options(method, Resource::Unknown, true).unwrap_err();
            assert_eq!(failure.status(), StatusCode::NotFound);
        }
    }
}
