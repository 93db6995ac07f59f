//! The store that requests work on: that of a server, or one opened for a single request.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use smol::block_on;

use crate::disk::{Disk, ForeignOwner, RealDisk};
use crate::maintenance::{Collector, CollectorOptions, Scrub, ScrubOptions};
use crate::registry::{Layout, OpenError, Registry, RegistryOptions, examine};

/// Refuses a data directory of another user: that user could not open files created in it now.
pub(crate) fn check_owner(folder: &Path) -> Result<(), OpenError> {
    ForeignOwner::of(folder).map_or(Ok(()), |found| Err(OpenError::foreign(found)))
}

/// A running server.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    /// The addresses that it listens on.
    pub(crate) addresses: Vec<String>,
    /// When it was ready.
    pub(crate) since: SystemTime,
}

/// An open store with its collector and scrub.
#[derive(Debug, Clone)]
pub(crate) struct OpenStore {
    /// Its registry.
    pub(crate) registry: Registry,
    /// Its collector.
    pub(crate) collector: Collector,
    /// Its scrub.
    pub(crate) scrub: Scrub,
    /// The server that it belongs to, if any.
    pub(crate) serving: Option<Serving>,
}

impl OpenStore {
    /// Opens the store in a data directory, as a start would. Fails where there is none, where it is another
    /// user's, or where another process uses it.
    pub(crate) fn open(folder: &Path, options: RegistryOptions) -> Result<Self, OpenError> {
        // INVARIANT: checked before anything is created: the server of another user cannot open what root
        // creates.
        check_owner(folder)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder)?);
        if examine(&disk)? == Layout::New {
            return Err(OpenError::NoStore);
        }
        let registry = Registry::open(options)?;
        let scrub = Scrub::new(&registry, ScrubOptions { enabled: false, ..ScrubOptions::default() });
        let collector = Collector::new(&registry, CollectorOptions::default());
        Ok(Self { registry, collector, scrub, serving: None })
    }

    /// Closes a store that was opened for a request.
    pub(crate) fn close(self) -> Result<(), OpenError> {
        block_on(self.registry.close())
    }
}
