//! The tide app: the routes of the distribution specification, health and metrics. It knows no sockets: the
//! transport hands it requests and sends what it answers.
//!
//! Every answer that may have a body, and every answer to HEAD, has an explicit `Content-Length`. What an
//! answer tells the transport beside that is in `wire/contract.rs`.
//!
//! | what | where |
//! |---|---|
//! | the specification: paths, queries, errors, what answers render | `api/` |
//! | the handlers of its resources | `handlers/` |
//! | health, metrics, the access log | `ops/` |
//! | answers during the start | `starting` |
//! | what all requests share | `state` |
//! | the bound on long lists in memory | `large_answers` |
//! | which handler answers what | `endpoints` |
//! | around every request: id, headers, metrics, access log, panics | `envelope` |

mod api;
mod endpoints;
mod envelope;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod handlers;
mod large_answers;
mod ops;
mod starting;
mod state;

pub use endpoints::HEALTH_PATHS;
pub use starting::respond_while_starting;
pub use state::HttpOptions;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use smol::future::FutureExt;
use tide::Server;
use tide::http::{Method, Request, Response};

use crate::registry::Registry;
use crate::spec::ErrorCode;
use crate::wire::{RawTarget, Refusals};
use api::Failure;
use envelope::{Envelope, target_of};
use large_answers::LargeAnswers;
use ops::Metrics;
use state::{AppState, SharedState};

/// The app. A clone is the same app.
#[derive(Debug, Clone)]
pub struct App {
    server: Server<SharedState>,
}

impl App {
    /// Makes the app that serves a registry. Its metrics include what the transport refuses.
    pub(crate) fn new(registry: Registry, options: HttpOptions, refusals: Arc<Refusals>) -> Self {
        let metrics = Metrics::new(registry.clone(), refusals);
        let large_answers = LargeAnswers::new();
        let mut server = Server::with_state(Arc::new(AppState { registry, options, metrics, large_answers }));
        endpoints::mount(&mut server);
        Self { server }
    }

    /// Answers a request.
    pub async fn respond(&self, mut request: Request) -> Response {
        // Without pulk's own transport there is only the URL.
        let given = request.ext().get::<RawTarget>().cloned();
        let target = given.clone().unwrap_or_else(|| target_of(request.url()));
        let envelope = Envelope::open(Arc::clone(self.server.state()), &request, target.clone());
        if !matches!(request.method(), Method::Get | Method::Head) {
            envelope.name(&mut request);
        }
        let is_read = endpoints::is_read(&request, &target);
        if !is_read && target.path().starts_with("/v2/") {
            // tide's router slows down with the length of a path, and the endpoint reads the raw one anyway.
            request.url_mut().set_path("/v2/");
        }
        if given.is_none() {
            request.ext_mut().insert(target);
        }
        let answer = async {
            if is_read {
                return Ok(endpoints::distribute(Arc::clone(self.server.state()), request).await);
            }
            self.server.respond(request).await
        };
        let response = match AssertUnwindSafe(answer).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => Failure::of(ErrorCode::Unknown, error.to_string()).into_response(),
            Err(panic) => envelope.panicked(panic.as_ref()),
        };
        envelope.close(response)
    }
}

#[cfg(test)]
mod tests;
