//! Sizes as people write them: `4MiB`, `64KiB`, or a plain number of bytes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// What a size may look like, for messages.
const FORM: &str = "a size such as \"4MiB\", \"64KiB\" or a number of bytes";

/// The units, the largest first.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Size(pub(in crate::config) u64);

impl Size {
    pub(in crate::config) fn parse(text: &str) -> Option<Self> {
        let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits_end)?;
        let number: u64 = number.parse().ok()?;
        let unit = unit.trim_start();
        if unit.is_empty() {
            return Some(Self(number));
        }
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        number.checked_mul(*factor).map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = UNITS.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        let (name, factor) = fitting.copied().unwrap_or(("B", 1));
        write!(formatter, "{}{name}", self.0 / factor)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(FORM)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Size, E> {
        let bytes = u64::try_from(number);
        bytes.map(Size).map_err(|_| E::custom(format!("{number} is negative; write {FORM}")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        Size::parse(text).ok_or_else(|| E::custom(format!("\"{text}\" is not {FORM}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        assert_eq!(Size::parse("4MiB"), Some(Size(4 << 20)));
        assert_eq!(Size::parse("64 KiB"), Some(Size(64 << 10)));
        assert_eq!(Size::parse("1GiB"), Some(Size(1 << 30)));
        assert_eq!(Size::parse("7B"), Some(Size(7)));
        assert_eq!(Size::parse("4000000"), Some(Size(4_000_000)));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "MiB", "4MB", "4mib", "-1", "1.5MiB", "4MiB extra", "99999999999GiB", "é"] {
            assert_eq!(Size::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_size_is_written_in_the_largest_unit_that_divides_it() {
        assert_eq!(Size(4 << 20).to_string(), "4MiB");
        assert_eq!(Size(1025).to_string(), "1025B");
        assert_eq!(Size(0).to_string(), "0B");
    }
}
