//! The count of log lines that were dropped. There is one log in a process.

use std::sync::atomic::{AtomicU64, Ordering};

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Counts a log line that was dropped.
pub(crate) fn count_dropped_log_line() {
    DROPPED.fetch_add(1, Ordering::Relaxed);
}

/// Returns how many log lines were dropped since the start.
pub(crate) fn dropped_log_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}
