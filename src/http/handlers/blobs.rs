//! Blobs: pull (end-2) and delete (end-10).

use std::sync::Arc;

use tide::http::headers::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use tide::http::{Body, Response, StatusCode};

use super::call::Call;
use super::conditions;
use crate::http::api::{Failure, render};
use crate::registry::{BlobReader, RegistryError};
use crate::spec::{ByteRange, ByteSpan, ContentDigest, Digest, DigestError, ErrorCode, RepoName};
use crate::wire::{FileBody, RangesBody};

const OCTETS: &str = "application/octet-stream";

/// Answers GET. The bytes go out from the file: the transport finds it among the answer's extensions.
pub(in crate::http) async fn pull(
    call: &Call,
    repo: &RepoName,
    digest: &Digest,
) -> Result<Response, Failure> {
    let reader = call.registry().open_blob(repo, digest).await?;
    if let Some(unmodified) = conditions::unmodified(call, reader.digest())? {
        return Ok(unmodified);
    }
    let size = reader.size();
    match wanted(call, &reader) {
        ByteRange::Whole => Ok(part(StatusCode::Ok, reader, ByteSpan { offset: 0, length: size })),
        ByteRange::Part(span) => {
            let mut response = part(StatusCode::PartialContent, reader, span);
            let (offset, last) = (span.offset, span.last());
            response.insert_header(CONTENT_RANGE, format!("bytes {offset}-{last}/{size}"));
            Ok(response)
        }
        ByteRange::Parts(spans) => Ok(parts(reader, spans)),
        ByteRange::Unsatisfiable => {
            let message = format!("the blob has {size} bytes");
            Err(Failure::of(ErrorCode::RangeInvalid, message)
                .with_header(CONTENT_RANGE, format!("bytes */{size}")))
        }
    }
}

/// Answers HEAD. Ranges are for GET alone (RFC 9110, section 14.2).
pub(in crate::http) async fn head(
    call: &Call,
    repo: &RepoName,
    digest: &Digest,
) -> Result<Response, Failure> {
    let size = call.registry().blob_size(repo, digest).await?;
    let digest = computable(digest)?;
    match conditions::unmodified(call, digest)? {
        Some(unmodified) => Ok(unmodified),
        None => Ok(described(StatusCode::Ok, digest, size)),
    }
}

/// Answers DELETE, also while a manifest names the blob (D3, D5).
pub(in crate::http) async fn delete(
    call: &Call,
    repo: &RepoName,
    digest: &Digest,
) -> Result<Response, Failure> {
    call.acting().delete_blob(repo, digest).await?;
    Ok(render::empty(StatusCode::Accepted))
}

/// Returns the digest as one that pulk can compute (U12).
pub(super) fn computable(digest: &Digest) -> Result<ContentDigest, Failure> {
    digest.content().ok_or_else(|| {
        let algorithm = digest.algorithm_name().to_owned();
        RegistryError::DigestInvalid(DigestError::UnsupportedAlgorithm(algorithm)).into()
    })
}

fn wanted(call: &Call, reader: &BlobReader) -> ByteRange {
    match call.header(render::RANGE) {
        Some(range) if conditions::range_applies(call, reader.digest()) => {
            ByteRange::parse(range, reader.size())
        }
        _ => ByteRange::Whole,
    }
}

/// B7: several ranges are the parts of one body; where that would be longer than the blob, the blob it is.
fn parts(reader: BlobReader, spans: Vec<ByteSpan>) -> Response {
    let (digest, size) = (reader.digest(), reader.size());
    let body = RangesBody::new(Arc::new(reader.clone()), OCTETS, size, spans);
    let length = body.length();
    if length >= size {
        return part(StatusCode::Ok, reader, ByteSpan { offset: 0, length: size });
    }
    let mut response = described(StatusCode::PartialContent, digest, length);
    response.insert_header(CONTENT_TYPE, body.media_type());
    response.ext_mut().insert(body);
    response
}

fn part(status: StatusCode, reader: BlobReader, ByteSpan { offset, length }: ByteSpan) -> Response {
    let mut response = described(status, reader.digest(), length);
    if length > 0 {
        response.ext_mut().insert(FileBody { file: Arc::new(reader), offset, length });
    }
    response
}

fn described(status: StatusCode, digest: ContentDigest, length: u64) -> Response {
    let mut response = render::content(status, OCTETS, Body::empty());
    response.insert_header(CONTENT_LENGTH, length.to_string());
    response.insert_header(ACCEPT_RANGES, "bytes");
    conditions::set_entity_tag(&mut response, digest);
    render::set_digest(&mut response, digest);
    response
}
