//! The rows of the index: small, and without lists of references, which are read from the content itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::spec::{Algorithm, ContentDigest, Digest, MediaType, RepoName};

/// A repository that has something in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryRow {
    /// When it got its first content, in milliseconds since 1970.
    pub since: u64,
}

/// A manifest of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRow {
    /// The media type it was pushed with.
    pub media_type: MediaType,
    /// The length in bytes.
    pub size: u64,
    /// The manifest it refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
}

/// A tag of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRow {
    /// The manifest it names.
    pub digest: ContentDigest,
}

/// A manifest that refers to a subject: what its descriptor in the referrers list says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferrerRow {
    /// The manifest's media type.
    pub media_type: MediaType,
    /// The manifest's length in bytes.
    pub size: u64,
    /// What the descriptor says beside that; `None` when it is too long for a row and must be read from the
    /// manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short: Option<ReferrerTexts>,
}

/// The texts of a referrer's descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferrerTexts {
    /// The artifact type (the specification's "Listing Referrers").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifest's annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The longest texts of a referrer that a row takes.
pub const REFERRER_TEXTS_MAX_BYTES: usize = 2048;

impl ReferrerTexts {
    /// Returns these texts if a row may hold them.
    pub fn if_short(self) -> Option<Self> {
        let length = self.artifact_type.as_ref().map_or(0, String::len)
            + self.annotations.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        (length <= REFERRER_TEXTS_MAX_BYTES).then_some(self)
    }
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
}
