//! Why a scrub did not come to its end.

use crate::meta::{IndexError, MetaOpenError};
use crate::registry::RegistryError;

/// Why a scrub did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// Another full pass runs that somebody asked for.
    #[error("a scrub that somebody asked for runs already")]
    Busy,
    /// Nobody waits for it any more, or the registry is closed.
    #[error("it was stopped")]
    Stopped,
    /// One piece of content after another can't be read or found: this is no matter of single pieces.
    #[error("{0} pieces of content in a row cannot be read or found: is the disk failing?")]
    Device(u32),
    /// The registry could not do its part.
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
