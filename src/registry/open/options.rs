//! What a registry is opened with.

use std::path::PathBuf;
use std::time::Duration;

use crate::blobs::{CARRIED_MAX_BYTES, DURABLE_STEP_BYTES};
use crate::meta::{HISTORY_MAX_BYTES, OnSyncFailure, Policies, RecoveryProgress, WORTHWHILE_MIN_BYTES};
use crate::spec::MANIFEST_SIZE_MAX_BYTES;

/// Where a registry stores its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In memory, gone with the registry.
    Memory,
    /// In a data directory, which is created if it is missing.
    Folder(PathBuf),
}

/// How long an upload may be idle before it is given up.
pub const UPLOAD_IDLE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How many uploads may have begun and not ended.
pub const UPLOAD_SESSIONS_MAX: usize = 1024;

/// How many idle uploads keep their files open until the bytes in them are durable. The server keeps this
/// many descriptors free.
const UPLOAD_FILES_IDLE_MAX: usize = 64;

/// How much of the disk is kept free of pushes.
pub const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

/// Whether small content rides in the journal's line. What earlier runs put there is read in any case.
const PUSHES_CARRY_CONTENT: bool = true;

/// How long content that a client learned of is kept from collection.
pub const LEASE: Duration = Duration::from_secs(15 * 60);

/// How old unreferenced content must be before it may be collected.
pub const GRACE: Duration = Duration::from_secs(60 * 60);

/// How long the history of tags is kept.
pub const HISTORY_KEEP: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Which policies are in force, and which the store remembers for commands that find no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PolicyMemory {
    /// Those of the options are in force, and the store remembers them.
    #[default]
    Write,
    /// Those of the options are in force; the store remembers what it did.
    Ignore,
    /// Those that the store remembers are in force.
    Read,
}

/// What a registry is opened with.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// Where it stores its data.
    pub storage: Storage,
    /// Whether it accepts an index whose children it does not have.
    pub sparse_indexes: bool,
    /// The largest manifest it accepts, in bytes.
    pub manifest_size_max_bytes: u64,
    /// How long an upload may be idle before it is given up.
    pub upload_idle_max: Duration,
    /// How many uploads may have begun and not ended.
    pub upload_sessions_max: usize,
    /// How many idle uploads may keep their files open.
    pub(crate) upload_files_idle_max: usize,
    /// How many bytes an upload receives before they are made durable.
    pub(crate) upload_durable_step_bytes: u64,
    /// The length of the longest content that rides in the journal's line, in bytes.
    pub(crate) carried_max_bytes: usize,
    /// The least size of the index's files at which they are considered for compaction, in bytes.
    pub(crate) index_worthwhile_bytes: u64,
    /// Whether blocking work runs at once, on the caller's own thread.
    #[cfg(test)]
    pub(crate) blocks_inline: bool,
    /// Called once between the two index reads of a lookup.
    #[cfg(test)]
    pub(crate) between_looks: crate::registry::tests::Hook,
    /// The failures of the disk.
    #[cfg(test)]
    pub(crate) faults: Option<std::sync::Arc<crate::disk::faulty::Faults>>,
    /// How many bytes of the disk are kept free of pushes, for deletes and for recovery; 0 keeps none.
    pub reserve_bytes: u64,
    /// How long content that a client learned of, or pushed, is kept from collection although nothing
    /// references it.
    pub lease: Duration,
    /// How old unreferenced content must be before it may be collected.
    pub grace: Duration,
    /// Per repository: what is kept, what may not change, and how much fits.
    pub policies: Policies,
    /// Whether these policies are in force or those that the store remembers, and whether it remembers these.
    pub policy_memory: PolicyMemory,
    /// Whether the journal notes the address, the request id and the `User-Agent` of the client that asked
    /// for a change.
    pub journal_clients: bool,
    /// The most bytes of journal files that are kept as history, although no recovery needs them.
    pub journal_history_bytes: u64,
    /// How long the history of tags is kept.
    pub history_keep: Duration,
    /// What happens after a failed sync.
    pub on_sync_failure: OnSyncFailure,
    /// Reports how far a recovery has come, while the registry is opened and later.
    pub progress: RecoveryProgress,
}

impl RegistryOptions {
    /// Returns the defaults for a storage.
    pub fn new(storage: Storage) -> Self {
        Self {
            storage,
            sparse_indexes: false,
            manifest_size_max_bytes: MANIFEST_SIZE_MAX_BYTES,
            upload_idle_max: UPLOAD_IDLE_MAX,
            upload_sessions_max: UPLOAD_SESSIONS_MAX,
            upload_files_idle_max: UPLOAD_FILES_IDLE_MAX,
            upload_durable_step_bytes: DURABLE_STEP_BYTES,
            carried_max_bytes: if PUSHES_CARRY_CONTENT { CARRIED_MAX_BYTES } else { 0 },
            index_worthwhile_bytes: WORTHWHILE_MIN_BYTES,
            #[cfg(test)]
            blocks_inline: false,
            #[cfg(test)]
            between_looks: Default::default(),
            #[cfg(test)]
            faults: None,
            reserve_bytes: RESERVE_BYTES,
            lease: LEASE,
            grace: GRACE,
            policies: Policies::default(),
            policy_memory: PolicyMemory::default(),
            journal_clients: true,
            journal_history_bytes: HISTORY_MAX_BYTES,
            history_keep: HISTORY_KEEP,
            on_sync_failure: OnSyncFailure::default(),
            progress: RecoveryProgress::default(),
        }
    }
}
