//! The times that `--since` takes.

use std::time::Duration;

use crate::base::{millis, now_ms};
use crate::config::values;
use crate::wire::civil;

const SECONDS_PER_DAY: u64 = 86_400;

/// Parses a time, or how long ago it is, and returns it in milliseconds since 1970.
pub(in crate::cli) fn since(text: &str) -> Result<u64, String> {
    if let Ok(ago) = values::period(text) {
        return Ok(now_ms().saturating_sub(millis(ago)));
    }
    time(text).ok_or_else(|| {
        format!(
            "\"{text}\" is neither a duration such as 30m, 12h or 7d nor a time in UTC such as 2026-11-24 or \
             2026-11-24T13:05:00Z"
        )
    })
}

/// Parses a time of RFC 3339 in UTC, of which all after the day may be left out.
fn time(text: &str) -> Option<u64> {
    let (date, clock) = match text.split_once(['T', 't', ' ']) {
        Some((date, clock)) => (date, clock.strip_suffix(['Z', 'z']).unwrap_or(clock)),
        None => (text, "00:00"),
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = match clock.matches(':').count() {
        1 => {
            let [hour, minute] = numbers(clock, ':')?;
            [hour, minute, 0]
        }
        _ => numbers(clock, ':')?,
    };
    if !(1970..10_000).contains(&year) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = day_of(year, month, day)?;
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    Some(millis(Duration::from_secs(seconds)))
}

fn numbers<const N: usize>(text: &str, separator: char) -> Option<[u64; N]> {
    let number = |part: &str| {
        let plain = !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| part.parse().ok()).flatten()
    };
    let numbers: Vec<u64> = text.split(separator).map(number).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

/// Returns how many days after 1970 a date is: the one whose date is this.
fn day_of(year: u64, month: u64, day: u64) -> Option<u64> {
    let years = year - 1970;
    // The leap days before it are a quarter of the years at most.
    let first = years * 365 + years / 4 + (month.checked_sub(1)? * 30);
    let sought = (year, usize::try_from(month - 1).ok()?, day);
    // Months are up to seven days longer by then than thirty each, and some centuries have no leap day.
    (first.saturating_sub(70)..first + 70).find(|days| civil(*days) == sought)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_to_the_second() {
        let seconds = |text| time(text).map(|milliseconds| milliseconds / 1000);
        assert_eq!(seconds("1970-01-01"), Some(0));
        assert_eq!(seconds("2000-02-28T23:59:59Z"), Some(951_782_399));
        assert_eq!(seconds("2000-02-29 23:59"), Some(951_868_740));
        assert_eq!(seconds("2026-11-24T13:05:00"), Some(1_795_525_500));
        assert_eq!(seconds("9999-12-31t00:00z"), Some(253_402_214_400));
        for wrong in [
            "",
            "now",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-00-01",
            "2026-02-29",
            "2026-11-24T",
            "2026-11-24T24:00",
            "2026-11-24T1",
            "2026-11-24T13:05:00+01:00",
            "-1-1-1",
            "1969-12-31",
            "20261-1-1",
            "2026-+1-01",
        ] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_day_of_a_century_is_found() {
        for days in (0..40_000).step_by(13) {
            let (year, month, day) = civil(days);
            assert_eq!(day_of(year, month as u64 + 1, day), Some(days));
        }
    }

    #[test]
    fn a_duration_is_a_time_ago() {
        let hour_ago = since("1h").unwrap();
        assert!(now_ms() - hour_ago >= 3_600_000);
        assert!(since("1x").unwrap_err().contains("2026-11-24"));
    }
}
