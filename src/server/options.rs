//! What a server is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::http::HttpOptions;
use crate::maintenance::{CollectorOptions, ScrubOptions};
use crate::registry::{RegistryOptions, Storage};
use crate::wire::WireLimits;

/// How long requests in flight may take to finish at a stop.
pub(crate) const STOP_TIME_MAX: Duration = Duration::from_secs(30);

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where it listens; with port 0 the system picks a port.
    pub listen: SocketAddr,
    /// What its registry is opened with.
    pub registry: RegistryOptions,
    /// How its collector works.
    pub collector: CollectorOptions,
    /// What can be configured of the API.
    pub http: HttpOptions,
    /// What it allows its clients.
    pub wire: WireLimits,
    /// How many threads run it.
    pub threads: usize,
    /// How long requests in flight may take to finish at a stop.
    pub stop_time_max: Duration,
    /// Whether the command line can reach it, through `control.sock` in the data directory. One without a
    /// data directory never has such a socket.
    pub control_socket: bool,
    /// How its content is read again and again, so that damage is found. There is none of that in memory.
    pub scrub: ScrubOptions,
}

impl ServerOptions {
    /// Returns the defaults for a data directory: a free port of the loopback address, a thread for each
    /// processor.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self::with_storage(Storage::Folder(data.into()))
    }

    /// Returns the defaults for a server that keeps everything in memory, as test suites like it.
    pub fn ephemeral() -> Self {
        Self::with_storage(Storage::Memory)
    }

    fn with_storage(storage: Storage) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            registry: RegistryOptions::new(storage),
            collector: CollectorOptions::default(),
            http: HttpOptions::default(),
            wire: WireLimits::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            stop_time_max: STOP_TIME_MAX,
            control_socket: true,
            scrub: ScrubOptions::default(),
        }
    }
}
