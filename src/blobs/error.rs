//! What storing content can fail with.

use std::path::PathBuf;

use crate::disk::DiskError;
use crate::spec::Digest;

/// Why content could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// A disk operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A folder of content could not be synced: which of its names are durable is not known any more.
    #[error(transparent)]
    Folder(DiskError),
    /// A sync of this folder failed after the name was written: the name may be lost, and a later sync would
    /// not report it.
    #[error("a sync of {} failed meanwhile: retry", folder.display())]
    NameMayBeLost {
        /// The folder.
        folder: PathBuf,
    },
    /// The content has another digest than was said; nothing of it is kept.
    #[error("the content's digest is {actual}, not {said}")]
    Mismatch {
        /// What was said.
        said: Digest,
        /// What the content hashes to.
        actual: Digest,
    },
    /// An upload's file is shorter than what was durable of it.
    #[error("the upload's file has {length} bytes where {offset} had been made durable")]
    UploadDamaged {
        /// The file's length.
        length: u64,
        /// The durable offset.
        offset: u64,
    },
}
