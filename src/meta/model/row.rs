//! The rows of the index: small, and without lists of references, which are read from the content itself.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::meta::model::manifest_row::ManifestRow;
use crate::meta::model::optional::Optional;
use crate::meta::model::origin::Origin;
use crate::spec::{Algorithm, ContentDigest, RepoName};

/// A repository that is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryRow {
    /// When it got its first content, in milliseconds since 1970; 0 if unknown.
    pub since: u64,
    /// What other versions know of it.
    #[serde(default, skip_serializing_if = "Optional::is_empty")]
    pub optional: Optional,
}

/// A tag of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagRow {
    /// The manifest it names.
    pub digest: ContentDigest,
    /// The store time when it was set last, in milliseconds.
    #[serde(default)]
    pub noted: u64,
    /// Its place among all tags in the order in which they were set last, regardless of the clock: higher
    /// than that of every tag that was set before. Unknown in rows of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
    /// What other versions know of it.
    #[serde(default, skip_serializing_if = "Optional::is_empty")]
    pub optional: Optional,
}

impl TagRow {
    /// Returns the store time of the last pull by this tag that was noted, whatever it named then, in
    /// milliseconds: see [`ManifestRow::last_pull_ms`](super::ManifestRow::last_pull_ms).
    pub fn last_pull_ms(&self) -> Option<u64> {
        self.optional.pulled()
    }

    /// Returns the row with a pull noted.
    pub(in crate::meta) fn pulled(self, at_ms: u64) -> Self {
        Self { optional: self.optional.with_pull(at_ms), ..self }
    }
}

/// A blob's presence in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkRow {
    /// The blob's length in bytes.
    pub size: u64,
    /// What other versions know of it.
    #[serde(default, skip_serializing_if = "Optional::is_empty")]
    pub optional: Optional,
}

/// Content in the store: a blob or a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRow {
    /// The length in bytes.
    pub size: u64,
    /// What other versions know of it.
    #[serde(default, skip_serializing_if = "Optional::is_empty")]
    pub optional: Optional,
}

/// An upload session: as much of it as is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadRow {
    /// The repository it is bound to.
    pub repo: RepoName,
    /// The algorithm that hashes it while it streams.
    pub algorithm: Algorithm,
    /// How many bytes of its file are durable.
    pub offset: u64,
    /// The hasher's state at that offset, in hexadecimal, for the algorithms whose state can be saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// When this was noted, in milliseconds since 1970, if that is known; the writer sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// What other versions know of it.
    #[serde(default, skip_serializing_if = "Optional::is_empty")]
    pub optional: Optional,
}

/// A manifest that was removed from a repository and can be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinRow {
    /// The row that it had.
    pub row: ManifestRow,
    /// The store time when it was removed, in milliseconds.
    pub noted: u64,
    /// When it was removed, in milliseconds since 1970, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// Where the removal came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<Origin>>,
    /// What other versions know of it.
    #[serde(default, skip_serializing_if = "Optional::is_empty")]
    pub optional: Optional,
}

/// What became of a tag: it was set, moved or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryRow {
    /// The manifest that it names from then on; `None` if it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<ContentDigest>,
    /// The manifest that it named before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<ContentDigest>,
    /// The store time, in milliseconds.
    pub noted: u64,
    /// When it happened, in milliseconds since 1970, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// Where the change came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<Origin>>,
    /// What other versions know of it.
    #[serde(default, skip_serializing_if = "Optional::is_empty")]
    pub optional: Optional,
}
