//! What fuzzers feed with bytes of their own, and what must hold of any.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::meta::journal::file::line::{Header, Record, check_sum, decode, encode, sealed};

/// A line of the journal, as it is and with the checksum that its bytes would have: the first must be refused
/// unless its checksum is right, the second gets to what lies behind the checksum.
pub(crate) fn line(bytes: &[u8]) {
    for line in [bytes.to_vec(), sealed(bytes)] {
        read::<Record>(&line);
        read::<Header>(&line);
    }
}

/// What is read is written so that it reads the same.
fn read<T: Serialize + DeserializeOwned + PartialEq + Debug>(line: &[u8]) {
    let Ok((body, sum)) = decode::<T>(line) else { return };
    assert_eq!(check_sum(line), Some(sum));
    let Ok((written, sum)) = encode(&body) else { return };
    let written = written.strip_suffix(b"\n").unwrap_or_default();
    assert_eq!(decode::<T>(written).ok(), Some((body, sum)));
}
