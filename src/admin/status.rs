//! How a store and its server are.

use serde::{Deserialize, Serialize};

use crate::admin::ask::Ask;
use crate::admin::damage::damage;
use crate::admin::du::{StoreUsage, survey};
use crate::admin::error::AdminError;
use crate::admin::sink::AnswerSink;
use crate::admin::store::{OpenStore, Serving};
use crate::base::unix_ms;
use crate::maintenance::{CollectorStatus, ScrubStatus};
use crate::registry::DamageState;

/// Asks what is stored, what sharing saves, and how the server is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StatusRequest {
    /// Whether all damaged images are listed.
    #[serde(default)]
    pub(crate) all: bool,
}

/// How a store and its server are doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StatusReport {
    /// The version of the pulk that answers.
    pub(crate) version: String,
    /// The server, if one runs.
    pub(crate) server: Option<ServerStatus>,
    /// Whether it is ready.
    pub(crate) ready: bool,
    /// Why it is not ready.
    pub(crate) reasons: Vec<String>,
    /// What is damaged until it is pushed again or removed.
    #[serde(default)]
    pub(crate) damage: DamageState,
    /// Whether the filesystem is read-only.
    #[serde(default)]
    pub(crate) read_only: bool,
    /// Pieces of content, manifests among them.
    pub(crate) blobs: u64,
    /// Their bytes.
    pub(crate) blob_bytes: u64,
    /// What the repositories have.
    pub(crate) repositories: StoreUsage,
    /// Bytes that are not stored because repositories share content.
    pub(crate) saved_bytes: u64,
    /// Bytes of content that no repository has.
    pub(crate) unlinked_bytes: u64,
    /// Bytes of the index's files.
    #[serde(default)]
    pub(crate) index_bytes: u64,
    /// The state of the collector.
    pub(crate) collector: CollectorStatus,
    /// The state of the scrub.
    pub(crate) scrub: ScrubStatus,
    /// Unfinished uploads.
    pub(crate) uploads: u64,
    /// Bytes that are free on the disk.
    pub(crate) free_bytes: Option<u64>,
    /// How many files can still be created on the disk.
    pub(crate) free_files: Option<u64>,
    /// The part of the free bytes that pushes leave free.
    pub(crate) reserve_bytes: u64,
}

/// A running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerStatus {
    /// Its process.
    pub(crate) pid: u32,
    /// The addresses that it listens on.
    pub(crate) addresses: Vec<String>,
    /// When it was ready, in milliseconds since 1970.
    pub(crate) since: u64,
}

impl Ask for StatusRequest {
    type Item = ();
    type Report = StatusReport;

    fn perform(&self, store: &OpenStore, sink: &mut dyn AnswerSink) -> Result<StatusReport, AdminError> {
        status(store, self.all, sink)
    }
}

fn status(store: &OpenStore, all: bool, sink: &mut dyn AnswerSink) -> Result<StatusReport, AdminError> {
    let repositories = survey(&store.registry, sink)?.totals;
    let damage = damage(&store.registry, all, sink)?;
    let totals = store.registry.totals();
    let health = store.registry.health();
    Ok(StatusReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        server: store.serving.as_ref().map(server_status),
        ready: health.ready,
        reasons: health.reasons,
        damage,
        read_only: totals.read_only,
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
        free_files: totals.free_files,
        reserve_bytes: store.registry.reserve_bytes(),
    })
}

fn server_status(serving: &Serving) -> ServerStatus {
    ServerStatus {
        pid: std::process::id(),
        addresses: serving.addresses.clone(),
        since: unix_ms(serving.since),
    }
}
