//! Transactions: lists of absolute facts.
//!
//! A fact states what a row is from now on, or that it is absent. Facts hold no counts and no increments, so
//! applying a transaction twice equals applying it once, and replaying later ones over a state that already
//! has some of them ends in the same state.

use serde::{Deserialize, Serialize};

use crate::meta::model::ManifestRow;
use crate::meta::model::carried::CarriedBytes;
use crate::meta::model::row::{BinRow, BlobRow, HistoryRow, LinkRow, RepositoryRow, TagRow, UploadRow};
use crate::meta::model::row_change::RowChange;
use crate::meta::model::tree::{Tree, key, order_part};
use crate::meta::model::upload_id::UploadId;
use crate::spec::{ContentDigest, Digest, RepoName, Tag};

/// The most facts that one transaction may hold; bigger work is split into steps.
pub const FACTS_MAX: usize = 4096;

/// What one row is from now on; `row: None` means that it is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fact {
    /// A repository.
    Repository {
        /// Its name.
        repo: RepoName,
        /// Its row.
        row: Option<RepositoryRow>,
    },
    /// A manifest of a repository.
    Manifest {
        /// The repository.
        repo: RepoName,
        /// The manifest's digest.
        digest: ContentDigest,
        /// Its row.
        row: Option<ManifestRow>,
    },
    /// A tag.
    Tag {
        /// The repository.
        repo: RepoName,
        /// The tag.
        tag: Tag,
        /// Its row.
        row: Option<TagRow>,
        /// The manifest that it named before, which loses it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        was: Option<ContentDigest>,
    },
    /// Whether a manifest of a repository refers to a subject.
    Referrer {
        /// The repository.
        repo: RepoName,
        /// What it refers to.
        subject: Digest,
        /// The referring manifest's digest.
        digest: ContentDigest,
        /// Whether it does.
        present: bool,
    },
    /// A blob's presence in a repository.
    Link {
        /// The repository.
        repo: RepoName,
        /// The blob's digest.
        digest: ContentDigest,
        /// Its row.
        row: Option<LinkRow>,
    },
    /// Content in the store.
    Blob {
        /// The digest.
        digest: ContentDigest,
        /// Its row.
        row: Option<BlobRow>,
        /// Its bytes, if it has no file by then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<CarriedBytes>,
    },
    /// An upload session.
    Upload {
        /// Its id.
        id: UploadId,
        /// Its row.
        row: Option<UploadRow>,
    },
    /// A manifest in the bin of a repository.
    Bin {
        /// The repository.
        repo: RepoName,
        /// The manifest's digest.
        digest: ContentDigest,
        /// Its row.
        row: Option<BinRow>,
    },
    /// What became of a tag.
    History {
        /// The repository.
        repo: RepoName,
        /// The tag.
        tag: Tag,
        /// Its place in the order of all changes of tags.
        order: u64,
        /// Its row.
        row: Option<HistoryRow>,
    },
}

impl Fact {
    /// Appends what this fact changes in the trees.
    pub fn changes(&self, changes: &mut Vec<RowChange>) -> Result<(), serde_json::Error> {
        match self {
            Self::Repository { repo, row } => {
                changes.push(change(Tree::Repositories, &[repo.as_str()], row.as_ref())?);
            }
            Self::Manifest { repo, digest, row } => {
                changes.push(change(Tree::Manifests, &[repo.as_str(), &digest.to_string()], row.as_ref())?);
            }
            Self::Tag { repo, tag, row, was } => {
                if let Some(was) = was {
                    let parts = [repo.as_str(), &was.to_string(), tag.as_str()];
                    changes.push(presence(Tree::Tagged, &parts, false));
                }
                if let Some(row) = row {
                    let parts = [repo.as_str(), &row.digest.to_string(), tag.as_str()];
                    changes.push(presence(Tree::Tagged, &parts, true));
                }
                changes.push(change(Tree::Tags, &[repo.as_str(), tag.as_str()], row.as_ref())?);
            }
            Self::Referrer { repo, subject, digest, present } => {
                let parts = [repo.as_str(), subject.as_str(), &digest.to_string()];
                changes.push(presence(Tree::Referrers, &parts, *present));
            }
            Self::Link { repo, digest, row } => {
                changes.push(change(Tree::Links, &[repo.as_str(), &digest.to_string()], row.as_ref())?);
            }
            Self::Blob { digest, row, content: _ } => {
                changes.push(change(Tree::Blobs, &[&digest.to_string()], row.as_ref())?);
            }
            Self::Upload { id, row } => {
                changes.push(change(Tree::Uploads, &[&id.to_string()], row.as_ref())?);
            }
            Self::Bin { repo, digest, row } => {
                changes.push(change(Tree::Bin, &[repo.as_str(), &digest.to_string()], row.as_ref())?);
            }
            Self::History { repo, tag, order, row } => {
                let parts = [repo.as_str(), tag.as_str(), &order_part(*order)];
                changes.push(change(Tree::History, &parts, row.as_ref())?);
            }
        }
        Ok(())
    }
}

fn change<R: Serialize>(tree: Tree, parts: &[&str], row: Option<&R>) -> Result<RowChange, serde_json::Error> {
    let value = row.map(serde_json::to_vec).transpose()?;
    Ok(RowChange { tree, key: key(parts), value })
}

fn presence(tree: Tree, parts: &[&str], present: bool) -> RowChange {
    RowChange { tree, key: key(parts), value: present.then(Vec::new) }
}

/// Returns what a list of facts changes in the trees.
pub fn changes_of(facts: &[Fact]) -> Result<Vec<RowChange>, serde_json::Error> {
    let mut changes = Vec::with_capacity(facts.len() * 2);
    for fact in facts {
        fact.changes(&mut changes)?;
    }
    Ok(changes)
}
