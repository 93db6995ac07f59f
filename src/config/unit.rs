//! The units of numbers, as people write them: `4MiB`, `64KiB/s`, `15m`, or a plain number.

use std::time::Duration;

pub(in crate::config) const KIB: u64 = 1 << 10;
pub(in crate::config) const MIB: u64 = 1 << 20;
pub(in crate::config) const GIB: u64 = 1 << 30;
pub(in crate::config) const TIB: u64 = 1 << 40;
pub(in crate::config) const MINUTE: u64 = 60;
pub(in crate::config) const HOUR: u64 = 60 * MINUTE;
pub(in crate::config) const DAY: u64 = 24 * HOUR;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Unit {
    /// Things: `1024`.
    Count,
    /// Bytes: `"4MiB"`, or a plain number.
    Size,
    /// Bytes a second: `"4MiB/s"`.
    Rate,
    /// Whole seconds: `"15m"`.
    Period,
}

impl Unit {
    /// Says what such a number looks like.
    pub(in crate::config) fn form(self) -> &'static str {
        match self {
            Self::Count => "a whole number",
            Self::Size => "a size such as \"4MiB\", \"64KiB\" or a number of bytes",
            Self::Rate => "a rate such as \"4MiB/s\" or \"512 KiB/s\"",
            Self::Period => "a duration such as \"30s\", \"15m\", \"24h\" or \"7d\"",
        }
    }

    /// Returns whether a plain number of TOML will do.
    pub(in crate::config) fn is_plain(self) -> bool {
        matches!(self, Self::Count | Self::Size)
    }

    /// Reads a text.
    pub(in crate::config) fn parse(self, text: &str) -> Option<u64> {
        match self {
            Self::Count => text.parse().ok(),
            Self::Size => split(text, &SIZES, Some(1)),
            Self::Rate => text.strip_suffix("/s").and_then(|size| split(size.trim_end(), &SIZES, Some(1))),
            Self::Period => split(text, &PERIODS, None),
        }
    }

    /// Writes a number in the largest unit that divides it.
    pub(in crate::config) fn write(self, number: u64) -> String {
        match self {
            Self::Count => number.to_string(),
            Self::Size => join(number, &SIZES),
            Self::Rate => join(number, &SIZES) + "/s",
            Self::Period => join(number, &PERIODS),
        }
    }
}

/// Parses a duration.
pub(in crate::config) fn period(text: &str) -> Option<Duration> {
    Unit::Period.parse(text).map(Duration::from_secs)
}

/// Writes a duration, to the second.
pub(in crate::config) fn written_period(period: Duration) -> String {
    Unit::Period.write(period.as_secs())
}

/// The largest first; the last is 1.
type UnitNames = [(&'static str, u64); 4];

const SIZES: UnitNames = [("GiB", GIB), ("MiB", MIB), ("KiB", KIB), ("B", 1)];

const PERIODS: UnitNames = [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", 1)];

/// Reads digits and a unit. `bare` is what digits alone are multiplied with; spaces may precede the unit of
/// what may be bare.
fn split(text: &str, names: &UnitNames, bare: Option<u64>) -> Option<u64> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, name) = text.split_at_checked(digits_end)?;
    let number: u64 = number.parse().ok()?;
    let name = if bare.is_some() { name.trim_start() } else { name };
    if name.is_empty() {
        return bare.and_then(|factor| number.checked_mul(factor));
    }
    let (_, factor) = names.iter().find(|(known, _)| *known == name)?;
    number.checked_mul(*factor)
}

fn join(number: u64, names: &UnitNames) -> String {
    let fitting = names.iter().find(|(_, factor)| number >= *factor && number.is_multiple_of(*factor));
    let (name, factor) = fitting.or(names.last()).copied().unwrap_or(("", 1));
    format!("{}{name}", number / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        let size = |text| Unit::Size.parse(text);
        assert_eq!(size("4MiB"), Some(4 << 20));
        assert_eq!(size("64 KiB"), Some(64 << 10));
        assert_eq!(size("1GiB"), Some(1 << 30));
        assert_eq!(size("7B"), Some(7));
        assert_eq!(size("4000000"), Some(4_000_000));
        for text in ["", "MiB", "4MB", "4mib", "-1", "1.5MiB", "4MiB extra", "99999999999GiB", "é"] {
            assert_eq!(size(text), None, "{text:?}");
        }
    }

    #[test]
    fn durations_are_read_in_each_unit_and_need_one() {
        let period = |text| Unit::Period.parse(text);
        assert_eq!(period("30s"), Some(30));
        assert_eq!(period("15m"), Some(900));
        assert_eq!(period("24h"), Some(86_400));
        assert_eq!(period("7d"), Some(604_800));
        for text in ["", "30", "s", "30 s", "-3s", "1.5h", "3ms", "1h30m", "99999999999999999d"] {
            assert_eq!(period(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_rate_is_a_size_in_a_second() {
        let rate = |text| Unit::Rate.parse(text);
        assert_eq!(rate("4MiB/s"), Some(4 << 20));
        assert_eq!(rate("512 KiB /s"), Some(512 << 10));
        for text in ["4MiB", "4MiB/min", "/s", ""] {
            assert_eq!(rate(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_number_is_written_in_the_largest_unit_that_divides_it() {
        let written = [
            Unit::Size.write(4 << 20),
            Unit::Size.write(1025),
            Unit::Size.write(0),
            Unit::Rate.write(4 << 20),
            Unit::Period.write(86_400),
            Unit::Period.write(90),
            Unit::Period.write(0),
            Unit::Count.write(1024),
        ];
        assert_eq!(written, ["4MiB", "1025B", "0B", "4MiB/s", "1d", "90s", "0s", "1024"]);
    }
}
