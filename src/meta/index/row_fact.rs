//! Converts rows back to facts, for checkpoints.

use serde::de::DeserializeOwned;

use crate::meta::index::contract::IndexError;
use crate::meta::model::{Fact, Tree, order_of};
use crate::spec::{ContentDigest, RepoName, Tag};

/// Returns the fact that makes a row, or `None` for rows that follow from other rows.
pub(in crate::meta) fn fact_of(tree: Tree, key: &[u8], value: &[u8]) -> Result<Option<Fact>, IndexError> {
    let mut parts = key.split(|byte| *byte == 0);
    let mut part = || Part { tree, bytes: parts.next() };
    Ok(Some(match tree {
        Tree::Repositories => Fact::Repository { repo: part().name()?, row: row(tree, value)? },
        Tree::Manifests => {
            Fact::Manifest { repo: part().name()?, digest: part().name()?, row: row(tree, value)? }
        }
        Tree::Tags => {
            Fact::Tag { repo: part().name()?, tag: part().name()?, row: row(tree, value)?, was: None }
        }
        // The tags' own rows say the same.
        Tree::Tagged => return Ok(None),
        Tree::Referrers => Fact::Referrer {
            repo: part().name()?,
            subject: part().name()?,
            digest: part().name()?,
            present: true,
        },
        Tree::Links => Fact::Link { repo: part().name()?, digest: part().name()?, row: row(tree, value)? },
        Tree::Blobs => Fact::Blob { digest: part().name()?, row: row(tree, value)?, content: None },
        Tree::Uploads => Fact::Upload { id: part().name()?, row: row(tree, value)? },
        Tree::Bin => Fact::Bin { repo: part().name()?, digest: part().name()?, row: row(tree, value)? },
        Tree::History => {
            let (repo, tag) = (part().name()?, part().name()?);
            Fact::History { repo, tag, order: history_order(key)?, row: row(tree, value)? }
        }
    }))
}

/// Returns the order of a row of `history`.
pub(in crate::meta) fn history_order(key: &[u8]) -> Result<u64, IndexError> {
    order_of(key).ok_or_else(|| malformed(Tree::History))
}

fn malformed(tree: Tree) -> IndexError {
    IndexError::Row { tree: tree.name(), reason: "its key is malformed".to_owned() }
}

/// Returns what a row of `tagged` says: the repository, the manifest, and a tag that names it.
pub(in crate::meta) fn tagged_of(key: &[u8]) -> Result<(RepoName, ContentDigest, Tag), IndexError> {
    let mut parts = key.split(|byte| *byte == 0);
    let mut part = || Part { tree: Tree::Tagged, bytes: parts.next() };
    Ok((part().name()?, part().name()?, part().name()?))
}

fn row<R: DeserializeOwned>(tree: Tree, value: &[u8]) -> Result<Option<R>, IndexError> {
    serde_json::from_slice(value)
        .map(Some)
        .map_err(|error| IndexError::Row { tree: tree.name(), reason: error.to_string() })
}

/// A part of a key.
struct Part<'a> {
    tree: Tree,
    bytes: Option<&'a [u8]>,
}

impl Part<'_> {
    fn name<N: std::str::FromStr>(self) -> Result<N, IndexError> {
        let text = self.bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.and_then(|text| text.parse().ok()).ok_or_else(|| malformed(self.tree))
    }
}
