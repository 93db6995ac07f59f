//! Opens the registry of a server, even if a command has the store open at that moment.

use std::path::Path;
use std::time::{Duration, Instant};

use smol::Timer;

use crate::disk::{ForeignOwner, LockError};
use crate::registry::{OpenError, Registry, RegistryOptions, Storage};
use crate::server::StartError;
use crate::server::gate::Gate;

/// How long a start waits for a data directory that another process uses: a command, or a server that is
/// stopping, releases it soon.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);

/// The pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Opens the registry. Meanwhile the gate reports what the start waits for.
pub(super) async fn open(options: RegistryOptions, gate: &Gate) -> Result<Registry, StartError> {
    let folder = match &options.storage {
        Storage::Folder(folder) => folder.clone(),
        Storage::Memory => return opened(Path::new(""), Registry::open(options)),
    };
    let (began, mut told) = (Instant::now(), false);
    loop {
        let (tried, at) = (options.clone(), folder.clone());
        match smol::unblock(move || open_folder(&at, tried)).await {
            Err(OpenError::Lock(LockError::Held { pid, .. })) if began.elapsed() < LOCK_WAIT_MAX => {
                let waiting = gate.wait_for(pid);
                if !std::mem::replace(&mut told, true) {
                    log::warn!("{}, for at most {} s", gate.state(), LOCK_WAIT_MAX.as_secs());
                }
                Timer::after(LOCK_PAUSE).await;
                drop(waiting);
            }
            done => return opened(&folder, done),
        }
    }
}

fn open_folder(folder: &Path, options: RegistryOptions) -> Result<Registry, OpenError> {
    // A directory without a store, such as a new volume, is taken over by the user that serves it.
    match ForeignOwner::of(folder).filter(|found| found.has_journal) {
        Some(found) => Err(OpenError::foreign(found)),
        None => Registry::open(options),
    }
}

fn opened(folder: &Path, opened: Result<Registry, OpenError>) -> Result<Registry, StartError> {
    let registry = opened.map_err(|error| StartError::from_open(folder, error))?;
    if let Some(why) = registry.lack_of_room().filter(|_| !registry.is_read_only()) {
        log::warn!("{why}");
    }
    Ok(registry)
}
