//! A registry with a listener in front of it: what `pulk serve` runs, and what another program can carry
//! inside.

mod options;
mod start_error;
mod threads;

pub use options::ServerOptions;
pub use start_error::StartError;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use smol::{Executor, Task};

use crate::http::App;
use crate::registry::{OpenError, Registry, Storage};
use crate::wire::{Listener, Stop, serve};
use threads::Threads;

/// A running server. It has its own threads, so it does not matter which executor starts or stops it.
///
/// Dropping it stops it without waiting for requests in flight; [`Server::stop`] is the clean way.
#[derive(Debug)]
pub struct Server {
    registry: Registry,
    local_addr: SocketAddr,
    stop: Stop,
    /// Ends when the last connection has.
    serving: Task<()>,
    threads: Threads,
}

impl Server {
    /// Binds the address, opens the registry and begins to serve. After an unclean stop the opening may take
    /// a while.
    pub async fn start(options: ServerOptions) -> Result<Self, StartError> {
        let ServerOptions { listen, registry, http, wire, threads, stop_time_max } = options;
        // Bound first: a port that is taken shall not cost a recovery, nor touch the data directory.
        let listener = Listener::bind(&listen.to_string())
            .map_err(|source| StartError::Listen { address: listen, source })?;
        let local_addr = listener.local_addr();
        let registry = open(registry).await?;

        let executor = Arc::new(Executor::new());
        let threads = Threads::start(&executor, threads).map_err(StartError::Thread)?;
        let app = App::new(registry.clone(), http);
        let stop = Stop::new();
        let respond = move |request| {
            let app = app.clone();
            async move { app.respond(request).await }
        };
        let serving = serve(listener, respond, wire, Arc::clone(&executor), stop.clone(), stop_time_max);
        let serving = executor.spawn(serving);
        Ok(Self { registry, local_addr, stop, serving, threads })
    }

    /// Returns the address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns the registry behind it.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Takes no more connections, lets requests in flight finish within the time that the options give them,
    /// and closes the registry.
    pub async fn stop(self) -> Result<(), OpenError> {
        self.stop.trigger();
        self.serving.await;
        let closed = self.registry.close().await;
        smol::unblock(move || self.threads.stop()).await;
        closed
    }
}

async fn open(options: crate::registry::RegistryOptions) -> Result<Registry, StartError> {
    let folder = match &options.storage {
        Storage::Folder(folder) => folder.clone(),
        Storage::Memory => Path::new("").to_owned(),
    };
    let opened = smol::unblock(move || Registry::open(options)).await;
    opened.map_err(|error| StartError::from_open(&folder, error))
}
