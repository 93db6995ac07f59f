//! The rules: what a command changes, or why it is refused.
//!
//! Everything here is a pure function of the index and the command. There is no clock, no chance and no other
//! input, so the same commands on the same index always make the same facts.

use crate::meta::command::{Command, Condition, PutManifestCommand};
use crate::meta::fact::Fact;
use crate::meta::index::IndexError;
use crate::meta::row::{BlobRow, LinkRow, RepositoryRow, TagRow, UploadRow};
use crate::meta::tree::Tree;
use crate::meta::upload_id::UploadId;
use crate::meta::view::View;
use crate::spec::{ContentDigest, Digest, RepoName, Tag};

/// The most tags that one step of a manifest's removal takes away.
const TAGS_PER_STEP_MAX: usize = 1000;

/// What is to be done about a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What changes; nothing when all is as the command wants it.
    pub facts: Vec<Fact>,
    /// Whether the command has to be given again, because it is too big for one step.
    pub again: bool,
}

impl From<Vec<Fact>> for Decision {
    fn from(facts: Vec<Fact>) -> Self {
        Self { facts, again: false }
    }
}

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The repository has nothing in it.
    #[error("repository {0} is not known")]
    NameUnknown(RepoName),
    /// The repository has no such manifest.
    #[error("manifest {0} is not in the repository")]
    ManifestUnknown(ContentDigest),
    /// The repository has no such tag.
    #[error("tag {0} is not in the repository")]
    TagUnknown(Tag),
    /// The repository has no such blob.
    #[error("blob {0} is not in the repository")]
    BlobUnknown(ContentDigest),
    /// There is no such upload session.
    #[error("the upload is not known")]
    UploadUnknown,
    /// The manifest references something that the repository does not have.
    #[error("the manifest references {0}, which the repository does not have")]
    ReferenceUnknown(Digest),
    /// The command's condition does not hold.
    #[error("the precondition does not hold: {0}")]
    ConditionFailed(String),
}

/// What deciding can end in beside a decision.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DecideError {
    /// The command is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The index could not be read.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// Decides a command that came at `now`, in milliseconds since 1970.
pub fn decide(view: View<'_>, now: u64, command: &Command) -> Result<Decision, DecideError> {
    match command {
        Command::PutManifest(put) => put_manifest(view, now, put),
        Command::DeleteManifest { repo, digest } => delete_manifest(view, repo, digest),
        Command::DeleteUntagged { repo, digest } => {
            let tagged = !view.tags_of(repo, digest, 1)?.is_empty();
            if tagged { Ok(Vec::new().into()) } else { delete_manifest(view, repo, digest) }
        }
        Command::DeleteTag { repo, tag } => delete_tag(view, repo, tag),
        Command::Link { repo, blob, upload } => {
            let mut facts = content_facts(view, blob.digest(), blob.size())?;
            facts.extend(link_facts(view, now, repo, blob.digest(), blob.size())?);
            if view.upload(*upload)?.is_some() {
                facts.push(Fact::Upload { id: *upload, row: None });
            }
            Ok(facts.into())
        }
        Command::Mount { repo, from, digest } => {
            let source = view.whole_link(from, digest)?.ok_or(Refusal::BlobUnknown(*digest))?;
            Ok(link_facts(view, now, repo, *digest, source.size)?.into())
        }
        Command::Condemn { digest } => {
            let known = view.blob(digest)?.map(|_| Fact::Blob { digest: *digest, row: None });
            Ok(known.into_iter().collect::<Vec<_>>().into())
        }
        Command::Unlink { repo, digest } => unlink(view, repo, digest),
        Command::BeginUpload { id, row } => Ok(vec![upload_fact(*id, row)].into()),
        Command::AdvanceUpload { id, row } => {
            let known = view.upload(*id)?.ok_or(Refusal::UploadUnknown)?;
            let changed = known != *row;
            Ok(changed.then(|| upload_fact(*id, row)).into_iter().collect::<Vec<_>>().into())
        }
        Command::EndUpload { id } => {
            view.upload(*id)?.ok_or(Refusal::UploadUnknown)?;
            Ok(vec![Fact::Upload { id: *id, row: None }].into())
        }
    }
}

fn upload_fact(id: UploadId, row: &UploadRow) -> Fact {
    Fact::Upload { id, row: Some(row.clone()) }
}

fn put_manifest(view: View<'_>, now: u64, put: &PutManifestCommand) -> Result<Decision, DecideError> {
    let digest = put.blob.digest();
    check_condition(view, put, digest)?;
    check_references(view, &put.repo, &put.blobs, &put.children)?;

    let mut facts = content_facts(view, digest, put.blob.size())?;
    facts.extend(repository_fact(view, now, &put.repo)?);
    if view.manifest(&put.repo, &digest)?.as_ref() != Some(&put.row) {
        let row = Some(put.row.clone());
        facts.push(Fact::Manifest { repo: put.repo.clone(), digest, row });
        if let Some(subject) = &put.row.subject {
            let (repo, subject) = (put.repo.clone(), subject.clone());
            facts.push(Fact::Referrer { repo, subject, digest, present: true });
        }
    }
    for (at, tag) in put.tags.iter().enumerate() {
        let was = view.tag(&put.repo, tag)?.map(|row| row.digest);
        let named_before = put.tags.iter().take(at).any(|earlier| earlier == tag);
        if was != Some(digest) && !named_before {
            let row = Some(TagRow { digest });
            facts.push(Fact::Tag { repo: put.repo.clone(), tag: tag.clone(), row, was });
        }
    }
    Ok(facts.into())
}

fn check_condition(
    view: View<'_>,
    put: &PutManifestCommand,
    digest: ContentDigest,
) -> Result<(), DecideError> {
    if put.condition == Condition::Always {
        return Ok(());
    }
    if put.tags.is_empty() {
        let named = view.manifest(&put.repo, &digest)?.map(|_| digest);
        return Ok(holds(&put.condition, &digest.to_string(), named)?);
    }
    for tag in &put.tags {
        let named = view.tag(&put.repo, tag)?.map(|row| row.digest);
        holds(&put.condition, tag.as_str(), named)?;
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

/// The tags of a manifest go first, in as many steps as it takes; each step leaves a correct state.
fn delete_manifest(view: View<'_>, repo: &RepoName, digest: &ContentDigest) -> Result<Decision, DecideError> {
    known(view, repo)?;
    let row = view.manifest(repo, digest)?.ok_or(Refusal::ManifestUnknown(*digest))?;
    let tags = view.tags_of(repo, digest, TAGS_PER_STEP_MAX + 1)?;
    let again = tags.len() > TAGS_PER_STEP_MAX;
    let mut facts: Vec<Fact> = tags
        .into_iter()
        .take(TAGS_PER_STEP_MAX)
        .map(|tag| Fact::Tag { repo: repo.clone(), tag, row: None, was: Some(*digest) })
        .collect();
    if again {
        return Ok(Decision { facts, again });
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

fn delete_tag(view: View<'_>, repo: &RepoName, tag: &Tag) -> Result<Decision, DecideError> {
    known(view, repo)?;
    let row = view.tag(repo, tag)?.ok_or_else(|| Refusal::TagUnknown(tag.clone()))?;
    let (repo, tag) = (repo.clone(), tag.clone());
    Ok(vec![Fact::Tag { repo, tag, row: None, was: Some(row.digest) }].into())
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

fn repository_fact(view: View<'_>, now: u64, repo: &RepoName) -> Result<Option<Fact>, IndexError> {
    let absent = view.repository(repo)?.is_none();
    Ok(absent.then(|| Fact::Repository { repo: repo.clone(), row: Some(RepositoryRow { since: now }) }))
}

fn content_facts(view: View<'_>, digest: ContentDigest, size: u64) -> Result<Vec<Fact>, IndexError> {
    let absent = view.blob(&digest)?.is_none();
    Ok(absent.then_some(Fact::Blob { digest, row: Some(BlobRow { size }) }).into_iter().collect())
}

fn link_facts(
    view: View<'_>,
    now: u64,
    repo: &RepoName,
    digest: ContentDigest,
    size: u64,
) -> Result<Vec<Fact>, IndexError> {
    let mut facts: Vec<Fact> = repository_fact(view, now, repo)?.into_iter().collect();
    if view.link(repo, &digest)?.is_none() {
        facts.push(Fact::Link { repo: repo.clone(), digest, row: Some(LinkRow { size }) });
    }
    Ok(facts)
}
