//! Manifests that lose their last tag.

use crate::meta::index::{IndexError, View};
use crate::meta::model::Fact;
use crate::meta::rules::decision::Stamp;
use crate::spec::{ContentDigest, RepoName, Tag};

/// Returns the rows of manifests that lose their last tag by these facts: no tag has named them since `now`.
pub(super) fn untagged_facts(
    view: View<'_>,
    now: Stamp,
    repo: &RepoName,
    facts: &[Fact],
) -> Result<Vec<Fact>, IndexError> {
    let mut lost: Vec<(ContentDigest, Vec<&Tag>)> = Vec::new();
    let mut named = Vec::new();
    for fact in facts {
        let Fact::Tag { tag, row, was, .. } = fact else { continue };
        named.extend(row.as_ref().map(|row| row.digest));
        if let Some(was) = was {
            match lost.iter_mut().find(|(digest, _)| digest == was) {
                Some((_, tags)) => tags.push(tag),
                None => lost.push((*was, vec![tag])),
            }
        }
    }
    let mut untagged = Vec::new();
    for (digest, tags) in lost {
        let left = view.tags_of(repo, &digest, tags.len() + 1)?;
        if named.contains(&digest) || left.iter().any(|tag| !tags.contains(&tag)) {
            continue;
        }
        if let Some(row) = view.manifest(repo, &digest)? {
            untagged.push(Fact::Manifest { repo: repo.clone(), digest, row: Some(row.noted(now.noted)) });
        }
    }
    Ok(untagged)
}
