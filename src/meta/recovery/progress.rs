//! The progress of an index rebuild.

use crate::base::lock;
use crate::meta::index::IndexError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

const BYTES_PER_MIB: u64 = 1024 * 1024;

/// The least time between two log lines about the progress.
const LOG_PAUSE: Duration = Duration::from_secs(3);

/// The progress of an index rebuild. Clones share its counters.
#[derive(Debug, Clone, Default)]
pub struct RecoveryProgress {
    counted: Arc<ProgressCounters>,
}

#[derive(Debug, Default)]
struct ProgressCounters {
    /// 0 while no rebuild runs.
    total_bytes: AtomicU64,
    done_bytes: AtomicU64,
    /// Whether the work is to end, for a stop.
    is_interrupted: AtomicBool,
    logged: Mutex<Option<Instant>>,
}

impl RecoveryProgress {
    /// Returns a line that describes the progress while a rebuild runs.
    pub fn line(&self) -> Option<String> {
        let total = self.counted.total_bytes.load(Ordering::Relaxed);
        let done = self.counted.done_bytes.load(Ordering::Relaxed).min(total);
        let mib = |bytes: u64| bytes.div_ceil(BYTES_PER_MIB);
        (total > 0).then(|| format!("rebuilding the index: {} of {} MiB", mib(done), mib(total)))
    }

    /// Begins a rebuild that reads `total_bytes`.
    pub(in crate::meta) fn begin(&self, total_bytes: u64) {
        self.counted.done_bytes.store(0, Ordering::Relaxed);
        self.counted.total_bytes.store(total_bytes.max(1), Ordering::Relaxed);
        *self.logged() = Some(Instant::now());
    }

    /// Adds `bytes` to the bytes read, and logs the progress from time to time.
    pub(in crate::meta) fn advance(&self, bytes: u64) {
        self.counted.done_bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut logged = self.logged();
        if logged.is_some_and(|at| at.elapsed() >= LOG_PAUSE)
            && let Some(line) = self.line()
        {
            log::info!("{line}");
            *logged = Some(Instant::now());
        }
    }

    /// The same, as a step of work. Fails with [`IndexError::Closed`] once that is interrupted.
    pub(in crate::meta) fn note(&self, bytes: u64) -> Result<(), IndexError> {
        self.advance(bytes);
        if self.counted.is_interrupted.load(Ordering::Relaxed) { Err(IndexError::Closed) } else { Ok(()) }
    }

    /// Has rebuilds end at their next step, until [`Self::resume`].
    ///
    /// INVARIANT: nothing durable changes before a rebuild is complete, so the next start repeats it.
    pub(in crate::meta) fn interrupt(&self) {
        self.counted.is_interrupted.store(true, Ordering::Relaxed);
    }

    /// Lets rebuilds run again.
    pub(in crate::meta) fn resume(&self) {
        self.counted.is_interrupted.store(false, Ordering::Relaxed);
    }

    /// Ends the rebuild.
    pub(in crate::meta) fn end(&self) {
        self.counted.total_bytes.store(0, Ordering::Relaxed);
        *self.logged() = None;
    }

    fn logged(&self) -> MutexGuard<'_, Option<Instant>> {
        lock(&self.counted.logged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_how_far_it_has_come_from_its_beginning_to_its_end() {
        let progress = RecoveryProgress::default();
        assert_eq!(progress.line(), None);
        progress.begin(10 * BYTES_PER_MIB);
        assert_eq!(progress.line().unwrap(), "rebuilding the index: 0 of 10 MiB");
        progress.advance(4 * BYTES_PER_MIB);
        assert_eq!(progress.clone().line().unwrap(), "rebuilding the index: 4 of 10 MiB");
        progress.advance(100 * BYTES_PER_MIB);
        assert_eq!(progress.line().unwrap(), "rebuilding the index: 10 of 10 MiB");
        progress.end();
        assert_eq!(progress.line(), None);
    }
}
