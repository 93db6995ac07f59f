//! Background work on a server's registry, and its control socket.

use std::io;
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
use crate::wire::BoundAddress;

/// Background work on a registry. Dropping it ends the work.
#[derive(Debug)]
pub(super) struct ServerUpkeep {
    /// Dropped first: its requests use the others.
    control: Option<ControlServer>,
    collector: Collector,
    scrub: Scrub,
}

impl ServerUpkeep {
    /// Starts the collector and, for a store on a medium that may fail, the scrub. Neither can work on a
    /// read-only filesystem.
    pub(super) fn start(
        registry: &Registry,
        collector: CollectorOptions,
        scrub: ScrubOptions,
        on_medium: bool,
    ) -> Result<Self, StartError> {
        let collector = Collector::new(registry, collector);
        let scrub = Scrub::new(registry, scrub);
        if registry.is_read_only() {
            return Ok(Self { control: None, collector, scrub });
        }
        collector.start().map_err(|error| StartError::Thread(io::Error::other(error)))?;
        if on_medium {
            scrub.start().map_err(StartError::Thread)?;
        }
        Ok(Self { control: None, collector, scrub })
    }

    /// Creates the control socket. A server without one still serves.
    pub(super) fn listen(
        &mut self,
        (data, socket): (&Path, &Path),
        registry: &Registry,
        addresses: &[BoundAddress],
        executor: &Arc<Executor<'static>>,
    ) {
        let addresses = addresses.iter().map(ToString::to_string).collect();
        let store = OpenStore {
            registry: registry.clone(),
            collector: self.collector.clone(),
            scrub: self.scrub.clone(),
            serving: Some(Serving { addresses, since: SystemTime::now() }),
        };
        match ControlServer::start(data, socket, store, executor) {
            Ok(control) => self.control = Some(control),
            Err(error) => {
                log::warn!(
                    "commands can't reach this server: cannot make {}: {error}; set control_socket to a path \
                     where sockets are possible",
                    socket.display()
                );
            }
        }
    }

    /// Returns the collector.
    pub(super) fn collector(&self) -> &Collector {
        &self.collector
    }

    /// Stops all of it at the next step, and waits for the end.
    pub(super) async fn stop(self) {
        let Self { control, collector, scrub } = self;
        // Stop them together, since they wait for each other: a command may wait for a pass, which only the
        // collector ends.
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
