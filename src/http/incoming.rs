//! What a request carries from the transport beside its head and body, as extensions.

/// The request's target (path and query) exactly as it was sent.
///
/// `Request::url()` went through a parser of URLs, which percent-encodes a few more characters; what must be
/// exact is read from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTarget(pub String);

impl RawTarget {
    /// Returns the path, still percent-encoded.
    pub fn path(&self) -> &str {
        self.0.split_once('?').map_or(self.0.as_str(), |(path, _)| path)
    }

    /// Returns what follows the first `?`, still percent-encoded.
    pub fn query(&self) -> Option<&str> {
        self.0.split_once('?').map(|(_, query)| query)
    }
}
