//! What every answer carries, and its metrics and log line once it has been sent.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use tide::http::headers::CONTENT_LENGTH;
use tide::http::{Method, Request, Response, StatusCode, Url};

use crate::http::api::{Failure, Resource, errors};
use crate::http::large_answers::AnswerPlace;
use crate::http::ops::{AccessEntry, InFlight, RequestId};
use crate::http::state::SharedState;
use crate::spec::ErrorCode;
use crate::wire::{BodyPlace, OnSent, RawTarget, take_body};

/// Returns the target of a request that came without the one that a client sent.
pub(super) fn target_of(url: &Url) -> RawTarget {
    match url.query() {
        Some(query) => RawTarget::new(&format!("{}?{query}", url.path())),
        None => RawTarget::new(url.path()),
    }
}

/// A request between its arrival and the end of its answer. Dropped before it has one, it is counted and
/// logged as cut off.
pub(super) struct Envelope {
    /// `None` once it has an answer.
    pending: Option<PendingRequest>,
}

struct PendingRequest {
    state: SharedState,
    started: Instant,
    entry: AccessEntry,
    in_flight: InFlight,
}

impl Drop for Envelope {
    fn drop(&mut self) {
        if let Some(PendingRequest { state, started, entry, .. }) = self.pending.take() {
            state.metrics.count_cut_off();
            entry.write_cut_off(started.elapsed());
        }
    }
}

impl Envelope {
    /// Begins a request.
    pub(super) fn open(state: SharedState, request: &Request, target: RawTarget) -> Self {
        let in_flight = state.metrics.begin();
        let peer = request.peer_addr().map(str::to_owned);
        let entry = AccessEntry { id: RequestId::of(request), method: request.method(), target, peer };
        Self { pending: Some(PendingRequest { state, started: Instant::now(), entry, in_flight }) }
    }

    /// Hands a request its id, for what it changes.
    pub(super) fn name(&self, request: &mut Request) {
        if let Some(pending) = &self.pending {
            request.ext_mut().insert(pending.entry.id.clone());
        }
    }

    /// Makes the answer of a request whose handler panicked, and logs the panic. The handler's permits were
    /// released as it unwound; the connection ends, since the request may be half read.
    pub(super) fn panicked(&self, panic: &(dyn Any + Send)) -> Response {
        let message = panic.downcast_ref::<&str>().copied();
        let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        if let Some(PendingRequest { state, entry, .. }) = &self.pending {
            state.metrics.count_panic();
            log::error!("{}", entry.panic_line(message.unwrap_or("(no message)")));
        }
        let failure = Failure::of(ErrorCode::Unknown, "the server failed to answer; its log says more");
        failure.with_header("connection", "close").into_response()
    }

    /// Completes the answer. It is counted and logged when the transport has sent it, so that time and bytes
    /// are what the client saw.
    pub(super) fn close(mut self, mut response: Response) -> Response {
        let Some(pending) = self.pending.take() else { return response };
        let PendingRequest { state, started, entry, in_flight } = pending;
        response.insert_header("docker-distribution-api-version", "registry/2.0");
        response.insert_header("x-request-id", entry.id.as_str());
        errors::name_request(&mut response, entry.id.as_str());
        frame(entry.method, &mut response);
        let resource = response.ext().get::<Resource>().copied().unwrap_or(Resource::Unknown);
        let status = response.status() as u16;
        let place = response.ext_mut().remove::<AnswerPlace>();
        if let Some(place) = &place {
            response.ext_mut().insert(BodyPlace(Arc::clone(place.holder())));
        }
        response.ext_mut().insert(OnSent(Box::new(move |sent| {
            let time = started.elapsed();
            state.metrics.count(resource, entry.method, status, time, sent);
            entry.write(resource, status, time, sent);
            drop((in_flight, place));
        })));
        response
    }
}

/// H4, M5: every answer that may have a body has `Content-Length`; one to HEAD has the same length and no
/// body.
pub(super) fn frame(method: Method, response: &mut Response) {
    if matches!(response.status(), StatusCode::NoContent | StatusCode::NotModified) {
        return;
    }
    if response.header(CONTENT_LENGTH).is_none()
        && let Some(length) = response.len()
    {
        response.insert_header(CONTENT_LENGTH, length.to_string());
    }
    if method == Method::Head {
        take_body(response);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::RegistryError;

    fn framed(method: Method) -> Response {
        let mut response = Failure::from(RegistryError::UploadUnknown).into_response();
        frame(method, &mut response);
        response
    }

    /// H4, E3: HEAD has the headers of GET, with the length, and no body; errors, too.
    #[test]
    fn an_answer_to_head_has_the_length_of_the_omitted_body() {
        let mut get = framed(Method::Get);
        let mut head = framed(Method::Head);
        let body = smol::block_on(get.body_bytes()).unwrap();
        assert_eq!(get.header(CONTENT_LENGTH).unwrap().as_str(), body.len().to_string());
        for name in ["content-length", "content-type"] {
            assert_eq!(head.header(name).unwrap().as_str(), get.header(name).unwrap().as_str());
        }
        assert_eq!(head.status(), get.status());
        assert!(smol::block_on(head.body_bytes()).unwrap().is_empty());
    }

    /// H4: a length that is set stays: the body of a blob is not the answer's own.
    #[test]
    fn a_length_that_is_set_stays() {
        let mut response = Response::new(200);
        response.insert_header(CONTENT_LENGTH, "5000000000");
        frame(Method::Get, &mut response);
        assert_eq!(response.header(CONTENT_LENGTH).unwrap().as_str(), "5000000000");
    }

    #[test]
    fn an_answer_that_cannot_have_a_body_has_no_length() {
        for status in [StatusCode::NoContent, StatusCode::NotModified] {
            let mut response = Response::new(status);
            frame(Method::Get, &mut response);
            assert!(response.header(CONTENT_LENGTH).is_none());
        }
    }
}
