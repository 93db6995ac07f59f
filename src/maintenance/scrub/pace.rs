//! How fast a scrub may read.

use std::time::{Duration, Instant};

/// How much delay a scrub may catch up on.
const CATCH_UP_MAX: Duration = Duration::from_millis(200);

/// Limits the read rate over any longer time.
#[derive(Debug)]
pub(super) struct Pace {
    rate_bytes: u64,
    due: Instant,
}

impl Pace {
    /// Makes one for a rate in bytes a second.
    pub(super) fn new(rate_bytes: u64, now: Instant) -> Self {
        Self { rate_bytes: rate_bytes.max(1), due: now }
    }

    /// Returns how long to rest after `bytes` were read.
    pub(super) fn rest(&mut self, bytes: u64, now: Instant) -> Duration {
        let earliest = now.checked_sub(CATCH_UP_MAX).unwrap_or(now);
        self.due = self.due.max(earliest) + Duration::from_secs_f64(bytes as f64 / self.rate_bytes as f64);
        self.due.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_and_little_is_caught_up_on() {
        let begun = Instant::now();
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(1000, begun);
        assert_eq!(pace.rest(500, begun), second / 2);
        assert_eq!(pace.rest(500, begun + second / 4), second * 3 / 4);
        // After a long delay, only `CATCH_UP_MAX` of it is caught up on.
        assert_eq!(pace.rest(1000, begun + second * 100), second - CATCH_UP_MAX);
    }
}
