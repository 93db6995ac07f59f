//! Reading what a client is going to rely on.

use crate::registry::Registry;
use crate::registry::error::RegistryError;

impl Registry {
    /// Reads what a client is to learn of, and leases it. Returns `None` while it is being removed.
    pub(super) fn read_leased<T>(
        &self,
        read: impl Fn() -> Result<T, RegistryError>,
        lease: impl FnOnce(&T) -> bool,
    ) -> Result<Option<T>, RegistryError> {
        let changes = self.inner.meta.changes();
        let found = read()?;
        #[cfg(test)]
        self.inner.options.between_looks.call();
        if !lease(&found) {
            return Ok(None);
        }
        // INVARIANT: take the lease before answering that it exists, then read the index again: the first
        // read may predate a sweep. A sweep that ended before the lease was taken is among the changes.
        if self.inner.meta.changes() == changes { Ok(Some(found)) } else { read().map(Some) }
    }
}
