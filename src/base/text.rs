//! What the types written as text have in common.

/// How much of a refused text an error repeats.
const EXCERPT_LENGTH_MAX_CHARS: usize = 160;

/// Shortens a refused text, so that no error is as long as what a client sent.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_LENGTH_MAX_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Reads and writes a type by its `FromStr` and its `Display`, as a string.
macro_rules! serde_as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// Implements parsing, display and serde of a type that wraps an `Arc<str>`: a text with a grammar and a
/// greatest length.
macro_rules! bounded_text {
    ($name:ident, $error:ident, $is_valid:path, $length_max:expr) => {
        impl $name {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                if !$is_valid(text) {
                    return Err($error::Malformed(crate::base::excerpt(text)));
                }
                if text.len() > $length_max {
                    return Err($error::TooLong(text.len()));
                }
                Ok(Self(text.into()))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(&self.0)
            }
        }

        crate::base::serde_as_text!($name);
    };
}

pub(crate) use {bounded_text, serde_as_text};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_repeated_whole() {
        let text = "é".repeat(EXCERPT_LENGTH_MAX_CHARS);
        assert_eq!(excerpt(&text), text);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let kept = "é".repeat(EXCERPT_LENGTH_MAX_CHARS);
        assert_eq!(excerpt(&format!("{kept}é")), format!("{kept}…"));
    }
}
