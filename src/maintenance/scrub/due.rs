//! When a pass is due.

use std::time::Duration;

use crate::base::millis;

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
