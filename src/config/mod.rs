//! The configuration: flags over environment over file over defaults.
//!
//! The command line hands over what flags and environment say (it settles which of the two wins) as
//! [`Overrides`]; [`Config::load`] puts them over the file and the file over the defaults.

mod collector;
mod error;
mod file;
mod locate;
mod merge;
mod period;
mod rate;
mod render;
mod size;
pub(crate) mod values;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use collector::Collector;
pub(crate) use error::ConfigError;
pub(crate) use merge::Overrides;

use crate::meta::{Policy, WORTHWHILE_MIN_BYTES};

/// Everything that can be configured, settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// The file that it was read from, if one was.
    pub(crate) file: Option<PathBuf>,
    /// The data directory.
    pub(crate) data: PathBuf,
    /// The address to listen on; port 0 lets the system pick a free one.
    pub(crate) listen: SocketAddr,
    /// Whether everything is kept in memory and nothing in the data directory.
    pub(crate) ephemeral: bool,
    /// Whether an index may be pushed before the manifests that it names.
    pub(crate) sparse_indexes: bool,
    /// What to log, as a filter of levels and modules.
    pub(crate) log: String,
    /// The limits on what clients may ask for.
    pub(crate) limits: Limits,
    /// How content is read again and again.
    pub(crate) scrub: Scrub,
    /// How the collector works.
    pub(crate) collector: Collector,
    /// What is kept of repositories, what may not change in them, and how much fits; the first one counts.
    pub(crate) policies: Vec<Policy>,
    /// The least size of the index's files, in bytes, at which the collector copies what is left of them; 0
    /// has it do so whatever they take. Not for people: in no file, and printed by nothing.
    pub(crate) copy_index_from_bytes: u64,
}

/// How content is read again and again, so that damage is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scrub {
    /// Whether it is, while a server runs.
    pub(crate) enabled: bool,
    /// How many bytes are read in a second at most.
    pub(crate) rate_bytes: u64,
    /// How long after the end of a full pass the next one begins.
    pub(crate) interval: Duration,
}

/// The limits on what clients may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The connections open at once.
    pub(crate) connections: usize,
    /// Those of them that may come from one address; a quarter of them unless the file says otherwise.
    pub(crate) connections_per_address: usize,
    /// The requests that may bring content at once.
    pub(crate) uploads: usize,
    /// The uploads that may have begun and not ended.
    pub(crate) upload_sessions: usize,
    /// The requests that may wait for a turn.
    pub(crate) waiting: usize,
    /// The size of a manifest, in bytes.
    pub(crate) manifest_bytes: u64,
    /// How long an unfinished upload may lie untouched before it is dropped.
    pub(crate) upload_idle: Duration,
    /// How much of the disk is kept free of pushes, in bytes.
    pub(crate) reserve_bytes: u64,
    /// The size of a request's head, in bytes.
    pub(crate) head_bytes: usize,
    /// How long a request's head may take to arrive.
    pub(crate) head_time: Duration,
    /// How long a connection may stay open without a request.
    pub(crate) keep_alive: Duration,
    /// How long a body may stand still, either way.
    pub(crate) body_progress: Duration,
    /// How long requests in flight may take to finish when pulk stops.
    pub(crate) stop_time: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            file: None,
            data: PathBuf::from("data"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
            ephemeral: false,
            sparse_indexes: false,
            log: "info".to_owned(),
            limits: Limits::default(),
            scrub: Scrub::default(),
            collector: Collector::default(),
            policies: Vec::new(),
            copy_index_from_bytes: WORTHWHILE_MIN_BYTES,
        }
    }
}

impl Default for Scrub {
    fn default() -> Self {
        let interval = Duration::from_secs(30 * 24 * 60 * 60);
        Self { enabled: true, rate_bytes: 4 * 1024 * 1024, interval }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 256,
            uploads: 512,
            upload_sessions: 1024,
            waiting: 256,
            manifest_bytes: 4 * 1024 * 1024,
            upload_idle: Duration::from_secs(24 * 60 * 60),
            reserve_bytes: 64 * 1024 * 1024,
            head_bytes: 32 * 1024,
            head_time: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            body_progress: Duration::from_secs(60),
            stop_time: Duration::from_secs(30),
        }
    }
}
