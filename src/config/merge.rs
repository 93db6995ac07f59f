//! One configuration out of flags, environment, file and defaults.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use crate::config::error::ConfigError;
use crate::config::file::{Document, FileConfig, FileLimits, FileScrub};
use crate::config::period::Period;
use crate::config::rate::Rate;
use crate::config::size::Size;
use crate::config::{Config, Limits, Scrub};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const TIB: u64 = 1024 * 1024 * MIB;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

// What each limit may be. The specification lets clients count on manifests of 4 MiB; one is held in memory
// whole, which bounds it above. A head must hold a token, a path and what proxies add.
const COUNT: RangeInclusive<u64> = 1..=65_536;
const MANIFEST_SIZE: RangeInclusive<Size> = Size(4 * MIB)..=Size(64 * MIB);
const UPLOAD_IDLE: RangeInclusive<Period> = Period(MINUTE)..=Period(365 * DAY);
const RESERVE: RangeInclusive<Size> = Size(0)..=Size(TIB);
const HEAD_SIZE: RangeInclusive<Size> = Size(8 * KIB)..=Size(MIB);
const WAIT: RangeInclusive<Period> = Period(1)..=Period(HOUR);
const STOP_TIME: RangeInclusive<Period> = Period(0)..=Period(HOUR);

/// The part of all connections that may come from one address, unless the file says otherwise: one over this.
const ADDRESS_SHARE_DIVISOR: usize = 4;

// A scrub that reads less would never come to its end; one that reads more is one without a limit.
const SCRUB_RATE: RangeInclusive<Rate> = Rate(Size(64 * KIB))..=Rate(Size(TIB));
const SCRUB_INTERVAL: RangeInclusive<Period> = Period(HOUR)..=Period(3650 * DAY);

/// What flags and environment say; a flag has already won over its variable.
#[derive(Debug, Default, Clone)]
pub(crate) struct Overrides {
    /// The data directory.
    pub(crate) data: Option<PathBuf>,
    /// The address to listen on.
    pub(crate) listen: Option<SocketAddr>,
    /// Whether to keep everything in memory.
    pub(crate) ephemeral: Option<bool>,
    /// What to log.
    pub(crate) log: Option<String>,
    /// From which size on the index is copied, in bytes.
    pub(crate) copy_index_from_bytes: Option<u64>,
}

impl Config {
    /// Puts the overrides over the file, and the file over the defaults. Without a file, none is read.
    pub(crate) fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        let config = match file {
            Some(path) => Self::from_document(&Document::read(path)?)?,
            None => Self::default(),
        };
        Ok(Self { file: file.map(Path::to_owned), ..config.overridden(overrides) })
    }

    fn from_document(document: &Document) -> Result<Self, ConfigError> {
        let FileConfig { data, listen, ephemeral, sparse_indexes, log, limits, scrub, collector, policy } =
            document.parse()?;
        let default = Self::default();
        Ok(Self {
            file: None,
            data: data.unwrap_or(default.data),
            listen: listen.unwrap_or(default.listen),
            ephemeral: ephemeral.unwrap_or(default.ephemeral),
            sparse_indexes: sparse_indexes.unwrap_or(default.sparse_indexes),
            log: log.unwrap_or(default.log),
            limits: limits_of(document, limits)?,
            scrub: scrub_of(document, scrub)?,
            collector: collector.settled(document)?,
            copy_index_from_bytes: default.copy_index_from_bytes,
            policies: policy.into_iter().map(Into::into).collect(),
        })
    }

    fn overridden(self, overrides: Overrides) -> Self {
        Self {
            data: overrides.data.unwrap_or(self.data),
            listen: overrides.listen.unwrap_or(self.listen),
            ephemeral: overrides.ephemeral.unwrap_or(self.ephemeral),
            log: overrides.log.unwrap_or(self.log),
            copy_index_from_bytes: overrides.copy_index_from_bytes.unwrap_or(self.copy_index_from_bytes),
            ..self
        }
    }
}

fn limits_of(document: &Document, file: FileLimits) -> Result<Limits, ConfigError> {
    let default = Limits::default();
    let count = |value, or: usize| {
        let bounded = within(document, value, &COUNT)?;
        Ok::<_, ConfigError>(bounded.and_then(|count| usize::try_from(count).ok()).unwrap_or(or))
    };
    let time = |value, or: Duration, bounds| {
        let bounded = within(document, value, bounds)?;
        Ok::<_, ConfigError>(bounded.map_or(or, Period::duration))
    };
    let connections = count(file.connections, default.connections)?;
    let address_share = connections.div_ceil(ADDRESS_SHARE_DIVISOR);
    let head_bytes = within(document, file.head_bytes, &HEAD_SIZE)?;
    Ok(Limits {
        connections,
        connections_per_address: count(file.connections_per_address, address_share)?,
        uploads: count(file.uploads, default.uploads)?,
        upload_sessions: count(file.upload_sessions, default.upload_sessions)?,
        waiting: count(file.waiting, default.waiting)?,
        manifest_bytes: within(document, file.manifest_bytes, &MANIFEST_SIZE)?
            .map_or(default.manifest_bytes, |size| size.0),
        upload_idle: time(file.upload_idle, default.upload_idle, &UPLOAD_IDLE)?,
        reserve_bytes: within(document, file.reserve_bytes, &RESERVE)?
            .map_or(default.reserve_bytes, |size| size.0),
        head_bytes: head_bytes.and_then(|size| usize::try_from(size.0).ok()).unwrap_or(default.head_bytes),
        head_time: time(file.head_time, default.head_time, &WAIT)?,
        keep_alive: time(file.keep_alive, default.keep_alive, &WAIT)?,
        body_progress: time(file.body_progress, default.body_progress, &WAIT)?,
        stop_time: time(file.stop_time, default.stop_time, &STOP_TIME)?,
    })
}

fn scrub_of(document: &Document, file: FileScrub) -> Result<Scrub, ConfigError> {
    let default = Scrub::default();
    let rate = within(document, file.rate, &SCRUB_RATE)?;
    let interval = within(document, file.interval, &SCRUB_INTERVAL)?;
    Ok(Scrub {
        enabled: file.enabled.unwrap_or(default.enabled),
        rate_bytes: rate.map_or(default.rate_bytes, |rate| rate.0.0),
        interval: interval.map_or(default.interval, Period::duration),
    })
}

/// Takes the value of a key that is there, and refuses one out of bounds.
pub(in crate::config) fn within<T: PartialOrd + Display>(
    document: &Document,
    value: Option<Spanned<T>>,
    bounds: &RangeInclusive<T>,
) -> Result<Option<T>, ConfigError> {
    let Some(value) = value else { return Ok(None) };
    if bounds.contains(value.get_ref()) {
        return Ok(Some(value.into_inner()));
    }
    let problem = format!(
        "{} is out of bounds; it must be at least {} and at most {}",
        value.get_ref(),
        bounds.start(),
        bounds.end()
    );
    Err(document.refused(&value.span(), problem))
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
