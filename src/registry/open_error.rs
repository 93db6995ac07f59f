//! Why a registry could not be opened or closed.

use crate::blobs::BlobError;
use crate::disk::{DiskError, ForeignOwner, LockError};
use crate::meta::{IndexError, MetaOpenError};

/// Why a registry could not be opened or closed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another pulk uses the data directory, or the lock could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The data directory was created by a newer version.
    #[error(
        "the data directory has format {found}, this version of pulk reads up to {known}{}",
        needed(by.as_deref())
    )]
    Newer {
        /// The directory's format.
        found: u32,
        /// The newest that this version knows.
        known: u32,
        /// The version of pulk that wrote the format first, where that is known.
        by: Option<String>,
    },
    /// The data directory uses a feature that this version does not know.
    #[error(
        "the data directory uses the feature {feature:?}, which this version of pulk does not know{}",
        needed(by.as_deref())
    )]
    Feature {
        /// The feature's name.
        feature: String,
        /// The version of pulk that noted the features, where that is known.
        by: Option<String>,
    },
    /// The data directory was created by a version that is too old.
    #[error("the data directory has format {found}, this version of pulk reads {known} and later")]
    Older {
        /// The directory's format.
        found: u32,
        /// The oldest that this version knows.
        known: u32,
    },
    /// The directory has no store, and this operation does not create one.
    #[error("it holds no store: no pulk.json, no journal and no content")]
    NoStore,
    /// The data directory belongs to another user, whom files of this user would lock out.
    #[error("it belongs to uid {owner}, which could not read the files that uid {user} writes")]
    Foreign {
        /// The user that it belongs to.
        owner: u32,
        /// The user that this process runs as.
        user: u32,
    },
    /// The directory has content, but no metadata that describes it.
    #[error("journal and checkpoints are missing in the data directory, but there is content in it")]
    MetadataLost,
    /// `pulk.json` is damaged.
    #[error("pulk.json in the data directory cannot be read: {0}")]
    Format(String),
    /// Uploads could not be renamed to their final place.
    #[error("`uploads` and `blobs` in the data directory are on different filesystems")]
    Filesystems,
    /// A disk operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Content could not be examined.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// Metadata could not be opened or closed.
    #[error(transparent)]
    Meta(#[from] MetaOpenError),
    /// The index could not be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The server that uses the data directory answered wrongly, or not at all.
    #[error("unexpected answer of the server: {0}")]
    Server(String),
}

/// Says which version of pulk reads a format.
pub(crate) fn needed(by: Option<&str>) -> String {
    by.map(|by| format!("; pulk {by} or newer is needed")).unwrap_or_default()
}

impl OpenError {
    /// Tells whether the medium failed.
    pub(crate) fn is_of_the_medium(&self) -> bool {
        match self {
            Self::Disk(error)
            | Self::Blobs(BlobError::Disk(error) | BlobError::Folder(error))
            | Self::Meta(
                MetaOpenError::Disk(error)
                | MetaOpenError::Content(BlobError::Disk(error) | BlobError::Folder(error)),
            ) => error.is_of_the_medium(),
            _ => false,
        }
    }

    /// Returns the error for a data directory that belongs to another user.
    pub(crate) fn foreign(found: ForeignOwner) -> Self {
        Self::Foreign { owner: found.owner, user: rustix::process::geteuid().as_raw() }
    }
}
