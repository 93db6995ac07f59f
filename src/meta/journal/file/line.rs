//! The lines of the journal.
//!
//! Each line is one JSON object that ends with `,"sum":"<32 hexadecimal digits>"}` and a line feed. The sum
//! is the first half of the BLAKE3 hash of everything before `,"sum"`, so each line can be verified alone,
//! and `prev` in it is the sum of the line before, so that a missing or misplaced line is noticed. The first
//! line of a file is its header. A batch of lines that were synced together begins on a block of its own;
//! zeroes fill the block before it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::meta::clock::StoreTime;
use crate::meta::format::FORMAT;
use crate::meta::model::{Fact, Optional, Origin};

/// The longest line that is written or read.
pub(in crate::meta) const LINE_SIZE_MAX_BYTES: usize = 1024 * 1024;

const SUM_LENGTH_CHARS: usize = 32;
const SUM_BEGIN: &[u8] = b",\"sum\":\"";
const SUM_END: &[u8] = b"\"}";

/// The checksum of a line, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::meta) struct Sum(String);

impl Sum {
    /// The sum that stands for the line before the very first one.
    pub(in crate::meta) fn zero() -> Self {
        Self("0".repeat(SUM_LENGTH_CHARS))
    }

    fn of(bytes: &[u8]) -> Self {
        Self::from_hash(blake3::hash(bytes))
    }

    fn from_hash(hash: blake3::Hash) -> Self {
        let mut hex = hash.to_hex().to_string();
        hex.truncate(SUM_LENGTH_CHARS);
        Self(hex)
    }
}

/// Combines the sums of many lines into one.
#[derive(Debug, Default)]
pub(in crate::meta) struct SumOfSums(blake3::Hasher);

impl SumOfSums {
    pub(in crate::meta) fn add(&mut self, sum: &Sum) {
        self.0.update(sum.0.as_bytes());
    }

    pub(in crate::meta) fn finish(&self) -> Sum {
        Sum::from_hash(self.0.finalize())
    }
}

/// The first line of a journal file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::meta) struct Header {
    /// The version of the format that every line of the file has.
    pub(super) journal: u32,
    /// The number of the first transaction in this file.
    pub(in crate::meta) first: u64,
    /// The sum of the line before that, in an earlier file.
    pub(in crate::meta) prev: Sum,
    /// The last transaction that was in this file, durable, when it got its name.
    pub(in crate::meta) durable: u64,
}

impl Header {
    pub(in crate::meta) fn new(first: u64, prev: Sum, durable: u64) -> Self {
        Self { journal: FORMAT, first, prev, durable }
    }

    /// Tells whether lines of this version may be appended to the file.
    pub(in crate::meta) fn is_current(&self) -> bool {
        self.journal == FORMAT
    }
}

/// A transaction as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::meta) struct Record {
    /// Its number; numbers begin at 1 and have no gaps.
    pub(in crate::meta) seq: u64,
    /// The sum of the line before.
    pub(in crate::meta) prev: Sum,
    /// The highest number that was known to be durable when this line was written.
    pub(in crate::meta) durable: u64,
    /// When it was decided, in milliseconds since 1970.
    pub(in crate::meta) at: u64,
    /// The store time then.
    #[serde(default)]
    pub(in crate::meta) time: StoreTime,
    /// Where it comes from. Nothing that replays it looks at this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::meta) by: Option<Arc<Origin>>,
    /// The last transaction such that the content that it and those before it carry is durable in files.
    /// Said where it has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::meta) filed: Option<u64>,
    /// What other versions know of it.
    #[serde(default, skip_serializing_if = "Optional::is_empty")]
    pub(in crate::meta) optional: Optional,
    /// Its facts.
    pub(in crate::meta) facts: Vec<Fact>,
}

/// Why a line is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::meta) enum LineError {
    #[error("it has no checksum")]
    NoSum,
    #[error("its checksum does not match")]
    WrongSum,
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

/// Renders a header or a record as a line, and returns it with its sum.
pub(in crate::meta) fn encode<T: Serialize>(body: &T) -> Result<(Vec<u8>, Sum), serde_json::Error> {
    let mut line = serde_json::to_vec(body)?;
    // The closing brace moves after the sum.
    line.pop();
    let sum = Sum::of(&line);
    line.extend_from_slice(SUM_BEGIN);
    line.extend_from_slice(sum.0.as_bytes());
    line.extend_from_slice(SUM_END);
    line.push(b'\n');
    Ok((line, sum))
}

/// Returns the sum of a line that is as it was written; the line comes without its line feed.
#[cfg(any(test, fuzzing))]
pub(in crate::meta) fn check_sum(line: &[u8]) -> Option<Sum> {
    split(line).and_then(|(body, sum)| verified(body, sum).ok())
}

/// Reads a line, which comes without its line feed.
pub(in crate::meta) fn decode<T: for<'a> Deserialize<'a>>(line: &[u8]) -> Result<(T, Sum), LineError> {
    let (body, sum) = split(line).ok_or(LineError::NoSum)?;
    let actual = verified(body, sum)?;
    let whole = [body, b"}"].concat();
    let read = serde_json::from_slice(&whole).map_err(|error| LineError::Unreadable(error.to_string()))?;
    Ok((read, actual))
}

/// Appends the right checksum to any bytes.
#[cfg(any(test, fuzzing))]
pub(in crate::meta) fn sealed(body: &[u8]) -> Vec<u8> {
    [body, SUM_BEGIN, Sum::of(body).0.as_bytes(), SUM_END].concat()
}

fn verified(body: &[u8], sum: &[u8]) -> Result<Sum, LineError> {
    let actual = Sum::of(body);
    if actual.0.as_bytes() == sum { Ok(actual) } else { Err(LineError::WrongSum) }
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_suffix(SUM_END)?;
    let (front, sum) = line.split_at_checked(line.len().checked_sub(SUM_LENGTH_CHARS)?)?;
    Some((front.strip_suffix(SUM_BEGIN)?, sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let time = StoreTime::default();
        Record {
            seq: 7,
            prev: Sum::zero(),
            durable: 6,
            at: 1,
            time,
            by: None,
            filed: None,
            optional: Optional::default(),
            facts: Vec::new(),
        }
    }

    #[test]
    fn a_line_comes_back_as_it_was() {
        let (line, sum) = encode(&record()).unwrap();
        let line = line.strip_suffix(b"\n").unwrap();
        assert_eq!(decode::<Record>(line).unwrap(), (record(), sum));
    }

    #[test]
    fn any_flipped_byte_is_noticed() {
        let (line, _) = encode(&record()).unwrap();
        let line = line.strip_suffix(b"\n").unwrap();
        for at in 0..line.len() {
            let mut damaged = line.to_vec();
            damaged[at] ^= 1;
            assert!(decode::<Record>(&damaged).is_err(), "byte {at}");
        }
    }

    #[test]
    fn any_shortened_line_is_noticed() {
        let (line, _) = encode(&record()).unwrap();
        for length in 0..line.len() - 1 {
            assert!(decode::<Record>(&line[..length]).is_err(), "length {length}");
        }
    }
}
