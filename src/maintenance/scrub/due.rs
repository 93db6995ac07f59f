//! When a pass is due.

use std::time::Duration;

use crate::base::millis;

/// How far the end of a pass may lie in the future, after the clock was set back, to be accepted.
const AHEAD_MAX_MS: u64 = 60 * 60 * 1000;

/// Returns when a pass is due after one that ended then, in milliseconds since 1970.
pub(super) fn due_ms(ended_ms: u64, interval: Duration, now_ms: u64) -> u64 {
    // The end lies in the future: the clock was or is wrong.
    if ended_ms.saturating_sub(now_ms) > AHEAD_MAX_MS {
        return now_ms;
    }
    ended_ms.saturating_add(millis(interval))
}
