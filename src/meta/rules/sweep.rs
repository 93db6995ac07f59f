//! The rules of a sweep: it removes what is still as the collector found it.
//!
//! The same step has already taken out candidates that clients rely on ([`Protection`](super::Protection)).

use crate::meta::index::View;
use crate::meta::model::{Fact, Sweep, SweptImage};
use crate::meta::rules::decision::{Decision, Stamp};
use crate::meta::rules::policy_check::PolicyCheck;
use crate::meta::rules::refusal::DecideError;
use crate::meta::rules::untagged::untagged_facts;
use crate::spec::{ContentDigest, RepoName, Tag};

/// Decides what a sweep removes. Candidates that are gone or changed are skipped.
pub(in crate::meta) fn sweep(
    view: View<'_>,
    now: Stamp,
    check: PolicyCheck<'_>,
    sweep: &Sweep,
) -> Result<Decision, DecideError> {
    let facts = match sweep {
        Sweep::Tags { repo, tags } => {
            let mut facts = Vec::new();
            for (tag, row) in tags {
                if view.tag(repo, tag)?.as_ref() == Some(row) && check.may_change(repo, tag).is_ok() {
                    let (repo, tag, was) = (repo.clone(), tag.clone(), Some(row.digest));
                    facts.push(Fact::Tag { repo, tag, row: None, was });
                }
            }
            let untagged = untagged_facts(view, now, repo, &facts)?;
            facts.extend(untagged);
            facts
        }
        Sweep::Manifests { repo, manifests } => sweep_manifests(view, repo, manifests)?,
        Sweep::Images { repo, images } => sweep_images(view, now, check, repo, images)?,
        Sweep::Links { repo, links } => {
            let mut gone = Vec::new();
            for digest in links {
                if view.link(repo, digest)?.is_some() {
                    gone.push(*digest);
                }
            }
            let mut facts: Vec<Fact> = gone
                .iter()
                .map(|digest| Fact::Link { repo: repo.clone(), digest: *digest, row: None })
                .collect();
            facts.extend(emptied(view, repo, &[], &gone)?);
            facts
        }
        Sweep::History { rows } => sweep_history(view, rows)?,
        Sweep::Repository { repo } => emptied(view, repo, &[], &[])?.into_iter().collect(),
        Sweep::Content { content } => {
            let mut facts = Vec::new();
            for digest in content {
                if view.blob(digest)?.is_some() {
                    facts.push(Fact::Blob { digest: *digest, row: None, content: None });
                }
            }
            facts
        }
    };
    Ok(facts.into())
}

fn sweep_history(view: View<'_>, rows: &[(RepoName, Tag, u64)]) -> Result<Vec<Fact>, DecideError> {
    let mut facts = Vec::new();
    for (repo, tag, order) in rows {
        if view.has_tag_change(repo, tag, *order)? {
            facts.push(Fact::History { repo: repo.clone(), tag: tag.clone(), order: *order, row: None });
        }
    }
    Ok(facts)
}

/// Removes those images of which nothing has changed.
fn sweep_images(
    view: View<'_>,
    now: Stamp,
    check: PolicyCheck<'_>,
    repo: &RepoName,
    images: &[SweptImage],
) -> Result<Vec<Fact>, DecideError> {
    let (mut facts, mut gone) = (Vec::new(), Vec::new());
    for image in images {
        if !is_unchanged(view, check, repo, image)? {
            continue;
        }
        for (tag, row) in &image.tags {
            let (repo, tag, was) = (repo.clone(), tag.clone(), Some(row.digest));
            facts.push(Fact::Tag { repo, tag, row: None, was });
        }
        gone.extend(&image.manifests);
    }
    // A signature may be that of another image, too.
    let of_others: Vec<Fact> = facts
        .iter()
        .filter(|fact| !matches!(fact, Fact::Tag { was: Some(was), .. } if gone.contains(was)))
        .cloned()
        .collect();
    let untagged = untagged_facts(view, now, repo, &of_others)?;
    facts.extend(untagged);
    for digest in &gone {
        facts.extend(manifest_facts(view, repo, digest)?);
    }
    facts.extend(emptied(view, repo, &gone, &[])?);
    Ok(facts)
}

/// Tells whether all of an image is as it was found, and no other tag names a manifest of it. The tag of a
/// signature stays where a client has removed what it belongs to.
fn is_unchanged(
    view: View<'_>,
    check: PolicyCheck<'_>,
    repo: &RepoName,
    image: &SweptImage,
) -> Result<bool, DecideError> {
    for (tag, row) in &image.tags {
        if view.tag(repo, tag)?.as_ref() != Some(row) || check.may_change(repo, tag).is_err() {
            return Ok(false);
        }
    }
    for digest in &image.manifests {
        if view.manifest(repo, digest)?.is_none() {
            return Ok(false);
        }
        let named = view.tags_of(repo, digest, image.tags.len() + 1)?;
        if named.iter().any(|tag| !image.tags.iter().any(|(known, _)| known == tag)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the facts that a manifest is gone, if it is there.
fn manifest_facts(view: View<'_>, repo: &RepoName, digest: &ContentDigest) -> Result<Vec<Fact>, DecideError> {
    let Some(row) = view.manifest(repo, digest)? else { return Ok(Vec::new()) };
    let mut facts = vec![Fact::Manifest { repo: repo.clone(), digest: *digest, row: None }];
    if let Some(subject) = row.subject {
        facts.push(Fact::Referrer { repo: repo.clone(), subject, digest: *digest, present: false });
    }
    Ok(facts)
}

fn sweep_manifests(
    view: View<'_>,
    repo: &RepoName,
    manifests: &[ContentDigest],
) -> Result<Vec<Fact>, DecideError> {
    let (mut facts, mut gone) = (Vec::new(), Vec::new());
    for digest in manifests {
        let found = manifest_facts(view, repo, digest)?;
        if found.is_empty() || !view.tags_of(repo, digest, 1)?.is_empty() {
            continue;
        }
        facts.extend(found);
        gone.push(*digest);
    }
    facts.extend(emptied(view, repo, &gone, &[])?);
    Ok(facts)
}

/// Returns the fact that a repository is gone, if it is empty without these.
fn emptied(
    view: View<'_>,
    repo: &RepoName,
    manifests: &[ContentDigest],
    links: &[ContentDigest],
) -> Result<Option<Fact>, DecideError> {
    if view.repository(repo)?.is_none() || view.has_more_than_all(repo, manifests, links)? {
        return Ok(None);
    }
    Ok(Some(Fact::Repository { repo: repo.clone(), row: None }))
}
