//! What a request carries from the transport, and a response to it, beside head and body: as extensions.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use crate::wire::admission::Holder;
use crate::wire::file_step::{FileStep, FileStepEnd};

/// The request's target (path and query) exactly as it was sent.
///
/// `Request::url()` went through a parser of URLs, which percent-encodes a few more characters, and names no
/// host; what must be exact is read from here and from the `Host` header.
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

/// What a [`BodyFile`] returns of a step.
pub type FileStepFuture<'a> = Pin<Box<dyn Future<Output = io::Result<FileStepEnd>> + Send + 'a>>;

/// An open file of the application, from which the transport sends bodies.
pub trait BodyFile: fmt::Debug + Send + Sync {
    /// Runs `step` on the file, on a thread that may block. The application decides when.
    fn run(&self, step: FileStep) -> FileStepFuture<'_>;

    /// Returns the name of the file for log lines.
    fn name(&self) -> String;
}

/// A range of a file that the transport sends as the body, by `sendfile` where possible.
#[derive(Debug, Clone)]
pub struct FileBody {
    /// The file to send from.
    pub file: Arc<dyn BodyFile>,
    /// The first byte to send.
    pub offset: u64,
    /// How many bytes to send.
    pub length: u64,
}

/// The place that a response's body has among those of its kind. The transport notes in it how the body goes
/// out, and cuts the body off when the place is another one's.
#[derive(Debug, Clone)]
pub(crate) struct BodyPlace(pub(crate) Arc<Holder>);

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

impl fmt::Debug for OnSent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OnSent")
    }
}
