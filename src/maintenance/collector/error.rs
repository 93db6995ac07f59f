//! Why a pass ended before its end.

use crate::registry::RegistryError;

/// Why a pass ended before its end. What it had done by then is done; nothing is half done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CollectError {
    /// The collector is told to stop.
    #[error("the collector was told to stop")]
    Stopped,
    /// Nobody waits for the pass any more.
    #[error("nobody waits for the pass any more")]
    Unwanted,
    /// The registry cannot be read, or takes no writes, at the moment.
    #[error("the pass was given up: {0}")]
    Registry(#[from] RegistryError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(String),
}
