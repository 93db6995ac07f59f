//! Listing repositories.

use crate::admin::du::{RepositoryUsage, StoreUsage, survey};
use crate::admin::failure::Failure;
use crate::admin::sink::{Sink, send_item};
use crate::registry::Registry;

/// Sends the repositories, in the order of their names, and returns the sum of what they have.
pub(super) fn repositories(registry: &Registry, sink: &mut dyn Sink) -> Result<StoreUsage, Failure> {
    let found = survey(registry, sink)?;
    for repository in found.repositories {
        send_item(sink, &RepositoryUsage { unique_bytes: None, ..repository })?;
    }
    Ok(found.totals)
}
