//! The rows of the index: small, and without lists of references, which are read from the content itself.

use serde::{Deserialize, Serialize};

use crate::spec::{Algorithm, ContentDigest, RepoName};

/// A repository that has something in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryRow {
    /// When it got its first content, in milliseconds since 1970; 0 if that is not known.
    pub since: u64,
}

/// A tag of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRow {
    /// The manifest it names.
    pub digest: ContentDigest,
    /// The store time when it was set last, in milliseconds.
    #[serde(default)]
    pub noted: u64,
    /// Its place among all tags in the order in which they were set last, whatever the clock said: higher
    /// than that of every tag which was set before. Unknown in rows of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
}

/// A blob's presence in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRow {
    /// The blob's length in bytes.
    pub size: u64,
}

/// Content in the store, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRow {
    /// The length in bytes.
    pub size: u64,
}

/// An upload session: as much of it as is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRow {
    /// The repository it is bound to.
    pub repo: RepoName,
    /// What it is hashed with while it streams.
    pub algorithm: Algorithm,
    /// How many bytes of its file are durable.
    pub offset: u64,
    /// The hasher's state at that offset, in hexadecimal, for the algorithms whose state can be saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// When this was noted, in milliseconds since 1970, if that is known; the writer says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}
