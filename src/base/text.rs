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

pub(crate) use serde_as_text;

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
