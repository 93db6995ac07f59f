//! What a transaction changed, as an owner reads it.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::meta::{Fact, Transaction};
use crate::registry::Origin;
use crate::spec::{ContentDigest, RepoName, Tag};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ChangeKind {
    /// A tag was set that named nothing before, or set again to what it named.
    TagSet,
    /// A tag was set to another manifest.
    TagMoved,
    /// A tag was removed.
    TagRemoved,
    /// A manifest was pushed.
    ManifestPushed,
    /// A manifest was removed from a repository.
    ManifestRemoved,
    /// A repository got a blob: it was pushed or mounted.
    BlobAdded,
    /// A blob was removed from a repository.
    BlobRemoved,
    /// Content that no repository has, or that is damaged, was removed from the store.
    ContentRemoved,
    /// A repository with nothing in it was removed.
    RepositoryRemoved,
    /// The changes between the line before and this one are not kept any more, or cannot be read.
    Missed,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// The number of the transaction; changes with the same one were made together. For missed changes, the
    /// last one that is missing.
    pub(crate) seq: u64,
    /// When it was decided, by the wall clock, in milliseconds since 1970; 0 for missed changes.
    pub(crate) at_ms: u64,
    /// What happened.
    pub(crate) change: ChangeKind,
    /// The repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) repo: Option<RepoName>,
    /// The tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<Tag>,
    /// The digest; for a tag, that of the manifest that it names, or named if it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<ContentDigest>,
    /// For a tag that was moved, the manifest that it named before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) was: Option<ContentDigest>,
    /// Where it comes from, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<Origin>,
}

impl Change {
    /// Says that the changes up to a transaction are missing.
    pub(super) fn missed(seq: u64) -> Self {
        let kind = ChangeKind::Missed;
        Self { seq, at_ms: 0, change: kind, repo: None, tag: None, digest: None, was: None, by: None }
    }
}

/// Returns the changes of a transaction, in its order. What follows from another change, such as a row of a
/// referrer, is left out, and so are uploads and notes of pulls.
pub(super) fn changes_of(transaction: &Transaction<'_>) -> Vec<Change> {
    if transaction.by.is_some_and(Origin::notes_pulls) {
        return Vec::new();
    }
    let untagged: HashSet<ContentDigest> = transaction.facts.iter().filter_map(loses_a_tag).collect();
    transaction.facts.iter().filter_map(|fact| change_of(transaction, fact, &untagged)).collect()
}

fn loses_a_tag(fact: &Fact) -> Option<ContentDigest> {
    match fact {
        Fact::Tag { was, .. } => *was,
        _ => None,
    }
}

fn change_of(
    transaction: &Transaction<'_>,
    fact: &Fact,
    untagged: &HashSet<ContentDigest>,
) -> Option<Change> {
    let made = |kind, repo: Option<&RepoName>, digest: Option<ContentDigest>| Change {
        seq: transaction.seq,
        at_ms: transaction.at_ms,
        change: kind,
        repo: repo.cloned(),
        tag: None,
        digest,
        was: None,
        by: transaction.by.cloned(),
    };
    Some(match fact {
        Fact::Tag { repo, tag, row, was } => {
            let (kind, digest) = match (row, was) {
                (Some(row), Some(_)) => (ChangeKind::TagMoved, Some(row.digest)),
                (Some(row), None) => (ChangeKind::TagSet, Some(row.digest)),
                (None, was) => (ChangeKind::TagRemoved, *was),
            };
            let was = was.filter(|_| kind == ChangeKind::TagMoved);
            Change { tag: Some(tag.clone()), was, ..made(kind, Some(repo), digest) }
        }
        // Its row only notes that it lost its last tag.
        Fact::Manifest { digest, row: Some(_), .. } if untagged.contains(digest) => return None,
        Fact::Manifest { repo, digest, row } => {
            let kind = if row.is_some() { ChangeKind::ManifestPushed } else { ChangeKind::ManifestRemoved };
            made(kind, Some(repo), Some(*digest))
        }
        Fact::Link { repo, digest, row } => {
            let kind = if row.is_some() { ChangeKind::BlobAdded } else { ChangeKind::BlobRemoved };
            made(kind, Some(repo), Some(*digest))
        }
        Fact::Blob { digest, row: None, .. } => made(ChangeKind::ContentRemoved, None, Some(*digest)),
        Fact::Repository { repo, row: None } => made(ChangeKind::RepositoryRemoved, Some(repo), None),
        Fact::Blob { .. }
        | Fact::Repository { .. }
        | Fact::Referrer { .. }
        | Fact::Upload { .. }
        | Fact::Bin { .. }
        | Fact::History { .. } => return None,
    })
}
