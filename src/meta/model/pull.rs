//! Pulls that are to be noted.

use crate::spec::{ContentDigest, RepoName, Tag};

/// A pull of a manifest, until its rows note it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// The repository.
    pub repo: RepoName,
    /// The manifest.
    pub digest: ContentDigest,
    /// The tag by which it was asked for.
    pub tag: Option<Tag>,
    /// The store time, in milliseconds.
    pub at_ms: u64,
}
