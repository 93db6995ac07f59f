//! Why a pass ended before its end.

use crate::meta::IndexError;
use crate::registry::RegistryError;

/// Why a pass ended before its end. What it had removed by then stays removed; nothing is half removed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CollectError {
    /// The collector is stopping.
    #[error("the collector is stopping")]
    Stopped,
    /// Its caller no longer waits for it.
    #[error("the caller no longer waits for the pass")]
    Unwanted,
    /// The registry cannot be read, or takes no writes, at the moment.
    #[error("the pass was aborted: {0}")]
    Registry(#[from] RegistryError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(String),
}

impl From<IndexError> for CollectError {
    fn from(error: IndexError) -> Self {
        RegistryError::from(error).into()
    }
}
