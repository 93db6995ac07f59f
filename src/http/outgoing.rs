//! What a response carries to the transport beside its head and body, as extensions.

use crate::registry::BlobReader;

/// A stretch of a blob that the transport sends as the body, by `sendfile` where it can.
#[derive(Debug, Clone)]
pub struct FileBody {
    /// The blob to send from.
    pub reader: BlobReader,
    /// The first byte to send.
    pub offset: u64,
    /// How many bytes to send.
    pub length: u64,
}

/// How a response went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The bytes of the request's body that were read.
    pub bytes_in: u64,
    /// The bytes of the response's body that the socket took.
    pub bytes_out: u64,
    /// Whether the whole response went out.
    pub complete: bool,
}

/// Called by the transport once, when a response has gone out or could not.
pub struct OnSent(pub Box<dyn FnOnce(Sent) + Send + Sync>);

impl std::fmt::Debug for OnSent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("OnSent")
    }
}
