//! Small content in a line of the journal.

use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The bytes of small content as a line has them: as text where they are UTF-8, which most are, else in
/// hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedBytes(pub Arc<[u8]>);

/// How they are written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written<T> {
    Text(T),
    Binary { hex: String },
}

impl Serialize for CarriedBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match std::str::from_utf8(&self.0) {
            Ok(text) => Written::Text(text),
            Err(_) => Written::Binary { hex: self.0.iter().map(|byte| format!("{byte:02x}")).collect() },
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CarriedBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = match Written::<String>::deserialize(deserializer)? {
            Written::Text(text) => text.into_bytes(),
            Written::Binary { hex } => bytes_of(&hex).ok_or_else(|| D::Error::custom("no hexadecimal"))?,
        };
        Ok(Self(bytes.into()))
    }
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    digits.chunks(2).map(|pair| if let [high, low] = pair { Some(high << 4 | low) } else { None }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back_as_they_were() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [&b""[..], b"{\"a\": \"\n\"}", b"\0", "\u{7f}\u{e9}".as_bytes(), &all, &[0xff]] {
            let carried = CarriedBytes(bytes.into());
            let line = serde_json::to_string(&carried).unwrap();
            assert!(!line.contains(['\n', '\0']), "{line}");
            assert_eq!(serde_json::from_str::<CarriedBytes>(&line).unwrap(), carried);
        }
        for wrong in [r#"{"hex":"f"}"#, r#"{"hex":"zz"}"#, "7"] {
            assert!(serde_json::from_str::<CarriedBytes>(wrong).is_err(), "{wrong}");
        }
    }
}
