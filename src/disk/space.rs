//! Free space on a disk, and the reserve in it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::base::lock;

use super::Disk;

/// How old a measurement may be, since other processes write to the same filesystem.
const MEASURED_AGE_MAX: Duration = Duration::from_secs(1);

/// The disk is measured again after this many claimed bytes, since files take more than their bytes.
const CLAIMED_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// How many files pushes leave to be created: by the journal, checkpoints, the index, and deletes, which need
/// the journal.
const RESERVED_FILES: u64 = 64;

/// The free space of a disk, of which `reserve_bytes` are reserved for work that frees space and for
/// recovery.
///
/// The disk is measured once a second or once per `CLAIMED_MAX_BYTES`, not at every write. A claim is refused
/// only after a new measurement, so that freed space is noticed at once.
pub struct FreeSpace {
    disk: Arc<dyn Disk>,
    reserve_bytes: u64,
    measured: Mutex<Measured>,
}

#[derive(Debug, Default)]
struct Measured {
    at: Option<Instant>,
    /// `None` if the disk has no limit or does not report it.
    free: Option<u64>,
    /// How many files can still be created, likewise.
    files: Option<u64>,
    /// The bytes written since the measurement.
    claimed: u64,
    /// The bytes being written now: a measurement may or may not include them.
    in_flight: u64,
}

impl std::fmt::Debug for FreeSpace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("FreeSpace")
            .field("reserve_bytes", &self.reserve_bytes)
            .finish_non_exhaustive()
    }
}

/// Space for a write in progress. It reduces the free space until it is dropped, after the write.
#[derive(Debug)]
pub struct Claim<'a> {
    space: &'a FreeSpace,
    bytes: u64,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut measured = self.space.measured();
        measured.in_flight = measured.in_flight.saturating_sub(self.bytes);
        measured.claimed = measured.claimed.saturating_add(self.bytes);
    }
}

impl FreeSpace {
    /// Watches a disk and keeps `reserve_bytes` of it free.
    pub fn new(disk: Arc<dyn Disk>, reserve_bytes: u64) -> Self {
        Self { disk, reserve_bytes, measured: Mutex::default() }
    }

    /// Claims space for a write, if the write leaves the reserve free.
    pub fn claim(&self, bytes: u64) -> Option<Claim<'_>> {
        let mut measured = self.measured();
        if !self.fits(&mut measured, bytes) {
            return None;
        }
        measured.in_flight = measured.in_flight.saturating_add(bytes);
        Some(Claim { space: self, bytes })
    }

    /// Tells whether the disk has room for `bytes` more, without claiming them.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.fits(&mut self.measured(), bytes)
    }

    /// Tells whether it is files, not bytes, that the disk has no room for. A filesystem that makes inodes as
    /// they are needed, such as XFS, can make few where bytes are few: there, the bytes are what lacks.
    pub fn lacks_files(&self) -> bool {
        let mut measured = self.measured();
        if measured.is_stale() {
            self.measure(&mut measured);
        }
        !measured.has_files(self.reserve_bytes) && measured.has_bytes(self.reserve_bytes, 0)
    }

    /// Returns how many files can still be created, including those reserved, or `None` without a limit.
    pub fn free_files(&self) -> Option<u64> {
        let mut measured = self.measured();
        if measured.is_stale() {
            self.measure(&mut measured);
        }
        measured.files
    }

    /// Returns the free bytes beyond the reserve and what is being written, newly measured, or `None` without
    /// a limit.
    pub fn room_bytes(&self) -> Option<u64> {
        let mut measured = self.measured();
        self.measure(&mut measured);
        measured.free.map(|free| free.saturating_sub(self.reserve_bytes).saturating_sub(measured.in_flight))
    }

    /// Returns the free bytes, including the reserve, or `None` without a limit.
    pub fn free_bytes(&self) -> Option<u64> {
        let mut measured = self.measured();
        if measured.is_stale() {
            self.measure(&mut measured);
        }
        measured.free.map(|free| free.saturating_sub(measured.claimed))
    }

    /// Forces a measurement at the next query, as if time had passed.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        self.measured().at = None;
    }

    fn fits(&self, measured: &mut Measured, bytes: u64) -> bool {
        if !measured.is_stale() && measured.leaves(self.reserve_bytes, bytes) {
            return true;
        }
        self.measure(measured);
        measured.leaves(self.reserve_bytes, bytes)
    }

    fn measure(&self, measured: &mut Measured) {
        measured.free = self.disk.free_bytes().unwrap_or_else(|error| {
            // Without a measurement, only a failing write shows that the disk is full.
            log::warn!("{error}");
            None
        });
        measured.files = self.disk.free_files().unwrap_or_default();
        measured.at = Some(Instant::now());
        measured.claimed = 0;
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        lock(&self.measured)
    }
}

impl Measured {
    fn is_stale(&self) -> bool {
        self.claimed >= CLAIMED_MAX_BYTES || self.at.is_none_or(|at| at.elapsed() >= MEASURED_AGE_MAX)
    }

    fn leaves(&self, reserve_bytes: u64, bytes: u64) -> bool {
        // Without a reserve, claims always succeed: the write itself reports a full disk.
        reserve_bytes == 0 || (self.has_bytes(reserve_bytes, bytes) && self.has_files(reserve_bytes))
    }

    fn has_bytes(&self, reserve_bytes: u64, bytes: u64) -> bool {
        let taken = self.claimed.saturating_add(self.in_flight).saturating_add(bytes);
        self.free.is_none_or(|free| free >= reserve_bytes.saturating_add(taken))
    }

    fn has_files(&self, reserve_bytes: u64) -> bool {
        reserve_bytes == 0 || self.files.is_none_or(|files| files >= RESERVED_FILES)
    }
}
