//! Entry points for fuzzers, and the properties that must hold for any bytes.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::meta::journal::file::line::{Header, Record, check_sum, decode, encode, sealed};

/// Reads a journal line as it is, and with the checksum that its bytes would have: the first must be refused
/// unless its checksum is right, the second reaches the code after the checksum.
pub(crate) fn line(bytes: &[u8]) {
    for line in [bytes.to_vec(), sealed(bytes)] {
        read::<Record>(&line);
        read::<Header>(&line);
    }
}

/// Checks that a line that was read and is written again reads the same.
fn read<T: Serialize + DeserializeOwned + PartialEq + Debug>(line: &[u8]) {
    let Ok((body, sum)) = decode::<T>(line) else { return };
    assert_eq!(check_sum(line), Some(sum));
    let Ok((written, sum)) = encode(&body) else { return };
    let written = written.strip_suffix(b"\n").unwrap_or_default();
    assert_eq!(decode::<T>(written).ok(), Some((body, sum)));
}
