//! The rules: what a command changes, or why it is refused.
//!
//! Everything here is a pure function of the index and the command. Clock, chance and other inputs have no
//! part in it, so the same commands on the same index always make the same facts.

use std::sync::Arc;

use crate::blobs::BlobSource;
use crate::meta::index::{IndexError, View};
use crate::meta::model::{
    BlobRow, CarriedBytes, Command, Condition, Fact, LinkRow, ManifestRow, Optional, Policies,
    PutManifestCommand, RepositoryRow, TagRow, Tree, UploadId, UploadRow,
};
use crate::meta::rules::decision::{CommandProgress, Decision, Stamp};
use crate::meta::rules::policy_check::{PolicyCheck, TAGS_PER_STEP_MAX};
use crate::meta::rules::refusal::{DecideError, Refusal};
use crate::meta::rules::sweep::sweep;
use crate::meta::rules::untagged::untagged_facts;
use crate::spec::{ContentDigest, Digest, RepoName, Tag};

/// The age of a tag or manifest from which an unchanged push of it notes it again.
const PUSHED_AGAIN_MIN_MS: u64 = 60 * 60 * 1000;

/// Decides a command that came at `now`.
pub fn decide(
    view: View<'_>,
    now: Stamp,
    check: PolicyCheck<'_>,
    command: &Command,
) -> Result<Decision, DecideError> {
    match command {
        Command::PutManifest(put) => put_manifest(view, now, check, put),
        Command::DeleteManifest { repo, digest } => delete_manifest(view, check, repo, digest),
        Command::DeleteUntagged { repo, digest } => {
            let tagged = !view.tags_of(repo, digest, 1)?.is_empty();
            if tagged { Ok(Vec::new().into()) } else { delete_manifest(view, check, repo, digest) }
        }
        Command::DeleteTag { repo, tag } => delete_tag(view, now, check, repo, tag),
        Command::Link { repo, blob, upload } => {
            let mut facts = content_facts(view, blob)?;
            facts.extend(link_facts(view, now, repo, blob.digest(), blob.size())?);
            check.may_have(view, repo, &facts)?;
            if view.upload(*upload)?.is_some() {
                facts.push(Fact::Upload { id: *upload, row: None });
            }
            Ok(facts.into())
        }
        Command::Mount { repo, from, digest } => {
            let source = view.whole_link(from, digest)?.ok_or(Refusal::BlobUnknown(*digest))?;
            let facts = link_facts(view, now, repo, *digest, source.size)?;
            check.may_have(view, repo, &facts)?;
            Ok(facts.into())
        }
        Command::Condemn { digest } => {
            let known = view.blob(digest)?.map(|_| Fact::Blob { digest: *digest, row: None, content: None });
            Ok(known.into_iter().collect::<Vec<_>>().into())
        }
        Command::Unlink { repo, digest } => unlink(view, repo, digest),
        Command::Sweep(candidates) => sweep(view, now, check, candidates),
        Command::NoteTime => Ok(Vec::new().into()),
        Command::BeginUpload { id, row } => Ok(vec![upload_fact(now, *id, row)].into()),
        Command::AdvanceUpload { id, row } => {
            let known = view.upload(*id)?.ok_or(Refusal::UploadUnknown)?;
            let row = UploadRow { optional: known.optional.clone(), ..row.clone() };
            let changed = UploadRow { at: row.at, ..known } != row;
            Ok(changed.then(|| upload_fact(now, *id, &row)).into_iter().collect::<Vec<_>>().into())
        }
        Command::EndUpload { id } => {
            view.upload(*id)?.ok_or(Refusal::UploadUnknown)?;
            Ok(vec![Fact::Upload { id: *id, row: None }].into())
        }
    }
}

fn upload_fact(now: Stamp, id: UploadId, row: &UploadRow) -> Fact {
    Fact::Upload { id, row: Some(UploadRow { at: now.wall_ms, ..row.clone() }) }
}

fn put_manifest(
    view: View<'_>,
    now: Stamp,
    check: PolicyCheck<'_>,
    put: &PutManifestCommand,
) -> Result<Decision, DecideError> {
    let digest = put.blob.digest();
    check_condition(view, &put.repo, &put.tags, &put.condition, digest)?;
    check_references(view, &put.repo, &put.blobs, &put.children)?;

    let mut facts = content_facts(view, &put.blob)?;
    facts.extend(repository_fact(view, now, &put.repo)?);
    let known = view.manifest(&put.repo, &digest)?;
    if needs_row(view, now, put, (&digest, known.as_ref()))? {
        let optional = known.map(|known| known.optional).unwrap_or_default();
        let row = Some(ManifestRow { optional, ..put.row.clone().noted(now.noted) });
        facts.push(Fact::Manifest { repo: put.repo.clone(), digest, row });
        if let Some(subject) = &put.row.subject {
            let (repo, subject) = (put.repo.clone(), subject.clone());
            facts.push(Fact::Referrer { repo, subject, digest, present: true });
        }
    }
    for (at, tag) in put.tags.iter().enumerate() {
        let known = view.tag(&put.repo, tag)?;
        let was = known.as_ref().map(|row| row.digest);
        let named_before = put.tags.iter().take(at).any(|earlier| earlier == tag);
        let is_moved = was != Some(digest);
        let is_written_again = || known.as_ref().is_some_and(|row| writes_again(now, check, &put.repo, row));
        if named_before || !is_moved && !is_written_again() {
            continue;
        }
        if is_moved && was.is_some() {
            check.may_change(&put.repo, tag)?;
        }
        // An unchanged push of a tag sets it again. It loses no manifest that it named.
        let was = was.filter(|_| is_moved);
        let optional = known.map(|row| row.optional).unwrap_or_default();
        let row = Some(TagRow { digest, noted: now.noted, order: Some(now.order), optional });
        facts.push(Fact::Tag { repo: put.repo.clone(), tag: tag.clone(), row, was });
    }
    check.may_have(view, &put.repo, &facts)?;
    let untagged = untagged_facts(view, now, &put.repo, &facts)?;
    facts.extend(untagged);
    Ok(facts.into())
}

/// Tells whether a manifest's row must be written: it is new or says something else, or it is old and no tag
/// leads to it.
fn needs_row(
    view: View<'_>,
    now: Stamp,
    put: &PutManifestCommand,
    (digest, known): (&ContentDigest, Option<&ManifestRow>),
) -> Result<bool, IndexError> {
    let Some(known) = known else { return Ok(true) };
    if !known.says_the_same(&put.row) {
        return Ok(true);
    }
    Ok(is_old(now, known.noted) && put.tags.is_empty() && view.tags_of(&put.repo, digest, 1)?.is_empty())
}

/// Tells whether an unchanged push of a tag writes its row again: the noted time is old, or the policy keeps
/// the tags that were set last and this tag was not set by the very last push of tags.
fn writes_again(now: Stamp, check: PolicyCheck<'_>, repo: &RepoName, row: &TagRow) -> bool {
    let is_last = row.order.is_some_and(|order| order + 1 == now.order);
    is_old(now, row.noted) || check.keeps_last(repo) && !is_last
}

/// Tells whether an unchanged push notes something again. If an earlier run noted it, a downtime may have
/// followed.
fn is_old(now: Stamp, noted: u64) -> bool {
    noted < now.began || now.noted.abs_diff(noted) >= PUSHED_AGAIN_MIN_MS
}

/// Checks whether a repository's tags may be set to a manifest: whether the precondition holds, and whether
/// no immutable tag would change.
pub fn check_tags(
    view: View<'_>,
    policies: &Policies,
    repo: &RepoName,
    (tags, digest): (&[Tag], ContentDigest),
    condition: &Condition,
) -> Result<(), DecideError> {
    check_condition(view, repo, tags, condition, digest)?;
    for tag in tags {
        if view.tag(repo, tag)?.is_some_and(|row| row.digest != digest) {
            policies.may_change(repo, tag)?;
        }
    }
    Ok(())
}

fn check_condition(
    view: View<'_>,
    repo: &RepoName,
    tags: &[Tag],
    condition: &Condition,
    digest: ContentDigest,
) -> Result<(), DecideError> {
    if *condition == Condition::Always {
        return Ok(());
    }
    if tags.is_empty() {
        let named = view.manifest(repo, &digest)?.map(|_| digest);
        return Ok(holds(condition, &digest.to_string(), named)?);
    }
    for tag in tags {
        let named = view.tag(repo, tag)?.map(|row| row.digest);
        holds(condition, tag.as_str(), named)?;
    }
    Ok(())
}

/// RFC 9110, sections 13.1.1 and 13.1.2.
fn holds(condition: &Condition, target: &str, named: Option<ContentDigest>) -> Result<(), Refusal> {
    let current = named.map(Digest::from);
    let holds = match condition {
        Condition::Always => true,
        Condition::Exists => current.is_some(),
        Condition::Absent => current.is_none(),
        Condition::Matches(any) => current.as_ref().is_some_and(|current| any.contains(current)),
        Condition::MatchesNone(none) => !current.as_ref().is_some_and(|current| none.contains(current)),
    };
    if holds {
        return Ok(());
    }
    let state = current.map_or("does not exist".to_owned(), |current| format!("names {current}"));
    Err(Refusal::ConditionFailed(format!("{target} {state}")))
}

/// Checks that a repository has what a manifest references: `blobs` as blobs, `children` as manifests or, as
/// build caches list them, as blobs.
///
/// The specification's "Pushing Manifests": a registry may refuse what references content it does not have,
/// and says MANIFEST_BLOB_UNKNOWN then.
pub fn check_references(
    view: View<'_>,
    repo: &RepoName,
    blobs: &[Digest],
    children: &[Digest],
) -> Result<(), DecideError> {
    let has_blob = |digest: &ContentDigest| view.whole_link(repo, digest).map(|row| row.is_some());
    let has_manifest = |digest: &ContentDigest| view.whole_manifest(repo, digest).map(|row| row.is_some());
    for blob in blobs {
        let known = blob.content().map_or(Ok(false), |digest| has_blob(&digest))?;
        known.then_some(()).ok_or_else(|| Refusal::ReferenceUnknown(blob.clone()))?;
    }
    for child in children {
        let known = match child.content() {
            Some(digest) => has_manifest(&digest)? || has_blob(&digest)?,
            None => false,
        };
        known.then_some(()).ok_or_else(|| Refusal::ReferenceUnknown(child.clone()))?;
    }
    Ok(())
}

/// Checks the tags of a manifest, then deletes them, then the manifest, in as many steps as necessary; each
/// step leaves a correct state. Other commands may come between two steps: a tag that is set meanwhile goes
/// too, unless it is immutable.
fn delete_manifest(
    view: View<'_>,
    check: PolicyCheck<'_>,
    repo: &RepoName,
    digest: &ContentDigest,
) -> Result<Decision, DecideError> {
    if *check.progress == CommandProgress::GoesOn && view.manifest(repo, digest)?.is_none() {
        // Another deletion came first.
        return Ok(Vec::new().into());
    }
    known(view, repo)?;
    let row = view.manifest(repo, digest)?.ok_or(Refusal::ManifestUnknown(*digest))?;
    if let Some(checked) = check.may_delete(view, repo, digest)? {
        return Ok(Decision { facts: Vec::new(), again: Some(checked) });
    }
    let tags = view.tags_of(repo, digest, TAGS_PER_STEP_MAX + 1)?;
    for tag in &tags {
        check.may_change(repo, tag)?;
    }
    let again = tags.len() > TAGS_PER_STEP_MAX;
    let mut facts: Vec<Fact> = tags
        .into_iter()
        .take(TAGS_PER_STEP_MAX)
        .map(|tag| Fact::Tag { repo: repo.clone(), tag, row: None, was: Some(*digest) })
        .collect();
    if again {
        return Ok(Decision { facts, again: Some(CommandProgress::GoesOn) });
    }
    facts.push(Fact::Manifest { repo: repo.clone(), digest: *digest, row: None });
    if let Some(subject) = row.subject {
        facts.push(Fact::Referrer { repo: repo.clone(), subject, digest: *digest, present: false });
    }
    if !view.has_more_than(repo, digest, Tree::Manifests)? {
        facts.push(Fact::Repository { repo: repo.clone(), row: None });
    }
    Ok(facts.into())
}

fn delete_tag(
    view: View<'_>,
    now: Stamp,
    check: PolicyCheck<'_>,
    repo: &RepoName,
    tag: &Tag,
) -> Result<Decision, DecideError> {
    known(view, repo)?;
    let row = view.tag(repo, tag)?.ok_or_else(|| Refusal::TagUnknown(tag.clone()))?;
    check.may_change(repo, tag)?;
    let mut facts =
        vec![Fact::Tag { repo: repo.clone(), tag: tag.clone(), row: None, was: Some(row.digest) }];
    let untagged = untagged_facts(view, now, repo, &facts)?;
    facts.extend(untagged);
    Ok(facts.into())
}

fn unlink(view: View<'_>, repo: &RepoName, digest: &ContentDigest) -> Result<Decision, DecideError> {
    known(view, repo)?;
    view.link(repo, digest)?.ok_or(Refusal::BlobUnknown(*digest))?;
    let mut facts = vec![Fact::Link { repo: repo.clone(), digest: *digest, row: None }];
    if !view.has_more_than(repo, digest, Tree::Links)? {
        facts.push(Fact::Repository { repo: repo.clone(), row: None });
    }
    Ok(facts.into())
}

fn known(view: View<'_>, repo: &RepoName) -> Result<(), DecideError> {
    view.repository(repo)?.ok_or_else(|| Refusal::NameUnknown(repo.clone()))?;
    Ok(())
}

fn repository_fact(view: View<'_>, now: Stamp, repo: &RepoName) -> Result<Option<Fact>, IndexError> {
    let absent = view.repository(repo)?.is_none();
    Ok(absent.then(|| Fact::Repository {
        repo: repo.clone(),
        row: Some(RepositoryRow { since: now.wall_ms.unwrap_or(0), optional: Optional::default() }),
    }))
}

/// States that content is in the store, unless its row says so. Content that only this command carries is
/// stated all the same: its file may be damaged or missing.
fn content_facts(view: View<'_>, blob: &BlobSource) -> Result<Vec<Fact>, IndexError> {
    let (digest, size) = (blob.digest(), blob.size());
    let known = view.blob(&digest)?;
    if blob.carried().is_none() && known.is_some() {
        return Ok(Vec::new());
    }
    let row = Some(BlobRow { size, optional: known.map(|known| known.optional).unwrap_or_default() });
    let content = blob.carried().map(|bytes| CarriedBytes(Arc::clone(bytes)));
    Ok(vec![Fact::Blob { digest, row, content }])
}

fn link_facts(
    view: View<'_>,
    now: Stamp,
    repo: &RepoName,
    digest: ContentDigest,
    size: u64,
) -> Result<Vec<Fact>, IndexError> {
    let mut facts: Vec<Fact> = repository_fact(view, now, repo)?.into_iter().collect();
    if view.link(repo, &digest)?.is_none() {
        facts.push(Fact::Link {
            repo: repo.clone(),
            digest,
            row: Some(LinkRow { size, optional: Optional::default() }),
        });
    }
    Ok(facts)
}
