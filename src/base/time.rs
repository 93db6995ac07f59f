//! Times as they are stored and sent, whole milliseconds since 1970; and durations as people read them.

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

/// Writes a duration in its two largest units, without those that are 0: `3 d 4 h`, `2 h`, `5 min`, `12 s`.
pub(crate) fn in_units(duration: Duration) -> String {
    const UNITS: [(&str, u64); 3] = [("d", 24 * 60 * 60), ("h", 60 * 60), ("min", 60)];
    let seconds = duration.as_secs();
    let mut units = UNITS.iter().zip(UNITS.iter().skip(1).map(Some).chain([None]));
    let Some(((name, length), next)) = units.find(|((_, length), _)| seconds >= *length) else {
        return format!("{seconds} s");
    };
    let (many, rest) = (seconds / length, seconds % length);
    match next.map(|(name, length)| (rest / length, name)).filter(|(many, _)| *many > 0) {
        Some((more, smaller)) => format!("{many} {name} {more} {smaller}"),
        None => format!("{many} {name}"),
    }
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

    #[test]
    fn durations_have_their_largest_units() {
        let of = |seconds| in_units(Duration::from_secs(seconds));
        for (seconds, text) in [
            (0, "0 s"),
            (12, "12 s"),
            (300, "5 min"),
            (359, "5 min"),
            (3720, "1 h 2 min"),
            (7200, "2 h"),
            (86_400, "1 d"),
            (86_460, "1 d"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(of(seconds), text);
        }
    }
}
