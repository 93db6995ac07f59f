//! What a request carries from the transport beside its head and body, as extensions.

use std::sync::Arc;

/// The request's target (path and query) exactly as it was sent.
///
/// `Request::url()` went through a parser of URLs, which percent-encodes a few more characters; what must be
/// exact is read from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTarget(Arc<str>);

impl RawTarget {
    /// Takes a target as it was sent.
    pub fn new(target: &str) -> Self {
        Self(target.into())
    }

    /// Returns it as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path, still percent-encoded.
    pub fn path(&self) -> &str {
        self.0.split_once('?').map_or(&*self.0, |(path, _)| path)
    }

    /// Returns what follows the first `?`, still percent-encoded.
    pub fn query(&self) -> Option<&str> {
        self.0.split_once('?').map(|(_, query)| query)
    }
}
