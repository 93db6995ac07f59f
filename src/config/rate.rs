//! Rates as people write them: `4MiB/s`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::config::size::Size;

/// What a rate may look like, for messages.
const FORM: &str = "a rate such as \"4MiB/s\" or \"512 KiB/s\"";

/// A number of bytes a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Rate(pub(in crate::config) Size);

impl Rate {
    fn parse(text: &str) -> Option<Self> {
        text.strip_suffix("/s").and_then(|size| Size::parse(size.trim_end())).map(Self)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/s", self.0)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RateVisitor)
    }
}

struct RateVisitor;

impl Visitor<'_> for RateVisitor {
    type Value = Rate;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(FORM)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Rate, E> {
        Rate::parse(text).ok_or_else(|| E::custom(format!("\"{text}\" is not {FORM}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_size_in_a_second() {
        assert_eq!(Rate::parse("4MiB/s"), Some(Rate(Size(4 << 20))));
        assert_eq!(Rate::parse("512 KiB /s"), Some(Rate(Size(512 << 10))));
        assert_eq!(Rate(Size(4 << 20)).to_string(), "4MiB/s");
        for text in ["4MiB", "4MiB/min", "/s", ""] {
            assert_eq!(Rate::parse(text), None, "{text:?}");
        }
    }
}
