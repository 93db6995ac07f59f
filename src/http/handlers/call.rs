//! One request on its way through the handlers.

use std::net::SocketAddr;

use smol::io::AsyncBufRead;
use tide::http::headers::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use tide::http::{Method, Request};

use crate::http::api::{Failure, Query};
use crate::http::ops::RequestId;
use crate::http::state::SharedState;
use crate::registry::{Chunk, Origin, Registry};
use crate::spec::{ContentRange, ErrorCode, MediaType};

/// The type that client libraries send by default. No manifest has it, so it is taken as none.
const UNTYPED: &str = "application/octet-stream";

/// The body of a request.
pub(super) type RequestBody = Box<dyn AsyncBufRead + Unpin + Send + Sync>;

/// A request, its query, and what handlers work with.
pub(in crate::http) struct Call {
    pub(in crate::http) shared: SharedState,
    pub(in crate::http) query: Query,
    request: Request,
}

impl Call {
    /// Makes a call of a request whose target had this query.
    pub(in crate::http) fn new(shared: SharedState, query: Query, request: Request) -> Self {
        Self { shared, query, request }
    }

    /// Returns the registry.
    pub(in crate::http) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// Returns the registry for what changes something, which the journal then notes as coming from this
    /// request.
    pub(in crate::http) fn acting(&self) -> Registry {
        let mut origin = Origin::default();
        if let Some(peer) = self.peer() {
            origin = origin.address(peer.ip());
        }
        if let Some(id) = self.request.ext().get::<RequestId>() {
            origin = origin.request(id.as_str());
        }
        if let Some(client) = self.header(USER_AGENT) {
            origin = origin.client(client);
        }
        self.registry().on_behalf_of(origin)
    }

    /// Returns the method.
    pub(in crate::http) fn method(&self) -> Method {
        self.request.method()
    }

    /// Returns whether only the head of the answer is wanted.
    pub(super) fn is_head(&self) -> bool {
        self.method() == Method::Head
    }

    /// Returns every value of a header, one for each of its lines.
    pub(in crate::http) fn headers(&self, name: impl Into<HeaderName>) -> impl Iterator<Item = &str> {
        self.request.header(name).into_iter().flat_map(|values| values.iter().map(HeaderValue::as_str))
    }

    /// Returns the value of a header that has one line.
    pub(in crate::http) fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.request.header(name).map(|values| values.last().as_str())
    }

    /// Returns the media type that the body was sent with.
    pub(super) fn media_type(&self) -> Result<Option<MediaType>, Failure> {
        let Some(text) = self.header(CONTENT_TYPE).map(str::trim) else { return Ok(None) };
        if text.is_empty() || text.eq_ignore_ascii_case(UNTYPED) {
            return Ok(None);
        }
        let parsed = text.parse().map_err(|error| {
            Failure::of(ErrorCode::ManifestInvalid, format!("the Content-Type is malformed: {error}"))
        })?;
        Ok(Some(parsed))
    }

    /// Returns the length that was announced, as 64 bits wide as it was sent: http_types would cut it.
    pub(super) fn content_length(&self) -> Result<Option<u64>, Failure> {
        let Some(text) = self.header(CONTENT_LENGTH) else { return Ok(None) };
        let parsed = text.trim().parse().map_err(|_| {
            Failure::of(ErrorCode::SizeInvalid, format!("the Content-Length {text:?} is not a length"))
        })?;
        Ok(Some(parsed))
    }

    /// Takes the body out.
    pub(in crate::http) fn take_body(&mut self) -> RequestBody {
        self.request.take_body().into_reader()
    }

    /// Takes the body out as a part of an upload (C2, C5, C6).
    pub(in crate::http) fn take_chunk(&mut self) -> Result<Chunk<RequestBody>, Failure> {
        let length = self.announced_length()?;
        let range = match self.header("content-range") {
            Some(text) => Some(
                text.trim()
                    .parse::<ContentRange>()
                    .map_err(|error| Failure::of(ErrorCode::BlobUploadInvalid, error.to_string()))?,
            ),
            None => None,
        };
        Ok(Chunk { body: self.take_body(), length, range })
    }

    /// Returns where the client comes from.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.request.peer_addr()?.parse().ok()
    }

    /// Returns the length that was announced; without a body, and so without a length, it is 0.
    fn announced_length(&self) -> Result<Option<u64>, Failure> {
        let length = self.content_length()?;
        let is_empty = length.is_none() && self.request.len() == Some(0);
        Ok(if is_empty { Some(0) } else { length })
    }
}
