//! What metadata can fail with.

use std::path::PathBuf;

use crate::blobs::BlobError;
use crate::disk::DiskError;
use crate::meta::format::FORMAT;
use crate::meta::index::IndexError;
use crate::meta::rules::Refusal;

/// Why a command was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MetaError {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing can be written until the store is reopened; reads go on.
    #[error("{0}")]
    Poisoned(String),
    /// The disk is full; nothing of the command is left.
    #[error("no space left for the journal")]
    NoSpace,
    /// The filesystem is read-only; nothing of the command is left.
    #[error("the filesystem is read-only")]
    ReadOnly,
    /// The command could not be written down; nothing of it is left.
    #[error("{0}")]
    Failed(String),
    /// The index could not be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The writer has stopped.
    #[error("the registry is stopping")]
    Stopped,
}

/// Why metadata could not be opened or closed.
#[derive(Debug, thiserror::Error)]
pub enum MetaOpenError {
    /// A disk operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Content could not be read or written again.
    #[error(transparent)]
    Content(#[from] BlobError),
    /// The index could not be opened or filled.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The journal holds something that cannot be understood.
    #[error("the journal cannot be replayed: {0}")]
    Damaged(String),
    /// A file was written in a newer format than this version reads.
    #[error("{} has format {found}, and this version of pulk reads up to {FORMAT}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A line is as it was written, and this version cannot read it.
    #[error(
        "{}: the line at byte {offset} has the right checksum, but this version of pulk does not know what \
         it says ({why})",
        path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Where the line begins.
        offset: u64,
        /// What is not known.
        why: String,
    },
    /// The writer's thread could not be started or ended in a panic.
    #[error("the writer's thread failed: {0}")]
    Thread(String),
    /// Writes had been refused since a failure, so the stop is not a clean one.
    #[error("not a clean stop: {0}")]
    Poisoned(String),
}

impl MetaOpenError {
    /// Tells whether another version of pulk wrote what this one cannot read.
    pub fn is_of_another_version(&self) -> bool {
        matches!(self, Self::Newer { .. } | Self::Unknown { .. })
    }

    /// Tells whether it is for want of space, on the disk or in a file.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Disk(error) | Self::Content(BlobError::Disk(error) | BlobError::Folder(error)) => {
                error.is_full() || error.is_too_large()
            }
            Self::Index(error) => matches!(error, IndexError::NoSpace),
            Self::Content(
                BlobError::Mismatch { .. }
                | BlobError::UploadDamaged { .. }
                | BlobError::NameMayBeLost { .. },
            )
            | Self::Damaged(_)
            | Self::Newer { .. }
            | Self::Unknown { .. }
            | Self::Thread(_)
            | Self::Poisoned(_) => false,
        }
    }
}
