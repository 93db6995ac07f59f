//! The gate in front of the registry: shut until the registry is open.

use std::sync::{Arc, Mutex, OnceLock};

use tide::http::{Request, Response};

use crate::base::lock;
use crate::http::{App, respond_while_starting};
use crate::registry::RecoveryProgress;
use crate::wire::{RawTarget, RefusalReason, Refusals};

/// The answer before more is known.
const STARTING: &str = "the registry is starting";

/// Answers requests until the registry is open, and passes them to it from then on.
#[derive(Debug)]
pub(super) struct Gate {
    app: OnceLock<App>,
    progress: RecoveryProgress,
    refusals: Arc<Refusals>,
    /// The process that holds the data directory, while the start waits for it.
    held: Mutex<Option<String>>,
}

impl Gate {
    /// Makes a shut gate that reports the progress of the opening, and counts what it refuses.
    pub(super) fn shut(progress: RecoveryProgress, refusals: Arc<Refusals>) -> Arc<Self> {
        Arc::new(Self { app: OnceLock::new(), progress, refusals, held: Mutex::default() })
    }

    /// Opens it.
    pub(super) fn open(&self, app: App) {
        // The gate is opened only once.
        drop(self.app.set(app));
    }

    /// Returns a line about the progress of the opening.
    pub(super) fn state(&self) -> String {
        let held = lock(&self.held).clone();
        held.or_else(|| self.progress.line()).unwrap_or_else(|| STARTING.to_owned())
    }

    /// Reports that another process has the data directory, until the returned value is dropped.
    pub(super) fn wait_for(&self, pid: Option<u32>) -> Waiting<'_> {
        let who = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        self.tell(Some(format!("waiting for another pulk{who} to release the data directory")));
        Waiting(self)
    }

    fn tell(&self, held: Option<String>) {
        *lock(&self.held) = held;
    }

    /// Answers a request.
    pub(super) async fn respond(self: Arc<Self>, request: Request) -> Response {
        match self.app.get() {
            Some(app) => app.respond(request).await,
            None => {
                let state = self.state();
                let target = request.ext().get::<RawTarget>();
                if target.is_some_and(|target| target.path().starts_with("/v2")) {
                    let reason = RefusalReason { label: "starting", status: Some(503) };
                    self.refusals.note(reason, request.peer_addr().unwrap_or("-"), &state);
                }
                respond_while_starting(&request, &state)
            }
        }
    }
}

/// A wait for another process.
pub(super) struct Waiting<'a>(&'a Gate);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.tell(None);
    }
}

#[cfg(test)]
mod tests {
    use smol::block_on;
    use tide::http::Method;

    use super::*;
    use crate::http::HttpOptions;
    use crate::registry::{Registry, RegistryOptions, Storage};

    #[test]
    fn it_answers_503_until_it_is_opened_and_then_lets_everything_through() {
        let gate = Gate::shut(RecoveryProgress::default(), Arc::default());
        let ask = |target: &str| {
            let request = Request::new(Method::Get, format!("http://registry.test{target}").as_str());
            block_on(Arc::clone(&gate).respond(request)).status() as u16
        };
        assert_eq!((ask("/livez"), ask("/readyz"), ask("/v2/")), (200, 503, 503));
        let registry = Registry::open(RegistryOptions::new(Storage::Memory)).unwrap();
        gate.open(App::new(registry, HttpOptions::default(), Arc::default()));
        assert_eq!((ask("/livez"), ask("/readyz"), ask("/v2/")), (200, 200, 200));
    }
}
