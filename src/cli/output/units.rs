//! Sizes and times as people read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::wire::civil;

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

const SECONDS_PER_DAY: u64 = 86_400;

/// Writes a size with one decimal, in powers of 1024: `0 B`, `1.5 MiB`.
pub(in crate::cli) fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = 0;
    // What would be rounded to 1024.0 is one of the next unit.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS.get(unit).copied().unwrap_or_default())
}

/// Writes a count with what is counted: `1 tag`, `2 tags`.
pub(in crate::cli) fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// Writes a time in milliseconds since 1970, to the minute: `2026-11-24 13:05 UTC`.
pub(in crate::cli) fn time(milliseconds: u64) -> String {
    format!("{} UTC", minute_of(milliseconds))
}

/// Does the same to the second: `2026-11-24 13:05:07 UTC`.
pub(in crate::cli) fn time_to_the_second(milliseconds: u64) -> String {
    format!("{}:{:02} UTC", minute_of(milliseconds), milliseconds / 1000 % 60)
}

fn minute_of(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (year, month, day) = civil(seconds / SECONDS_PER_DAY);
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    // The calendar's first month is 0 there.
    let month = month + 1;
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
}

/// Returns how long ago a time in milliseconds since 1970 is.
pub(in crate::cli) fn since(milliseconds: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal_and_the_largest_unit_that_fits() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(time(0), "1970-01-01 00:00 UTC");
        assert_eq!(time(951_782_399_000), "2000-02-28 23:59 UTC");
        assert_eq!(time(951_868_740_000), "2000-02-29 23:59 UTC");
        assert_eq!(time(1_795_525_500_000), "2026-11-24 13:05 UTC");
    }
}
