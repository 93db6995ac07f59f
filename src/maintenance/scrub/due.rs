//! When a pass is due.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far the clock may have been set back, since a pass ended, for its end to be believed.
const AHEAD_MAX_MS: u64 = 60 * 60 * 1000;

/// Returns when a pass is due after one that ended then, in milliseconds since 1970.
pub(super) fn due_ms(ended_ms: u64, interval: Duration, now_ms: u64) -> u64 {
    // One that ended in the future ended nobody knows when: a clock was wrong, or is.
    if ended_ms.saturating_sub(now_ms) > AHEAD_MAX_MS {
        return now_ms;
    }
    ended_ms.saturating_add(millis(interval))
}

/// Returns what the clock says, in milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
