//! What can be wrong with a configuration.

use std::io;
use std::path::PathBuf;

/// Why there is no configuration to run with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file that was asked for can't be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The file says something that pulk doesn't take.
    #[error("{}:{line}: {}{problem}", path.display(), key_prefix(key.as_deref()))]
    Refused {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key in full, such as `limits.head_bytes`, where the problem lies in one.
        key: Option<String>,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

fn key_prefix(key: Option<&str>) -> String {
    key.map(|key| format!("{key}: ")).unwrap_or_default()
}
