//! The space that is left on a disk, and the part of it that is kept free.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::base::lock;

use super::Disk;

/// How old a measurement may be, since others write to the same filesystem.
const MEASURED_AGE_MAX: Duration = Duration::from_secs(1);

/// After so many bytes that were claimed the disk is measured anew, since files take more than their bytes.
const CLAIMED_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// The free space of a disk, of which so much is kept for what makes space and for recovery.
///
/// The disk is asked once a second, or once in some MiB, not at every write. Only before something is refused
/// is it always asked, so that space that was made is noticed at once.
pub struct FreeSpace {
    disk: Arc<dyn Disk>,
    reserve_bytes: u64,
    measured: Mutex<Measured>,
}

#[derive(Debug, Default)]
struct Measured {
    at: Option<Instant>,
    /// `None` where the disk has no limit, or does not tell.
    free: Option<u64>,
    /// What was written since then.
    claimed: u64,
    /// What is being written now: a measurement may or may not have seen it.
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

/// Space that is being written to. Counts against what is free until it is dropped, after the write.
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
    /// Watches a disk of which `reserve_bytes` are kept free.
    pub fn new(disk: Arc<dyn Disk>, reserve_bytes: u64) -> Self {
        Self { disk, reserve_bytes, measured: Mutex::default() }
    }

    /// Claims space for a write, if as much as is to be kept free is left then.
    pub fn claim(&self, bytes: u64) -> Option<Claim<'_>> {
        let mut measured = self.measured();
        if !self.fits(&mut measured, bytes) {
            return None;
        }
        measured.in_flight = measured.in_flight.saturating_add(bytes);
        Some(Claim { space: self, bytes })
    }

    /// Tells whether there is room for so many bytes, without claiming it.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.fits(&mut self.measured(), bytes)
    }

    /// Returns the bytes that are free, the reserve among them, or `None` where there is no limit.
    pub fn free_bytes(&self) -> Option<u64> {
        let mut measured = self.measured();
        if measured.is_stale() {
            self.measure(&mut measured);
        }
        measured.free.map(|free| free.saturating_sub(measured.claimed))
    }

    /// Has the next one who asks measure the disk, as if time had passed.
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
            // Then only the writes themselves can tell.
            log::warn!("{error}");
            None
        });
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
        let taken = self.claimed.saturating_add(self.in_flight).saturating_add(bytes);
        // Without a reserve nothing is refused ahead: the write itself tells.
        reserve_bytes == 0 || self.free.is_none_or(|free| free >= reserve_bytes.saturating_add(taken))
    }
}
