//! Annotations: texts by name. A manifest may consist of hundreds of thousands of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// The longest annotations that are read into a map, in bytes of their names and values. Many short ones take
/// twelve times as much memory there as in JSON.
const READ_SIZE_MAX_BYTES: usize = 2 * 1024;

/// The annotations of a manifest that is parsed: all are checked, and short ones are kept.
pub(in crate::spec) struct ShortAnnotations(pub(in crate::spec) Option<BTreeMap<String, String>>);

impl<'de> Deserialize<'de> for ShortAnnotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnnotationsVisitor)
    }
}

struct AnnotationsVisitor;

impl<'de> Visitor<'de> for AnnotationsVisitor {
    type Value = ShortAnnotations;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<ShortAnnotations, A::Error> {
        let (mut short, mut size) = (Some(BTreeMap::new()), 0_usize);
        while let Some((Text(name), Text(value))) = entries.next_entry::<Text<'de>, Text<'de>>()? {
            size = size.saturating_add(name.len()).saturating_add(value.len());
            match &mut short {
                Some(_) if size > READ_SIZE_MAX_BYTES => short = None,
                Some(map) => drop(map.insert(name.into_owned(), value.into_owned())),
                None => {}
            }
        }
        Ok(ShortAnnotations(short))
    }
}

/// A text that is not copied where that can be avoided.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Option<BTreeMap<String, String>>, serde_json::Error> {
        serde_json::from_str(json).map(|ShortAnnotations(short)| short)
    }

    #[test]
    fn short_ones_are_kept_and_the_last_of_equal_names_counts() {
        let map = read(r#"{"k":"v","\u006b":"w \"x\"","other":""}"#).unwrap().unwrap();
        assert_eq!(
            map.into_iter().collect::<Vec<_>>(),
            [("k", "w \"x\""), ("other", "")].map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert!(read("{}").unwrap().unwrap().is_empty());
    }

    #[test]
    fn long_ones_are_checked_and_not_kept() {
        let many: Vec<_> = (0..1000).map(|number| format!(r#""{number}":"x""#)).collect();
        assert!(read(&format!("{{{}}}", many.join(","))).unwrap().is_none());
        assert!(read(&format!(r#"{{{},"k":1}}"#, many.join(","))).is_err());
        assert!(read(&format!(r#"{{{},"k":"\x"}}"#, many.join(","))).is_err());
        for json in [r#"{"k":1}"#, r#"{"k":null}"#, "[]", "1", r#"{"k":"v""#] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
