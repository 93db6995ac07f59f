//! Referrers (end-12).

use tide::http::{Response, StatusCode};

use super::call::Call;
use crate::http::api::{Failure, link, render};
use crate::http::large_answers::SMALL_MAX_BYTES;
use crate::registry::ReferrersPage;
use crate::spec::{ContentDigest, Digest, ErrorCode, MediaType, RepoName, referrers_index};

const ARTIFACT_TYPE: &str = "artifactType";

/// Answers GET: always 200, also for a subject or a repository that is not known (R2).
pub(in crate::http) async fn list(
    call: &Call,
    repo: &RepoName,
    subject: &Digest,
) -> Result<Response, Failure> {
    let page = page(call)?;
    let mut place = None;
    let mut referrers = call.registry().referrers_within(repo, subject, &page, SMALL_MAX_BYTES).await?;
    let mut index = referrers_index(&referrers.items);
    if referrers.next.is_some() || index.len() > SMALL_MAX_BYTES {
        // Most lists are short; one that is not has a place before it is read.
        drop((referrers, index));
        place = Some(call.shared.large_answers.place(call.peer()).await?);
        referrers = call.registry().referrers(repo, subject, &page).await?;
        index = referrers_index(&referrers.items);
    }
    let mut response = render::content(StatusCode::Ok, MediaType::OCI_INDEX, index);
    if let Some(place) = place {
        response.ext_mut().insert(place);
    }
    if page.artifact_types.is_some() {
        response.insert_header("oci-filters-applied", ARTIFACT_TYPE);
    }
    if let Some(last) = referrers.next {
        response.insert_header(render::LINK, next(repo, subject, &page, last));
    }
    Ok(response)
}

/// Parses the filter (R8): a repeated one takes any of its values, and an empty value is one, too.
fn page(call: &Call) -> Result<ReferrersPage, Failure> {
    let types: Vec<String> = call.query.all(ARTIFACT_TYPE).map(str::to_owned).collect();
    let last = match call.query.first("last") {
        Some(text) => Some(text.parse().map_err(|error| {
            Failure::of(ErrorCode::DigestInvalid, format!("last is not the end of a page: {error}"))
        })?),
        None => None,
    };
    Ok(ReferrersPage { artifact_types: (!types.is_empty()).then_some(types), last })
}

/// R9: the next part keeps the filter.
fn next(repo: &RepoName, subject: &Digest, page: &ReferrersPage, last: ContentDigest) -> String {
    let last = last.to_string();
    let types = page.artifact_types.iter().flatten();
    let mut parameters: Vec<_> = types.map(|value| (ARTIFACT_TYPE, value.as_str())).collect();
    parameters.push(("last", &last));
    link::next(&format!("/v2/{repo}/referrers/{subject}"), &parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R9: the link repeats every value of the filter.
    #[test]
    fn the_next_part_keeps_the_filter() {
        let repo = "a".parse().unwrap();
        let digest = format!("sha256:{}", "a".repeat(64));
        let page = ReferrersPage {
            artifact_types: Some(vec!["application/x+json".to_owned(), String::new()]),
            last: None,
        };
        let link = next(&repo, &digest.parse().unwrap(), &page, digest.parse().unwrap());
        let encoded = digest.replace(':', "%3A");
        let query = format!("artifactType=application%2Fx%2Bjson&artifactType=&last={encoded}");
        assert_eq!(link, format!("</v2/a/referrers/{digest}?{query}>; rel=\"next\""));
    }
}
