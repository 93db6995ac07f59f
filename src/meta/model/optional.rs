//! What a row or a transaction says that a version may do without.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The name of the entry that has the store time of the last pull, in milliseconds.
const PULLED: &str = "pulled";

/// Entries that a version need not know, by their names. Each is kept as it was written, and so is what is
/// made of the row later: a version that does not know an entry neither refuses it nor loses it.
///
/// INVARIANT: nothing that is decided wrong without an entry belongs here. That is a field of its own, which
/// other versions refuse.
#[derive(Debug, Clone, Default)]
pub struct Optional {
    /// Read at once and without memory of its own: requests for manifests read it.
    pulled: Option<u64>,
    unknown: BTreeMap<Box<str>, Box<RawValue>>,
}

impl Optional {
    /// Tells whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.pulled.is_none() && self.unknown.is_empty()
    }

    /// Returns the store time of the last pull that was noted, in milliseconds.
    pub(super) fn pulled(&self) -> Option<u64> {
        self.pulled
    }

    /// Notes a pull at a store time, in milliseconds.
    pub(super) fn with_pull(self, at_ms: u64) -> Self {
        Self { pulled: Some(at_ms), ..self }
    }
}

impl PartialEq for Optional {
    fn eq(&self, other: &Self) -> bool {
        let entries = |optional: &Self| {
            optional
                .unknown
                .iter()
                .map(|(name, value)| (name.clone(), value.get().to_owned()))
                .collect::<Vec<_>>()
        };
        let others =
            || self.unknown.is_empty() && other.unknown.is_empty() || entries(self) == entries(other);
        self.pulled == other.pulled && others()
    }
}

impl Eq for Optional {}

impl Serialize for Optional {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// The value of an entry.
        #[derive(Serialize)]
        #[serde(untagged)]
        enum EntryValue<'a> {
            Pulled(u64),
            Unknown(&'a RawValue),
        }
        let pulled = self.pulled.map(|at_ms| (PULLED, EntryValue::Pulled(at_ms)));
        let unknown = self.unknown.iter().map(|(name, value)| (&**name, EntryValue::Unknown(value)));
        let entries: BTreeMap<&str, EntryValue<'_>> = unknown.chain(pulled).collect();
        serializer.collect_map(entries)
    }
}

impl<'de> Deserialize<'de> for Optional {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

/// Reads the entries.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Optional;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Optional, A::Error> {
        let mut optional = Optional::default();
        while let Some(name) = entries.next_key()? {
            match name {
                EntryName::Pulled => optional.pulled = Some(entries.next_value()?),
                EntryName::Unknown(name) => drop(optional.unknown.insert(name, entries.next_value()?)),
            }
        }
        Ok(optional)
    }
}

/// The name of an entry. One that is known takes no memory.
enum EntryName {
    Pulled,
    Unknown(Box<str>),
}

impl<'de> Deserialize<'de> for EntryName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

/// Reads the name of an entry.
struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = EntryName;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<EntryName, E> {
        Ok(if name == PULLED { EntryName::Pulled } else { EntryName::Unknown(name.into()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pull_stands_among_other_entries() {
        let optional: Optional = serde_json::from_str(r#"{"z":1,"pulled":7,"a":2}"#).unwrap();
        assert_eq!(optional.pulled(), Some(7));
        let later = optional.clone().with_pull(8);
        assert_eq!(serde_json::to_string(&later).unwrap(), r#"{"a":2,"pulled":8,"z":1}"#);
        assert!(later != optional && !Optional::default().with_pull(0).is_empty());
        assert!(serde_json::from_str::<Optional>(r#"{"pulled":"7"}"#).is_err());
    }

    #[test]
    fn values_stay_as_they_were_written() {
        let optional: Optional = serde_json::from_str(r#"{"b": 1.10,"a":[1e400, -0]}"#).unwrap();
        assert_eq!(serde_json::to_string(&optional).unwrap(), r#"{"a":[1e400, -0],"b":1.10}"#);
        assert!(optional != Optional::default() && optional == optional.clone());
        assert!(serde_json::from_str::<Optional>("[]").is_err());
    }
}
