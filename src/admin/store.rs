//! The store that requests are carried out on: a server's, or one that is opened for a single request.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use smol::block_on;

use crate::disk::{Disk, ForeignOwner, RealDisk};
use crate::maintenance::{Collector, CollectorOptions, Scrub, ScrubOptions};
use crate::registry::{Layout, OpenError, Registry, RegistryOptions, examine};

/// Refuses a data directory whose user would be locked out of it by what this one makes in it.
pub(crate) fn check_owner(folder: &Path) -> Result<(), OpenError> {
    ForeignOwner::of(folder).map_or(Ok(()), |found| Err(OpenError::foreign(found)))
}

/// A server that runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Serving {
    /// The address that it listens on.
    pub(crate) address: SocketAddr,
    /// When it was ready.
    pub(crate) since: SystemTime,
}

/// A store and what looks after it.
#[derive(Debug, Clone)]
pub(crate) struct OpenStore {
    /// Its registry.
    pub(crate) registry: Registry,
    /// What takes away what it does not need.
    pub(crate) collector: Collector,
    /// What reads its content again and again.
    pub(crate) scrub: Scrub,
    /// The server that it belongs to, if one runs.
    pub(crate) serving: Option<Serving>,
}

impl OpenStore {
    /// Opens the store in a data directory, as a start would. Fails where there is none, where it is another
    /// user's, or where another process uses it.
    pub(crate) fn open(folder: &Path, options: RegistryOptions) -> Result<Self, OpenError> {
        // INVARIANT: before anything is made: what root makes, the server of another user can't open.
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
