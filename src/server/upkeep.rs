//! What looks after a server's registry, and what the command line reaches it by.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use smol::Executor;
use smol::future::zip;

use crate::admin::{OpenStore, Serving};
use crate::control::ControlServer;
use crate::maintenance::{Collector, CollectorOptions, Scrub, ScrubOptions};
use crate::registry::Registry;
use crate::server::StartError;

/// What looks after a registry in the background. Dropping it ends that.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// Dropped first: its requests use the others.
    control: Option<ControlServer>,
    collector: Collector,
    scrub: Scrub,
}

impl Upkeep {
    /// Begins to collect what a registry does not need and, where it is kept on a medium that may fail, to
    /// read what it has.
    pub(super) fn start(
        registry: &Registry,
        collector: CollectorOptions,
        scrub: ScrubOptions,
        on_medium: bool,
    ) -> Result<Self, StartError> {
        let collector = Collector::new(registry, collector);
        collector.start().map_err(|error| StartError::Thread(io::Error::other(error)))?;
        let scrub = Scrub::new(registry, scrub);
        if on_medium {
            scrub.start().map_err(StartError::Thread)?;
        }
        Ok(Self { control: None, collector, scrub })
    }

    /// Makes the control socket. A server without one serves all the same.
    pub(super) fn listen(
        &mut self,
        data: &Path,
        registry: &Registry,
        address: SocketAddr,
        executor: &Arc<Executor<'static>>,
    ) {
        let store = OpenStore {
            registry: registry.clone(),
            collector: self.collector.clone(),
            scrub: self.scrub.clone(),
            serving: Some(Serving { address, since: SystemTime::now() }),
        };
        match ControlServer::start(data, store, executor) {
            Ok(control) => self.control = Some(control),
            Err(error) => {
                log::warn!(
                    "commands can't reach this server: no control.sock in {}: {error}",
                    data.display()
                );
            }
        }
    }

    /// Returns the collector.
    pub(super) fn collector(&self) -> &Collector {
        &self.collector
    }

    /// Ends all of it at the next step, and waits for that.
    pub(super) async fn stop(self) {
        let Self { control, collector, scrub } = self;
        // At once, for they wait for each other: a command may have a pass run, which only the collector
        // ends.
        let commands = async {
            if let Some(control) = control {
                control.stop().await;
            }
        };
        let work = smol::unblock(move || {
            collector.stop();
            scrub.stop();
        });
        zip(commands, work).await;
    }
}
