//! Why a command is refused.

use crate::meta::index::IndexError;
use crate::spec::{ContentDigest, Digest, RepoName, Tag};

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The repository is empty or does not exist.
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
    /// The upload session does not exist.
    #[error("the upload is not known")]
    UploadUnknown,
    /// The manifest references something that the repository does not have.
    #[error("the manifest references {0}, which the repository does not have")]
    ReferenceUnknown(Digest),
    /// The command's condition does not hold.
    #[error("the precondition failed: {0}")]
    ConditionFailed(String),
    /// A policy says that the tag can neither be moved nor deleted.
    #[error("tag {0} is immutable in this repository: it can neither be moved nor deleted")]
    Immutable(Tag),
    /// What the sender had found out no longer holds.
    #[error("what the command was checked against has changed")]
    Overtaken,
    /// The repositories of the policy would exceed its quota.
    #[error("the quota of repository {repo} is {most} bytes, and {used} of them are used")]
    QuotaExceeded {
        /// The repository.
        repo: RepoName,
        /// How many bytes the repositories of its policy have.
        used: u64,
        /// How many they may have.
        most: u64,
    },
}

/// Why deciding fails.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DecideError {
    /// The command is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The index could not be read.
    #[error(transparent)]
    Index(#[from] IndexError),
}
