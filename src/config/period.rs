//! Durations as people write them: `30s`, `15m`, `24h`, `7d`.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// What a duration may look like, for messages.
pub(in crate::config) const FORM: &str = "a duration such as \"30s\", \"15m\", \"24h\" or \"7d\"";

/// The units and their seconds, the largest first.
const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// A duration in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Period(pub(in crate::config) u64);

impl Period {
    /// Returns it as the standard library's type.
    pub(in crate::config) fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }

    pub(in crate::config) fn parse(text: &str) -> Option<Self> {
        let digits_end = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(digits_end)?;
        let number: u64 = number.parse().ok()?;
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        number.checked_mul(*seconds).map(Self)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = UNITS.iter().find(|(_, seconds)| self.0 >= *seconds && self.0.is_multiple_of(*seconds));
        let (name, seconds) = fitting.copied().unwrap_or(("s", 1));
        write!(formatter, "{}{name}", self.0 / seconds)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PeriodVisitor)
    }
}

struct PeriodVisitor;

impl Visitor<'_> for PeriodVisitor {
    type Value = Period;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(FORM)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Period, E> {
        Err(E::custom(format!("{number} has no unit; write {FORM}")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Period, E> {
        Period::parse(text).ok_or_else(|| E::custom(format!("\"{text}\" is not {FORM}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_each_unit() {
        assert_eq!(Period::parse("30s"), Some(Period(30)));
        assert_eq!(Period::parse("15m"), Some(Period(900)));
        assert_eq!(Period::parse("24h"), Some(Period(86_400)));
        assert_eq!(Period::parse("7d"), Some(Period(604_800)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "30", "s", "30 s", "-3s", "1.5h", "3ms", "1h30m", "99999999999999999d"] {
            assert_eq!(Period::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_duration_is_written_in_the_largest_unit_that_divides_it() {
        assert_eq!(Period(86_400).to_string(), "1d");
        assert_eq!(Period(90).to_string(), "90s");
        assert_eq!(Period(0).to_string(), "0s");
    }
}
