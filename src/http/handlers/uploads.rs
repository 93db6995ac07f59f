//! Uploads: begin, mount and single POST (end-4, end-11), chunks (end-5), end (end-6), status (end-13) and
//! cancellation (end-14).
//!
//! No `OCI-Chunk-Min-Length` is ever sent (U3): an upload is one file that is written at offsets, so a chunk
//! of one byte is as good as any.

use std::net::IpAddr;

use tide::http::headers::LOCATION;
use tide::http::{Response, StatusCode};

use super::blobs::computable;
use super::call::Call;
use crate::http::api::{Failure, render, route};
use crate::registry::{RegistryError, UploadId};
use crate::spec::{Algorithm, Digest, ErrorCode, RepoName};

/// Answers POST: a mount if one is asked for and can be had, else a single upload if its digest is there,
/// else a session, whose beginning reads no body (U5).
pub(in crate::http) async fn begin(call: &mut Call, repo: &RepoName) -> Result<Response, Failure> {
    let algorithm = algorithm(call)?;
    if let Some(mounted) = mount(call, repo).await? {
        return Ok(mounted);
    }
    if let Some(text) = call.query.first("digest") {
        let digest = route::digest(text)?;
        return single(call, repo, &digest).await;
    }
    let id = call.acting().begin_upload_for(repo, algorithm, client(call)).await?;
    Ok(session(StatusCode::Accepted, repo, id, &stored(0)))
}

/// Answers PATCH: a chunk with its range, or one of a streamed upload, which has none (C5).
pub(in crate::http) async fn append(call: &mut Call, repo: &RepoName, id: &str) -> Result<Response, Failure> {
    let id = session_id(id)?;
    let chunk = call.take_chunk()?;
    match call.registry().append(repo, id, chunk).await {
        Ok(offset) => Ok(session(StatusCode::Accepted, repo, id, &stored(offset))),
        Err(error) => Err(out_of_order(error, repo, id)),
    }
}

/// Answers PUT, which may bring the last chunk or the whole blob.
pub(in crate::http) async fn finish(call: &mut Call, repo: &RepoName, id: &str) -> Result<Response, Failure> {
    let id = session_id(id)?;
    // Refused before the body is read, and the session stays (U13).
    let Some(text) = call.query.first("digest") else {
        return Err(Failure::of(ErrorCode::DigestInvalid, "the digest parameter is missing"));
    };
    let digest = route::digest(text)?;
    computable(&digest)?;
    let chunk = call.take_chunk()?;
    match call.acting().finish_upload(repo, id, &digest, chunk).await {
        Ok(stored) => Ok(render::created(&render::blob_location(repo, stored), stored)),
        Err(error) => Err(out_of_order(error, repo, id)),
    }
}

/// Answers GET.
pub(in crate::http) async fn status(call: &Call, repo: &RepoName, id: &str) -> Result<Response, Failure> {
    let id = session_id(id)?;
    let offset = call.registry().upload_offset(repo, id).await?;
    Ok(session(StatusCode::NoContent, repo, id, &resumable(offset)))
}

/// Answers DELETE.
pub(in crate::http) async fn cancel(call: &Call, repo: &RepoName, id: &str) -> Result<Response, Failure> {
    call.acting().cancel_upload(repo, session_id(id)?).await?;
    Ok(render::empty(StatusCode::NoContent))
}

/// Tries the mount that the query asks for. Whatever can't be mounted becomes a session instead: clients give
/// up a whole push when this fails in any other way (T3).
async fn mount(call: &Call, repo: &RepoName) -> Result<Option<Response>, Failure> {
    let Some(text) = call.query.first("mount") else { return Ok(None) };
    let digest = route::digest(text)?;
    let Some(content) = digest.content() else { return Ok(None) };
    let from = match call.query.first("from").map(str::parse::<RepoName>) {
        None => None,
        Some(Ok(from)) => Some(from),
        Some(Err(_)) => return Ok(None),
    };
    let mounted = call.acting().mount(repo, &digest, from.as_ref()).await?;
    Ok(mounted.then(|| render::created(&render::blob_location(repo, content), content)))
}

/// Stores a whole blob in one request (U14).
async fn single(call: &mut Call, repo: &RepoName, digest: &Digest) -> Result<Response, Failure> {
    let algorithm = computable(digest)?.algorithm();
    let chunk = call.take_chunk()?;
    let id = call.acting().begin_upload_for(repo, Some(algorithm), client(call)).await?;
    match call.acting().finish_upload(repo, id, digest, chunk).await {
        Ok(stored) => Ok(render::created(&render::blob_location(repo, stored), stored)),
        Err(error) => {
            // The client never learned of the session. If it cannot be cancelled it expires.
            if let Err(kept) = call.acting().cancel_upload(repo, id).await {
                log::debug!("cannot cancel the upload {id} of a failed POST: {kept}");
            }
            Err(error.into())
        }
    }
}

fn algorithm(call: &Call) -> Result<Option<Algorithm>, Failure> {
    let Some(text) = call.query.first("digest-algorithm") else { return Ok(None) };
    let parsed = text.parse().map_err(|error| Failure::of(ErrorCode::DigestInvalid, format!("{error}")))?;
    Ok(Some(parsed))
}

fn client(call: &Call) -> Option<IpAddr> {
    call.peer().map(|peer| peer.ip())
}

fn session_id(text: &str) -> Result<UploadId, Failure> {
    text.parse().map_err(|_| RegistryError::UploadUnknown.into())
}

fn session(status: StatusCode, repo: &RepoName, id: UploadId, range: &str) -> Response {
    let mut response = render::empty(status);
    response.insert_header(LOCATION, location(repo, id));
    response.insert_header(render::RANGE, range);
    response.insert_header("docker-upload-uuid", id.to_string());
    response
}

/// C3, C4, C11: tells where the upload really stands, so that clients resume without asking.
fn out_of_order(error: RegistryError, repo: &RepoName, id: UploadId) -> Failure {
    let offset = match &error {
        RegistryError::OutOfOrder { offset, .. } => Some(*offset),
        _ => None,
    };
    let failure = Failure::from(error);
    match offset {
        Some(offset) => {
            failure.with_header(LOCATION, location(repo, id)).with_header(render::RANGE, resumable(offset))
        }
        None => failure,
    }
}

/// The path stays the same for the whole session; nothing but the offset tells an old answer from a new one.
fn location(repo: &RepoName, id: UploadId) -> String {
    format!("/v2/{repo}/blobs/uploads/{id}")
}

/// Renders `Range` for POST and PATCH (C1): the last byte of the blob so far.
///
/// The form has no word for "nothing yet". docker parses it as two numbers and refuses an end before the
/// beginning, also after a PATCH that brought nothing, so there it is `0-0`, as everybody answers.
fn stored(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}

/// Renders `Range` for GET and for 416: where to go on.
///
/// At zero bytes `0-0` would make regclient, the one client that resumes from this, go on at byte 1 and never
/// send byte 0. It takes the number after the first dash and adds one, so `0--1` leads it to byte 0 (C9).
/// docker never asks.
fn resumable(offset: u64) -> String {
    match offset.checked_sub(1) {
        Some(last) => format!("0-{last}"),
        None => "0--1".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C1, U2: cumulative, without a unit, and two numbers in order even when nothing is stored.
    #[test]
    fn an_answer_to_a_chunk_tells_the_last_byte_so_far() {
        assert_eq!(stored(0), "0-0");
        assert_eq!(stored(1), "0-0");
        assert_eq!(stored(1024), "0-1023");
    }

    /// C9: the number after the first dash, plus one, is where the client resumes.
    #[test]
    fn a_resuming_client_is_led_to_the_next_byte() {
        for offset in [0, 1, 2, 1024] {
            let range = resumable(offset);
            let last = range.split_once('-').unwrap().1.parse::<i64>().unwrap();
            assert_eq!(last + 1, offset as i64);
        }
    }

    /// C11: 416 says where the upload stands.
    #[test]
    fn a_chunk_out_of_order_gets_the_offset_to_continue_from() {
        let repo = "a/b".parse().unwrap();
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap();
        let error = RegistryError::OutOfOrder { begins: 9, offset: 5 };
        let response = out_of_order(error, &repo, id).into_response();
        assert_eq!(response.status(), StatusCode::RequestedRangeNotSatisfiable);
        assert_eq!(response.header(render::RANGE).unwrap().as_str(), "0-4");
        let location = "/v2/a/b/blobs/uploads/67e55044-10b1-426f-9247-bb680e5fe0c8";
        assert_eq!(response.header(LOCATION).unwrap().as_str(), location);
    }

    /// C14: what is no id is an unknown session.
    #[test]
    fn a_malformed_id_is_an_unknown_session() {
        let failure = session_id("nonsense").unwrap_err();
        assert_eq!(failure.code(), ErrorCode::BlobUploadUnknown);
        assert_eq!(failure.status(), StatusCode::NotFound);
    }
}
