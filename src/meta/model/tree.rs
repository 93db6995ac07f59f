//! The trees of the index and the keys of their rows.
//!
//! | tree | key | row |
//! |---|---|---|
//! | `repositories` | repository | [`RepositoryRow`](super::RepositoryRow) |
//! | `manifests` | repository, digest | [`ManifestRow`](super::ManifestRow) |
//! | `tags` | repository, tag | [`TagRow`](super::TagRow) |
//! | `tagged` | repository, digest, tag | empty: the tags of a manifest, from the other side |
//! | `referrers` | repository, subject, digest | empty |
//! | `links` | repository, digest | [`LinkRow`](super::LinkRow) |
//! | `blobs` | digest | [`BlobRow`](super::BlobRow) |
//! | `uploads` | upload id | [`UploadRow`](super::UploadRow) |
//! | `bin` | repository, digest | [`BinRow`](super::BinRow) |
//! | `history` | repository, tag, order in 16 hexadecimal digits | [`HistoryRow`](super::HistoryRow) |
//!
//! The parts of a key are texts joined by a zero byte, which none of them can contain, so rows of one
//! repository lie together and lists come in the order of their bytes.

use serde::{Deserialize, Serialize};

/// One tree of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tree {
    /// Repositories that are not empty.
    Repositories,
    /// Manifests of a repository.
    Manifests,
    /// Tags of a repository.
    Tags,
    /// Tags of a manifest.
    Tagged,
    /// Referrers of a subject.
    Referrers,
    /// Blobs' presence in repositories.
    Links,
    /// Content in the store.
    Blobs,
    /// Upload sessions that have not ended.
    Uploads,
    /// Manifests that were removed from a repository and can be restored.
    Bin,
    /// What became of each tag, and when.
    History,
}

impl Tree {
    /// All trees, in the order of their declaration.
    pub const ALL: [Self; 10] = [
        Self::Repositories,
        Self::Manifests,
        Self::Tags,
        Self::Tagged,
        Self::Referrers,
        Self::Links,
        Self::Blobs,
        Self::Uploads,
        Self::Bin,
        Self::History,
    ];

    /// Returns the tree's name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Repositories => "repositories",
            Self::Manifests => "manifests",
            Self::Tags => "tags",
            Self::Tagged => "tagged",
            Self::Referrers => "referrers",
            Self::Links => "links",
            Self::Blobs => "blobs",
            Self::Uploads => "uploads",
            Self::Bin => "bin",
            Self::History => "history",
        }
    }
}

const SEPARATOR: u8 = 0;

/// Joins the parts of a row's key.
pub(in crate::meta) fn key(parts: &[&str]) -> Vec<u8> {
    let mut key = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            key.push(SEPARATOR);
        }
        key.extend_from_slice(part.as_bytes());
    }
    key
}

/// Renders the order of a change of a tag, so that the bytes of keys are in that order.
pub(in crate::meta) fn order_part(order: u64) -> String {
    format!("{order:016x}")
}

/// Reads the order of a change of a tag from its key.
pub(in crate::meta) fn order_of(key: &[u8]) -> Option<u64> {
    let part = last_part(key);
    let is_hex = part.len() == 16 && part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let text = std::str::from_utf8(part).ok().filter(|_| is_hex)?;
    u64::from_str_radix(text, 16).ok()
}

/// Joins the first parts of a key to a prefix of exactly the keys that have further parts after them.
pub(in crate::meta) fn prefix(parts: &[&str]) -> Vec<u8> {
    let mut prefix = key(parts);
    prefix.push(SEPARATOR);
    prefix
}

/// Returns the last part of a key.
pub(in crate::meta) fn last_part(key: &[u8]) -> &[u8] {
    key.rsplit(|byte| *byte == SEPARATOR).next().unwrap_or(key)
}
