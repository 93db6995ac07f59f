//! Why a scrub did not complete.

use crate::meta::{IndexError, MetaOpenError};
use crate::registry::RegistryError;

/// Why a scrub did not complete.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// Another requested full pass runs.
    #[error("a requested scrub is already running")]
    Busy,
    /// Its caller no longer waits for it, or the registry is closed.
    #[error("it was stopped")]
    Stopped,
    /// Many pieces of content in a row cannot be read or found: the disk may be failing.
    #[error("{0} pieces of content in a row cannot be read or found: is the disk failing?")]
    Device(u32),
    /// The filesystem takes no writes.
    #[error(
        "the filesystem is read-only, so nothing damaged can be set aside: use `pulk check --deep` to find it"
    )]
    ReadOnly,
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The journal or a checkpoint could not be read.
    #[error("the journal cannot be read: {0}")]
    Journal(MetaOpenError),
}

impl From<IndexError> for ScrubError {
    fn from(error: IndexError) -> Self {
        Self::Registry(error.into())
    }
}
