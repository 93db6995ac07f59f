//! Manifests: pull (end-3), push (end-7) and delete (end-9).

use std::sync::Arc;

use smol::io::Cursor;
use tide::http::headers::CONTENT_LENGTH;
use tide::http::{Body, Response, StatusCode};

use super::call::Call;
use super::conditions;
use crate::http::api::{Failure, render, route};
use crate::registry::{
    Condition, ManifestBody, ManifestInfo, PushManifest, PutTarget, RegistryError, TAGS_PER_PUT_MAX,
};
use crate::spec::{ErrorAnswer, ErrorCode, Reference, RepoName, Tag};
use crate::wire::FileBody;

/// Answers GET and HEAD. What is stored is served whatever `Accept` says (M8, M10).
pub(in crate::http) async fn pull(
    call: &Call,
    repo: &RepoName,
    reference: &str,
) -> Result<Response, Failure> {
    let reference = existing(reference)?;
    let info = call.registry().manifest_info(repo, &reference).await?;
    if let Some(unmodified) = conditions::unmodified(call, info.digest)? {
        return Ok(unmodified);
    }
    if call.is_head() {
        return Ok(described(&info, Body::empty()));
    }
    let (info, body) = call.registry().manifest_body(repo, &reference, info).await?;
    Ok(match body {
        ManifestBody::Bytes(bytes) => {
            let length = bytes.len();
            described(&info, Body::from_reader(Cursor::new(bytes), Some(length)))
        }
        // The transport finds it among the answer's extensions.
        ManifestBody::File(reader) => {
            let mut response = described(&info, Body::empty());
            response.ext_mut().insert(FileBody { file: Arc::new(reader), offset: 0, length: info.size });
            response
        }
    })
}

fn described(info: &ManifestInfo, body: Body) -> Response {
    let mut response = render::content(StatusCode::Ok, info.media_type.as_str(), body);
    response.insert_header(CONTENT_LENGTH, info.size.to_string());
    conditions::set_entity_tag(&mut response, info.digest);
    render::set_digest(&mut response, info.digest);
    response
}

/// Answers PUT.
pub(in crate::http) async fn push(
    call: &mut Call,
    repo: &RepoName,
    reference: &str,
) -> Result<Response, Failure> {
    let target = target(call, reference)?;
    let condition = conditions::of_change(call)?;
    let content_type = call.media_type()?;
    let length = call.content_length()?;
    let push = PushManifest { target, content_type, condition, body: call.take_body(), length };
    let stored = call.acting().push_manifest(repo, push).await?;
    let mut response = render::created(&render::manifest_location(repo, stored.digest), stored.digest);
    conditions::set_entity_tag(&mut response, stored.digest);
    if let Some(subject) = &stored.subject {
        response.insert_header("oci-subject", subject.to_string());
    }
    for tag in &stored.tags {
        response.append_header("oci-tag", tag.as_str());
    }
    Ok(response)
}

/// Answers DELETE: of a tag only the tag goes, of a digest every tag of it goes too (D1, D2).
pub(in crate::http) async fn delete(
    call: &Call,
    repo: &RepoName,
    reference: &str,
) -> Result<Response, Failure> {
    // The writer decides no conditions here, and one that is not kept is worse than one that is refused.
    if conditions::of_change(call)? != Condition::Always {
        let message = "a deletion takes neither If-Match nor If-None-Match";
        return Err(Failure::of(ErrorAnswer::BAD_REQUEST, message));
    }
    match existing(reference)? {
        Reference::Tag(tag) => call.acting().delete_tag(repo, &tag).await?,
        Reference::Digest(digest) => call.acting().delete_manifest(repo, &digest).await?,
    }
    Ok(render::empty(StatusCode::Accepted))
}

/// Parses the reference of something that should exist. What is neither a tag nor a digest names no manifest:
/// the suites ask for such names and expect 404. A malformed digest is 400 (M9).
fn existing(text: &str) -> Result<Reference, Failure> {
    if text.contains(':') {
        return route::digest(text).map(Reference::Digest);
    }
    let unknown =
        |_| Failure::of(ErrorCode::ManifestUnknown, format!("{text:?} is neither a tag nor a digest"));
    text.parse().map(Reference::Tag).map_err(unknown)
}

/// Parses where a push goes: a tag, or a digest and the tags of `?tag=`. A push to a tag has no other tags.
fn target(call: &Call, text: &str) -> Result<PutTarget, Failure> {
    if !text.contains(':') {
        return tag(text).map(PutTarget::Tag);
    }
    let digest = route::digest(text)?;
    let count = call.query.all("tag").count();
    if count > TAGS_PER_PUT_MAX {
        return Err(RegistryError::TooManyTags { count, max: TAGS_PER_PUT_MAX }.into());
    }
    let mut tags = Vec::with_capacity(count);
    for text in call.query.all("tag") {
        let tag = tag(text)?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(PutTarget::Digest { digest, tags })
}

fn tag(text: &str) -> Result<Tag, Failure> {
    text.parse().map_err(|error| Failure::of(ErrorCode::TagInvalid, format!("{error}")))
}
