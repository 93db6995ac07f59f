//! What a registry is opened with.

use std::path::PathBuf;
use std::time::Duration;

use crate::blobs::DURABLE_STEP_BYTES;
use crate::meta::{Policies, RecoveryProgress, WORTHWHILE_MIN_BYTES};
use crate::spec::MANIFEST_SIZE_MAX_BYTES;

/// Where a registry keeps what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In memory, gone with the registry.
    Memory,
    /// In a data directory, which is made when it is not there.
    Folder(PathBuf),
}

/// How long an upload may be idle before it is given up.
pub const UPLOAD_IDLE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How many uploads may have begun and not ended.
pub const UPLOAD_SESSIONS_MAX: usize = 1024;

/// How much of the disk is kept free of pushes.
pub const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

/// How long what a client was told of is kept from being collected.
pub const LEASE: Duration = Duration::from_secs(15 * 60);

/// How old what nothing needs must be before it may be collected.
pub const GRACE: Duration = Duration::from_secs(60 * 60);

/// What a registry is opened with.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// Where it keeps what it has.
    pub storage: Storage,
    /// Whether it takes an index whose children it does not have.
    pub sparse_indexes: bool,
    /// The largest manifest it takes, in bytes.
    pub manifest_size_max_bytes: u64,
    /// How long an upload may be idle before it is given up.
    pub upload_idle_max: Duration,
    /// How many uploads may have begun and not ended.
    pub upload_sessions_max: usize,
    /// After so many bytes an upload is made durable as far as it has come.
    pub(crate) upload_durable_step_bytes: u64,
    /// The least size of the index's files at which they are looked at, in bytes.
    pub(crate) index_worthwhile_bytes: u64,
    /// Whether what may block does so at once, on the caller's own thread.
    #[cfg(test)]
    pub(crate) blocks_inline: bool,
    /// Called once between the two times that somebody who asks for something looks for it.
    #[cfg(test)]
    pub(crate) between_looks: crate::registry::tests::Hook,
    /// How many bytes of the disk are kept free of pushes, for deletes and for recovery; 0 keeps none.
    pub reserve_bytes: u64,
    /// How long what a client was told of, or pushed, is kept from being collected, although nothing needs
    /// it.
    pub lease: Duration,
    /// How old what nothing needs must be before it may be collected.
    pub grace: Duration,
    /// What is kept of repositories, what may not change in them, and how much fits.
    pub policies: Policies,
    /// Tells, while the registry is opened and later, how far a recovery has come.
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
            upload_durable_step_bytes: DURABLE_STEP_BYTES,
            index_worthwhile_bytes: WORTHWHILE_MIN_BYTES,
            #[cfg(test)]
            blocks_inline: false,
            #[cfg(test)]
            between_looks: Default::default(),
            reserve_bytes: RESERVE_BYTES,
            lease: LEASE,
            grace: GRACE,
            policies: Policies::default(),
            progress: RecoveryProgress::default(),
        }
    }
}
