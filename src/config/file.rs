//! `pulk.toml` as it is written: every key may be absent.

use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use toml::Spanned;

use crate::config::collector::{FileCollector, FilePolicy};
use crate::config::error::ConfigError;
use crate::config::locate::{key_at, line_at};
use crate::config::period::Period;
use crate::config::rate::Rate;
use crate::config::size::Size;
use crate::config::values;

/// The keys of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "the keys of pulk.toml")]
pub(in crate::config) struct FileConfig {
    #[serde(default, deserialize_with = "data")]
    pub(in crate::config) data: Option<PathBuf>,
    #[serde(default, deserialize_with = "listen")]
    pub(in crate::config) listen: Option<SocketAddr>,
    pub(in crate::config) ephemeral: Option<bool>,
    pub(in crate::config) sparse_indexes: Option<bool>,
    #[serde(default, deserialize_with = "log")]
    pub(in crate::config) log: Option<String>,
    #[serde(default)]
    pub(in crate::config) limits: FileLimits,
    #[serde(default)]
    pub(in crate::config) scrub: FileScrub,
    #[serde(default)]
    pub(in crate::config) collector: FileCollector,
    #[serde(default)]
    pub(in crate::config) policy: Vec<FilePolicy>,
}

/// The keys of the file's `[scrub]`, each with its place in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: [scrub], and its keys below it")]
pub(in crate::config) struct FileScrub {
    pub(in crate::config) enabled: Option<bool>,
    pub(in crate::config) rate: Option<Spanned<Rate>>,
    pub(in crate::config) interval: Option<Spanned<Period>>,
}

/// The keys of the file's `[limits]`, each with its place in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: [limits], and its keys below it")]
pub(in crate::config) struct FileLimits {
    pub(in crate::config) connections: Option<Spanned<u64>>,
    pub(in crate::config) connections_per_address: Option<Spanned<u64>>,
    pub(in crate::config) uploads: Option<Spanned<u64>>,
    pub(in crate::config) upload_sessions: Option<Spanned<u64>>,
    pub(in crate::config) waiting: Option<Spanned<u64>>,
    pub(in crate::config) manifest_bytes: Option<Spanned<Size>>,
    pub(in crate::config) upload_idle: Option<Spanned<Period>>,
    pub(in crate::config) reserve_bytes: Option<Spanned<Size>>,
    pub(in crate::config) head_bytes: Option<Spanned<Size>>,
    pub(in crate::config) head_time: Option<Spanned<Period>>,
    pub(in crate::config) keep_alive: Option<Spanned<Period>>,
    pub(in crate::config) body_progress: Option<Spanned<Period>>,
    pub(in crate::config) stop_time: Option<Spanned<Period>>,
}

/// The text of a configuration file, to say where in it a problem lies.
#[derive(Debug)]
pub(in crate::config) struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    /// Reads the file.
    pub(in crate::config) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), text })
    }

    #[cfg(test)]
    pub(in crate::config) fn of(text: &str) -> Self {
        Self { path: PathBuf::from("pulk.toml"), text: text.to_owned() }
    }

    /// Parses the file.
    pub(in crate::config) fn parse(&self) -> Result<FileConfig, ConfigError> {
        toml::from_str(&self.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            self.refused(&span, error.message().to_owned())
        })
    }

    /// Makes the error for a problem at `span`.
    pub(in crate::config) fn refused(&self, span: &Range<usize>, problem: String) -> ConfigError {
        ConfigError::Refused {
            path: self.path.clone(),
            line: line_at(&self.text, span.start),
            key: key_at(&self.text, span),
            problem,
        }
    }
}

fn data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(deserializer)?;
    values::data(&text).map(Some).map_err(D::Error::custom)
}

fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    values::listen(&text).map(Some).map_err(D::Error::custom)
}

fn log<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    values::log(&text).map(Some).map_err(D::Error::custom)
}
