//! A registry with listeners: what `pulk serve` runs, and what another program can embed.
//!
//! | what | where |
//! |---|---|
//! | what a server is started with, and why it did not start | `options`, `start_error` |
//! | listening, and what is answered until the registry is open | `listen`, `gate`, `open` |
//! | its threads, its limits of open files, and its background work | `threads`, `descriptors`, `upkeep` |

mod descriptors;
mod gate;
mod listen;
mod open;
mod options;
mod start_error;
mod threads;
mod upkeep;

pub use descriptors::{raise_descriptor_limit, warn_of_file_size_limit};
pub(crate) use listen::list as list_of_addresses;
pub use options::ServerOptions;
pub use start_error::StartError;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smol::{Executor, Task, Timer, future};

use crate::http::{App, HEALTH_PATHS};
use crate::maintenance::Collector;
use crate::registry::{OpenError, Registry, RegistryOptions, Storage};
use crate::wire::{BoundAddress, Refusals, ServeOptions, Stop, serve};
use gate::Gate;
use threads::Threads;
use upkeep::ServerUpkeep;

/// How long an opening may take before its progress is logged.
const START_TIME_UNTOLD: Duration = Duration::from_secs(1);

/// How often a server asks whether its registry gave up.
const GAVE_UP_PAUSE: Duration = Duration::from_secs(1);

/// A running server. It has its own threads, so any executor can start or stop it.
///
/// Dropping it stops it without waiting for requests in flight; [`Server::stop`] is the clean way.
#[derive(Debug)]
pub struct Server {
    /// Stopped before the registry is closed.
    upkeep: ServerUpkeep,
    registry: Registry,
    addresses: Vec<BoundAddress>,
    stop: Stop,
    /// Ends after the last connection.
    serving: Task<()>,
    threads: Threads,
}

impl Server {
    /// Binds the addresses, opens the registry and serves it. After an unclean stop the opening may take a
    /// while: until then every answer says that the registry is not ready, and reports the progress.
    pub async fn start(options: ServerOptions) -> Result<Self, StartError> {
        let ServerOptions {
            listen,
            registry,
            collector,
            scrub,
            http,
            mut wire,
            threads,
            stop_time_max,
            control_socket,
        } = options;
        let data = match &registry.storage {
            Storage::Folder(folder) => Some(folder.clone()),
            Storage::Memory => None,
        };
        wire.connections_max = descriptors::connections_max(wire.connections_max);
        // Bind first: a port in use must not cost a recovery, nor touch the data directory.
        let listeners = listen::bind(listen)?;
        let addresses: Vec<_> = listeners.iter().map(|listener| listener.address().clone()).collect();
        listen::warn_of_open_addresses(&addresses);

        let refusals = Arc::<Refusals>::default();
        let gate = Gate::shut(registry.progress.clone(), Arc::clone(&refusals));
        let executor = Arc::new(Executor::new());
        let threads = Threads::start(&executor, threads).map_err(StartError::Thread)?;
        let stop = Stop::new();
        let respond_gate = Arc::clone(&gate);
        let respond = move |request| Arc::clone(&respond_gate).respond(request);
        let options = ServeOptions {
            limits: wire,
            health_paths: HEALTH_PATHS.concat(),
            stop_time_max,
            refusals: Arc::clone(&refusals),
        };
        let serving = serve(listeners, respond, options, Arc::clone(&executor), stop.clone());
        let serving = executor.spawn(serving);

        let opened = match open_told(registry, &gate, &addresses).await {
            Ok(registry) => ServerUpkeep::start(&registry, collector, scrub, data.is_some())
                .map(|upkeep| (registry, upkeep)),
            Err(error) => Err(error),
        };
        let (registry, mut upkeep) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                stop.trigger();
                serving.await;
                smol::unblock(move || threads.stop()).await;
                return Err(error);
            }
        };
        gate.open(App::new(registry.clone(), http, refusals));
        if let (Some(socket), Some(data)) = (control_socket, &data) {
            upkeep.listen((data, &data.join(socket)), &registry, &addresses, &executor);
        }
        Ok(Self { upkeep, registry, addresses, stop, serving, threads })
    }

    /// Returns where the server listens.
    pub fn addresses(&self) -> &[BoundAddress] {
        &self.addresses
    }

    /// Returns the first address with a port that the server listens on.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.addresses.iter().find_map(|address| match address {
            BoundAddress::Tcp(address) => Some(*address),
            BoundAddress::Unix(_) => None,
        })
    }

    /// Returns the server's registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the collector of that registry.
    pub fn collector(&self) -> &Collector {
        self.upkeep.collector()
    }

    /// Returns why the registry takes no more writes until a restart; never if it reopens its store by
    /// itself.
    pub async fn gave_up(&self) -> String {
        if self.registry.reopens() {
            future::pending::<()>().await;
        }
        loop {
            if let Some(why) = self.registry.gave_up() {
                return why;
            }
            Timer::after(GAVE_UP_PAUSE).await;
        }
    }

    /// Refuses new connections, lets requests in flight finish within `stop_time_max`, and closes the
    /// registry. Uploads that can be resumed, the verification of the index, the collector, the scrub and
    /// commands end at once.
    pub async fn stop(self) -> Result<(), OpenError> {
        self.stop.trigger();
        self.registry.begin_stop();
        future::zip(self.serving, self.upkeep.stop()).await;
        let closed = self.registry.close().await;
        smol::unblock(move || self.threads.stop()).await;
        closed
    }
}

/// Opens the registry, and logs that it does if that takes a while.
async fn open_told(
    registry: RegistryOptions,
    gate: &Gate,
    addresses: &[BoundAddress],
) -> Result<Registry, StartError> {
    let told = async {
        Timer::after(START_TIME_UNTOLD).await;
        log::info!("{}; until the start is complete, {} answers 503", gate.state(), listen::list(addresses));
        future::pending().await
    };
    future::or(open::open(registry, gate), told).await
}

#[cfg(test)]
mod tests;
