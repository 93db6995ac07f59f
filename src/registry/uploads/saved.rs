//! An upload as its row has it: the state of its hash as text, and how it is opened again.

use crate::blobs::{BlobError, ContentStore, ContentUpload, ResumePoint};
use crate::meta::UploadRow;

/// Opens an upload where its row says that it is durable.
pub(in crate::registry::uploads) fn open_saved(
    store: &dyn ContentStore,
    name: &str,
    row: &UploadRow,
) -> Result<Box<dyn ContentUpload>, BlobError> {
    let state = row.state.as_deref().and_then(from_hex);
    let (algorithm, offset) = (row.algorithm, row.offset);
    store.resume(name, ResumePoint { algorithm, offset, hash_state: state.as_deref() })
}

/// Writes the state of a hash as a row has it.
pub(in crate::registry::uploads) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect()
}
