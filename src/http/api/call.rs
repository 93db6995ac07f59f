//! One request on its way through the handlers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use smol::Timer;
use smol::future::or;
use smol::io::{AsyncBufRead, AsyncBufReadExt};
use tide::http::headers::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use tide::http::{Method, Request};

use super::errors::Failure;
use super::query::Query;
use crate::http::SharedState;
use crate::http::fairness::{Place, Room, SMALL_MAX_BYTES, Watched};
use crate::registry::{Chunk, Registry, RegistryError};
use crate::spec::{ContentRange, ErrorCode, MediaType};
use crate::wire::{ClientAddress, Pace};

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
            Failure::of(ErrorCode::SizeInvalid, format!("the Content-Length {text:?} is no length"))
        })?;
        Ok(Some(parsed))
    }

    /// Takes the body out.
    pub(in crate::http) fn take_body(&mut self) -> RequestBody {
        self.request.take_body().into_reader()
    }

    /// Takes the body out as a part of an upload (C2, C5, C6), and a place among those that bring something,
    /// to be held as long as the chunk is read.
    pub(in crate::http) fn take_chunk(&mut self) -> Result<(Chunk<Watched<RequestBody>>, Place), Failure> {
        let length = self.announced_length()?;
        let place = self.shared.bringing.take(length, self.source())?;
        let range = match self.header("content-range") {
            Some(text) => Some(
                text.trim()
                    .parse::<ContentRange>()
                    .map_err(|error| Failure::of(ErrorCode::BlobUploadInvalid, error.to_string()))?,
            ),
            None => None,
        };
        Ok((Chunk { body: place.watch(self.take_body()), length, range }, place))
    }

    /// Returns where the client comes from.
    pub(in crate::http) fn source(&self) -> Option<ClientAddress> {
        let peer: SocketAddr = self.request.peer_addr()?.parse().ok()?;
        ClientAddress::of(peer.ip(), false)
    }

    /// Returns the length that was announced; without a body, and so without a length, it is 0.
    fn announced_length(&self) -> Result<Option<u64>, Failure> {
        let length = self.content_length()?;
        let is_empty = length.is_none() && self.request.len() == Some(0);
        Ok(if is_empty { Some(0) } else { length })
    }

    /// Reads the whole body, but never more than `max` bytes of it (W10). With a large one comes its room, to
    /// be held as long as the bytes are.
    pub(super) async fn read_body(&mut self, max: u64) -> Result<(Vec<u8>, Option<Room>), Failure> {
        let said = self.content_length()?;
        let place = self.shared.bringing.take(said, self.source())?;
        if said.is_some_and(|said| said > max) {
            return Err(RegistryError::ManifestTooLarge { max }.into());
        }
        let body = place.watch(self.take_body());
        self.read_all(body, said, max).await.map_err(|failure| place.told(failure))
    }

    async fn read_all(
        &self,
        mut body: Watched<RequestBody>,
        said: Option<u64>,
        max: u64,
    ) -> Result<(Vec<u8>, Option<Room>), Failure> {
        let time_max = self.shared.options.manifest_time_max;
        let mut deadline = Timer::after(time_max);
        let most = max.saturating_add(1);
        let mut bytes = Vec::new();
        in_time(read_on(&mut body, &mut bytes, most.min(SMALL_MAX_BYTES), None), &mut deadline).await?;
        let mut room = None;
        if bytes.len() as u64 == SMALL_MAX_BYTES && most > SMALL_MAX_BYTES {
            let taken = self.shared.large.come_in(self.source()).await?;
            // All of it at once: what grows step by step takes up to twice as much.
            let expected = usize::try_from(said.unwrap_or(0)).unwrap_or(0);
            bytes.reserve_exact(expected.saturating_sub(bytes.len()));
            let pace = taken.pace();
            let too_slow = async {
                or(pace.too_slow(), async {
                    (&mut deadline).await;
                })
                .await;
            };
            in_time(read_on(&mut body, &mut bytes, most, Some(&pace)), too_slow).await?;
            room = Some(taken);
        }
        let got = bytes.len() as u64;
        match said {
            Some(said) if said != got => Err(RegistryError::SizeInvalid { said, got }.into()),
            _ if got > max => Err(RegistryError::ManifestTooLarge { max }.into()),
            _ => Ok((bytes, room)),
        }
    }
}

/// Reads on until there are `most` bytes, or the body ends.
async fn read_on(
    body: &mut Watched<RequestBody>,
    bytes: &mut Vec<u8>,
    most: u64,
    pace: Option<&Pace>,
) -> io::Result<()> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    while bytes.len() < most {
        let piece = body.fill_buf().await?;
        let piece = piece.get(..most - bytes.len()).unwrap_or(piece);
        let count = piece.len();
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(piece);
        body.consume(count);
        if let Some(pace) = pace {
            pace.moved(count as u64);
        }
    }
    Ok(())
}

/// Reads, unless the client is too slow.
async fn in_time<T>(
    read: impl Future<Output = io::Result<()>>,
    too_slow: impl Future<Output = T>,
) -> Result<(), Failure> {
    let too_slow = async {
        too_slow.await;
        Err(io::Error::new(io::ErrorKind::TimedOut, "the body takes too long"))
    };
    or(read, too_slow).await.map_err(|cause| RegistryError::BodyBroken(Arc::new(cause)).into())
}
