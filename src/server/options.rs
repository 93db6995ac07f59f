//! The options of a server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::http::HttpOptions;
use crate::maintenance::{CollectorOptions, ScrubOptions};
use crate::registry::{RegistryOptions, Storage};
use crate::wire::{ListenAddress, WireLimits};

/// How long requests in flight may take to finish at a stop. Service managers kill what has not ended soon:
/// Docker after 10 seconds. So this, cutting off the rest and closing the store must fit into 8.
pub(crate) const STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// The control socket's path in the data directory, unless configured.
const CONTROL_SOCKET: &str = "control.sock";

/// The options of a server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where to listen; with port 0 the system picks a port.
    pub listen: Vec<ListenAddress>,
    /// The options of its registry.
    pub registry: RegistryOptions,
    /// The options of its collector.
    pub collector: CollectorOptions,
    /// The options of the API.
    pub http: HttpOptions,
    /// The limits for its clients.
    pub wire: WireLimits,
    /// The number of its threads.
    pub threads: usize,
    /// How long requests in flight may take to finish at a stop.
    pub stop_time_max: Duration,
    /// The socket through which the command line reaches it, relative to the data directory. `None`, or a
    /// server without a data directory: no socket.
    pub control_socket: Option<PathBuf>,
    /// How its content is read periodically to find damage. A store in memory has no scrub.
    pub scrub: ScrubOptions,
}

impl ServerOptions {
    /// Returns the defaults for a data directory: a free port of the loopback address, one thread per
    /// processor.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self::with_storage(Storage::Folder(data.into()))
    }

    /// Returns the defaults for a server that keeps everything in memory, as for test suites.
    pub fn ephemeral() -> Self {
        Self::with_storage(Storage::Memory)
    }

    fn with_storage(storage: Storage) -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()],
            registry: RegistryOptions::new(storage),
            collector: CollectorOptions::default(),
            http: HttpOptions::default(),
            wire: WireLimits::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            stop_time_max: STOP_TIME_MAX,
            control_socket: Some(PathBuf::from(CONTROL_SOCKET)),
            scrub: ScrubOptions::default(),
        }
    }
}
