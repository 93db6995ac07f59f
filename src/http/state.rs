//! What the app is configured with, and what all requests share.

use std::sync::Arc;

use crate::http::large_answers::LargeAnswers;
use crate::http::ops::Metrics;
use crate::registry::Registry;

/// How many names a list has at most where nothing else is configured.
const LIST_MAX_NAMES: usize = 1_000;

/// What can be configured of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOptions {
    /// How many tags or repositories one answer lists at most; the next ones are linked to.
    pub list_max_names: usize,
    /// Whether clients may delete tags, manifests and blobs.
    pub deletes: bool,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self { list_max_names: LIST_MAX_NAMES, deletes: true }
    }
}

/// What every request shares.
#[derive(Debug)]
pub(in crate::http) struct AppState {
    pub(in crate::http) registry: Registry,
    pub(in crate::http) options: HttpOptions,
    pub(in crate::http) metrics: Metrics,
    pub(in crate::http) large_answers: LargeAnswers,
}

pub(in crate::http) type SharedState = Arc<AppState>;
