//! What a row or a transaction says that a version may do without.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Entries that a version need not know, by their names. Each is kept as it was written, and so is what is
/// made of the row later: a version that does not know an entry neither refuses it nor loses it.
///
/// INVARIANT: nothing that is decided wrong without an entry belongs here. That is a field of its own, which
/// other versions refuse.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Optional(BTreeMap<Box<str>, Box<RawValue>>);

impl Optional {
    /// Tells whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Optional {
    fn eq(&self, other: &Self) -> bool {
        let entries = |optional: &Self| {
            optional.0.iter().map(|(name, value)| (name.clone(), value.get().to_owned())).collect::<Vec<_>>()
        };
        self.is_empty() && other.is_empty() || entries(self) == entries(other)
    }
}

impl Eq for Optional {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_as_they_were_written() {
        let optional: Optional = serde_json::from_str(r#"{"b": 1.10,"a":[1e400, -0]}"#).unwrap();
        assert_eq!(serde_json::to_string(&optional).unwrap(), r#"{"a":[1e400, -0],"b":1.10}"#);
        assert!(optional != Optional::default() && optional == optional.clone());
        assert!(serde_json::from_str::<Optional>("[]").is_err());
    }
}
