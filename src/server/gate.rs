//! The gate in front of the registry: shut until it is open.

use std::sync::{Arc, OnceLock};

use tide::http::{Request, Response};

use crate::http::{App, respond_while_starting};
use crate::registry::RecoveryProgress;

/// What is said before more is known.
const STARTING: &str = "the registry is starting";

/// Answers for the registry until it is open, and from then on lets everything through to it.
#[derive(Debug)]
pub(super) struct Gate {
    app: OnceLock<App>,
    progress: RecoveryProgress,
}

impl Gate {
    /// Makes one that is shut, and tells how far the opening has come.
    pub(super) fn shut(progress: RecoveryProgress) -> Arc<Self> {
        Arc::new(Self { app: OnceLock::new(), progress })
    }

    /// Opens it.
    pub(super) fn open(&self, app: App) {
        // It is opened once only.
        drop(self.app.set(app));
    }

    /// Returns a line that tells how far the opening has come.
    pub(super) fn state(&self) -> String {
        self.progress.line().unwrap_or_else(|| STARTING.to_owned())
    }

    /// Answers a request.
    pub(super) async fn respond(self: Arc<Self>, request: Request) -> Response {
        match self.app.get() {
            Some(app) => app.respond(request).await,
            None => respond_while_starting(&request, &self.state()),
        }
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
        let gate = Gate::shut(RecoveryProgress::default());
        let ask = |target: &str| {
            let request = Request::new(Method::Get, format!("http://registry.test{target}").as_str());
            block_on(Arc::clone(&gate).respond(request)).status() as u16
        };
        assert_eq!((ask("/livez"), ask("/readyz"), ask("/v2/")), (200, 503, 503));
        let registry = Registry::open(RegistryOptions::new(Storage::Memory)).unwrap();
        gate.open(App::new(registry, HttpOptions::default()));
        assert_eq!((ask("/livez"), ask("/readyz"), ask("/v2/")), (200, 200, 200));
    }
}
