//! Times as they are stored and sent: whole milliseconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns a duration in whole milliseconds; the largest number for one that exceeds it.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns a time in milliseconds since 1970; 0 for one before that.
pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Returns the system's clock, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    unix_ms(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_1970_in_whole_milliseconds() {
        assert_eq!(unix_ms(UNIX_EPOCH + Duration::from_micros(1_234_999)), 1_234);
        assert_eq!(unix_ms(UNIX_EPOCH - Duration::from_secs(1)), 0);
        // 2020.
        assert!(now_ms() > 1_577_836_800_000);
    }

    #[test]
    fn a_duration_too_long_for_the_number_is_the_largest_number() {
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }
}
