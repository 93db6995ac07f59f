//! The `clean` marker: written last at a clean stop, and removed durably before anything else at start.
//!
//! A start trusts the index only when this marker exists and matches the journal's end.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk::{Disk, DiskError};
use crate::meta::clock::StoreTime;
use crate::meta::error::MetaOpenError;
use crate::meta::index::RowTotals;
use crate::meta::journal::{LineBody, LineKind, RawLine, Sum, encode, read_line};

const MARKER: &str = "clean";
const UNFINISHED_MARKER: &str = "clean.new";
const MARKER_SIZE_MAX_BYTES: usize = 32 * 1024;

/// The state of the store at a clean stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::meta) struct CleanMarker {
    /// The last transaction, applied to the index and durable in the journal.
    pub(in crate::meta) seq: u64,
    /// Its line's sum.
    pub(in crate::meta) line: Sum,
    /// The totals of the index's rows.
    pub(in crate::meta) totals: RowTotals,
    /// The store time.
    #[serde(default)]
    pub(in crate::meta) time: StoreTime,
    /// The generation of the valid database in the index folder.
    #[serde(default, skip_serializing_if = "is_first")]
    pub(in crate::meta) generation: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_first(generation: &u64) -> bool {
    *generation == 0
}

impl LineBody for CleanMarker {
    const KIND: LineKind = LineKind::Marker;
}

/// Removes the marker: it is valid for this start only. The next sync of the root makes the removal durable.
///
/// INVARIANT: that sync comes before any change to the index. A start does it when it syncs the folders'
/// names. A rebuild from lines or content changes no index, and its journal ends at a transaction that no
/// earlier marker names.
pub(in crate::meta) fn remove(disk: &dyn Disk) -> Result<(), DiskError> {
    for name in [MARKER, UNFINISHED_MARKER] {
        match disk.remove(Path::new(name)) {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads the marker. A damaged one is ignored: recovery then rebuilds the index. Fails if this version does
/// not know it: it may be all that proves how far the journal was durable.
pub(in crate::meta) fn read(disk: &dyn Disk) -> Result<Option<CleanMarker>, MetaOpenError> {
    let path = Path::new(MARKER);
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = vec![0; MARKER_SIZE_MAX_BYTES];
    let length = match file.read_at(&mut bytes, 0) {
        Err(error) if error.is_of_the_medium() => {
            log::warn!("{error}; the index will be rebuilt");
            return Ok(None);
        }
        read => read?,
    };
    bytes.truncate(length);
    let ended = bytes.pop_if(|byte| *byte == b'\n').is_some();
    let line = RawLine { number: 1, offset: 0, bytes, ended };
    Ok(read_line::<CleanMarker>(path, &line)?.map(|(clean, _)| clean))
}

/// Writes the marker. Everything it names must be durable before this call.
pub(in crate::meta) fn write(disk: &dyn Disk, clean: &CleanMarker) -> Result<(), DiskError> {
    let unfinished = Path::new(UNFINISHED_MARKER);
    let marker = Path::new(MARKER);
    let (line, _) = encode(clean).map_err(|error| DiskError::new("render", marker, error))?;
    let file = disk.create(unfinished)?;
    file.write_at(&line, 0)?;
    file.sync()?;
    disk.rename(unfinished, marker)?;
    disk.sync_folder(Path::new(""))
}
