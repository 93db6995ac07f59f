//! The errors of registry operations.

use std::io;
use std::sync::Arc;

use crate::blobs::BlobError;
use crate::disk::DiskError;
use crate::meta::{DecideError, IndexError, MetaError, Refusal};
use crate::registry::types::READ_ONLY;
use crate::spec::{Digest, DigestError, ErrorAnswer, ErrorCode, ManifestError, RepoName, Tag};

/// Why an operation was refused or failed. A failed operation leaves nothing half done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryError {
    /// The repository is empty.
    #[error("repository {0} is not known")]
    NameUnknown(RepoName),
    /// The repository has no manifest of that digest.
    #[error("manifest {0} is not in the repository")]
    ManifestUnknown(Digest),
    /// The repository has no such tag.
    #[error("tag {0} is not in the repository")]
    TagUnknown(Tag),
    /// The repository has no blob of that digest.
    #[error("blob {0} is not in the repository")]
    BlobUnknown(Digest),
    /// The repository has no such upload session; it may have ended or timed out.
    #[error("the upload is not known to this repository")]
    UploadUnknown,
    /// Another request took the upload session over.
    #[error("another request took over this upload")]
    UploadTakenOver,
    /// The chunk does not begin at the upload's offset.
    #[error("the chunk begins at byte {begins}, the upload stands at {offset}")]
    OutOfOrder {
        /// The first byte of the chunk, by its range.
        begins: u64,
        /// How many bytes the upload has.
        offset: u64,
    },
    /// The body's length differs from the Content-Length or the range.
    #[error("the body has {got} bytes instead of the announced {said}")]
    SizeInvalid {
        /// The value in the request.
        said: u64,
        /// The length that came, in bytes.
        got: u64,
    },
    /// A digest that cannot be used.
    #[error(transparent)]
    DigestInvalid(#[from] DigestError),
    /// The content has another digest.
    #[error("the content's digest is {actual}, not {said}")]
    DigestMismatch {
        /// The value in the request.
        said: Digest,
        /// The digest of the content.
        actual: Digest,
    },
    /// The manifest is malformed.
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    /// The manifest is over the limit.
    #[error("the manifest is larger than {max} bytes")]
    ManifestTooLarge {
        /// The limit in bytes.
        max: u64,
    },
    /// The manifest names content that the repository does not have.
    #[error("the manifest references {0}, which the repository does not have")]
    ManifestBlobUnknown(Digest),
    /// The request sets more tags than allowed.
    #[error("the request names {count} tags, at most {max} are allowed")]
    TooManyTags {
        /// How many were given.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// The precondition of the request does not hold.
    #[error("the precondition failed: {0}")]
    ConditionFailed(String),
    /// A policy of the repository forbids it.
    #[error("{0}")]
    Denied(String),
    /// The request's body broke off or was malformed.
    #[error("the body could not be read to its end: {0}")]
    BodyBroken(Arc<io::Error>),
    /// More upload sessions or bytes than the configuration allows.
    #[error("{0}")]
    TooMany(&'static str),
    /// The operation is not possible at the moment; a retry may succeed.
    #[error("{0}")]
    Unavailable(String),
    /// The disk has no space for it.
    #[error(
        "the registry's disk is full: pushes are refused until space is freed; pulls and deletes still work"
    )]
    NoSpace,
    /// The filesystem takes no writes.
    #[error("{READ_ONLY}")]
    ReadOnly,
    /// The disk has space, but not enough for this one.
    #[error(
        "the disk has no room for this: at least {asked} bytes are needed in all, {free} are free for it; \
         smaller content can be pushed"
    )]
    DoesNotFit {
        /// How many bytes it needs at least, with those that came already.
        asked: u64,
        /// How many it could have: those that came already, and those that are free beyond the reserve.
        free: u64,
    },
    /// The filesystem, or a limit of the process, does not allow a file of that size.
    #[error("the content is over the limit of file sizes of the registry's system")]
    FileTooLarge,
    /// Content or metadata is damaged or missing, or the disk failed.
    #[error("{0}")]
    Internal(String),
}

impl RegistryError {
    /// Makes the error of a request that a stop ends while more of its upload was to come.
    pub(in crate::registry) fn upload_stopped() -> Self {
        Self::Unavailable("the registry is stopping: resume the upload when it is back".to_owned())
    }

    /// Returns the error code of the specification ("Error Codes") that clients get.
    pub fn code(&self) -> ErrorCode {
        self.answer().code
    }

    /// Returns the code and the status that clients get.
    pub fn answer(&self) -> ErrorAnswer {
        match self {
            Self::NameUnknown(_) => ErrorCode::NameUnknown.into(),
            Self::ManifestUnknown(_) | Self::TagUnknown(_) => ErrorCode::ManifestUnknown.into(),
            Self::BlobUnknown(_) => ErrorCode::BlobUnknown.into(),
            Self::UploadUnknown => ErrorCode::BlobUploadUnknown.into(),
            Self::UploadTakenOver => ErrorCode::BlobUploadInvalid.into(),
            Self::OutOfOrder { .. } => ErrorAnswer::UPLOAD_OUT_OF_ORDER,
            Self::BodyBroken(cause) if cause.kind() == io::ErrorKind::TimedOut => ErrorAnswer::BODY_TIMEOUT,
            // The body's connection was displaced by another one.
            Self::BodyBroken(cause) if cause.kind() == io::ErrorKind::ResourceBusy => {
                ErrorCode::TooManyRequests.into()
            }
            Self::SizeInvalid { .. } | Self::BodyBroken(_) => ErrorCode::SizeInvalid.into(),
            Self::DigestInvalid(_) | Self::DigestMismatch { .. } => ErrorCode::DigestInvalid.into(),
            Self::ManifestInvalid(_) => ErrorCode::ManifestInvalid.into(),
            Self::ConditionFailed(_) => ErrorAnswer::CONDITION_FAILED,
            Self::ManifestTooLarge { .. } => ErrorAnswer::MANIFEST_TOO_LARGE,
            Self::ManifestBlobUnknown(_) => ErrorCode::ManifestBlobUnknown.into(),
            Self::TooManyTags { .. } => ErrorAnswer::TOO_MANY_TAGS,
            Self::Denied(_) => ErrorCode::Denied.into(),
            Self::TooMany(_) => ErrorCode::TooManyRequests.into(),
            Self::Unavailable(_) | Self::ReadOnly => ErrorCode::Unavailable.into(),
            Self::NoSpace | Self::DoesNotFit { .. } | Self::FileTooLarge => ErrorAnswer::NO_SPACE,
            Self::Internal(_) => ErrorCode::Unknown.into(),
        }
    }
}

impl From<BlobError> for RegistryError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Mismatch { said, actual } => Self::DigestMismatch { said, actual },
            BlobError::Disk(disk) if disk.is_full() => Self::NoSpace,
            BlobError::Disk(disk) if disk.is_read_only() => {
                log::error!("{disk}");
                Self::ReadOnly
            }
            BlobError::Disk(disk) if disk.is_too_large() => {
                log::warn!("{disk}: see `ulimit -f`, LimitFSIZE= and what the filesystem allows");
                Self::FileTooLarge
            }
            BlobError::NameMayBeLost { .. } => Self::Unavailable(error.to_string()),
            BlobError::Folder(_) => Self::Unavailable(format!("writes are refused: {error}")),
            BlobError::Disk(_) | BlobError::UploadDamaged { .. } => {
                log::error!("{error}");
                Self::Internal("the registry's disk failed; its log says more".to_owned())
            }
        }
    }
}

impl From<DiskError> for RegistryError {
    fn from(error: DiskError) -> Self {
        BlobError::Disk(error).into()
    }
}

impl From<IndexError> for RegistryError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Closed => Self::Unavailable("the registry is stopping".to_owned()),
            IndexError::NoSpace => Self::NoSpace,
            IndexError::Rebuilding => Self::Unavailable(format!("{error}; retry in a moment")),
            IndexError::Storage(_) | IndexError::Remove(_) | IndexError::Row { .. } => {
                log::error!("{error}");
                Self::Internal("the registry's index failed; its log says more".to_owned())
            }
        }
    }
}

impl From<MetaError> for RegistryError {
    fn from(error: MetaError) -> Self {
        match error {
            MetaError::Refused(refusal) => refusal.into(),
            MetaError::Poisoned(why) => Self::Unavailable(format!("writes are refused: {why}")),
            MetaError::Stopped => Self::Unavailable("the registry is stopping".to_owned()),
            MetaError::NoSpace => Self::NoSpace,
            MetaError::ReadOnly => Self::ReadOnly,
            MetaError::Index(error) => error.into(),
            MetaError::Failed(why) => {
                log::error!("{why}");
                Self::Internal("the registry's journal failed; its log says more".to_owned())
            }
        }
    }
}

impl From<DecideError> for RegistryError {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::Refused(refusal) => refusal.into(),
            DecideError::Index(error) => error.into(),
        }
    }
}

impl From<Refusal> for RegistryError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NameUnknown(repo) => Self::NameUnknown(repo),
            Refusal::ManifestUnknown(digest) => Self::ManifestUnknown(digest.into()),
            Refusal::TagUnknown(tag) => Self::TagUnknown(tag),
            Refusal::BlobUnknown(digest) => Self::BlobUnknown(digest.into()),
            Refusal::UploadUnknown => Self::UploadUnknown,
            Refusal::ReferenceUnknown(digest) => Self::ManifestBlobUnknown(digest),
            Refusal::ConditionFailed(why) => Self::ConditionFailed(why),
            Refusal::Overtaken => Self::Unavailable(format!("{refusal}: retry in a moment")),
            Refusal::Immutable(_) | Refusal::QuotaExceeded { .. } => Self::Denied(refusal.to_string()),
        }
    }
}
