//! How a store and its server are.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::admin::du::survey;
use crate::admin::failure::Failure;
use crate::admin::report::{ServerStatus, StatusReport};
use crate::admin::sink::Sink;
use crate::admin::store::{Serving, Store};

/// Says how a store and its server are.
pub(super) fn status(store: &Store, sink: &mut dyn Sink) -> Result<StatusReport, Failure> {
    let repositories = survey(&store.registry, sink)?.totals;
    let totals = store.registry.totals();
    let health = store.registry.health();
    Ok(StatusReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        server: store.serving.map(server_status),
        ready: health.ready,
        reasons: health.reasons,
        blobs: totals.blobs,
        blob_bytes: totals.blob_bytes,
        repositories,
        saved_bytes: repositories.bytes - repositories.distinct_bytes,
        // Pushes go on while it is counted.
        unlinked_bytes: totals.blob_bytes.saturating_sub(repositories.distinct_bytes),
        index_bytes: totals.index_bytes,
        collector: store.collector.status(),
        scrub: store.scrub.status()?,
        uploads: totals.uploads,
        free_bytes: totals.free_bytes,
        reserve_bytes: store.registry.reserve_bytes(),
    })
}

fn server_status(serving: Serving) -> ServerStatus {
    ServerStatus {
        pid: std::process::id(),
        address: serving.address.to_string(),
        since: milliseconds(serving.since),
    }
}

/// Returns a time in milliseconds since 1970.
fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
