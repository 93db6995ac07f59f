//! Binds what a server listens on, and warns of what is open to others.

use crate::server::StartError;
use crate::wire::{BoundAddress, ListenAddress, Listener};

/// Binds all addresses, or none.
pub(super) fn bind(addresses: Vec<ListenAddress>) -> Result<Vec<Listener>, StartError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        listeners.extend(Listener::bind(&address).map_err(|source| StartError::Listen { address, source })?);
    }
    Ok(listeners)
}

/// Warns of addresses that other machines can reach: there is no login, and no encryption.
pub(super) fn warn_of_open_addresses(addresses: &[BoundAddress]) {
    let open: Vec<_> = addresses.iter().filter(|address| address.is_beyond_this_machine()).cloned().collect();
    if !open.is_empty() {
        log::warn!(
            "{} can be reached from other machines: all of them can push and delete, since there is no \
             login, and what is sent can be read on its way, since there is no TLS",
            list(&open)
        );
    }
}

/// Writes addresses for people.
pub(crate) fn list(addresses: &[BoundAddress]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
