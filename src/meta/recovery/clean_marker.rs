//! The `clean` marker: written last at a clean stop, and removed durably before anything else at start.
//!
//! A start trusts the index only when this marker exists and matches the journal's end.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk::{Disk, DiskError, unless_damaged};
use crate::meta::clock::StoreTime;
use crate::meta::error::MetaOpenError;
use crate::meta::index::RowTotals;
use crate::meta::journal::{LineBody, LineKind, RawLine, Sum, encode, read_line};

const MARKER: &str = "clean";
const UNFINISHED_MARKER: &str = "clean.new";
const DAMAGED_MARKER: &str = "clean.damaged";
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

/// Removes the marker: it is valid for this start only. One that the medium cannot read is kept under another
/// name. The next sync of the root makes the removal durable.
///
/// INVARIANT: that sync comes before any change to the index. A start does it when it syncs the folders'
/// names. A rebuild from lines or content changes no index, and its journal ends at a transaction that no
/// earlier marker names.
pub(in crate::meta) fn remove(disk: &dyn Disk) -> Result<(), DiskError> {
    if bytes_of(disk)?.is_some_and(|bytes| bytes.is_none()) {
        log::error!("{MARKER} is kept as {DAMAGED_MARKER}");
        disk.rename(Path::new(MARKER), Path::new(DAMAGED_MARKER))?;
    }
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
    let Some(bytes) = bytes_of(disk)? else { return Ok(None) };
    let Some(mut bytes) = bytes else {
        log::warn!("{MARKER} cannot be read; the index will be rebuilt");
        return Ok(None);
    };
    let ended = bytes.pop_if(|byte| *byte == b'\n').is_some();
    let line = RawLine { number: 1, offset: 0, bytes, ended, unreadable: false };
    Ok(read_line::<CleanMarker>(Path::new(MARKER), &line)?.map(|(clean, _)| clean))
}

/// Returns the marker's bytes, `Some(None)` if the medium cannot read them, and `None` if there is no marker.
fn bytes_of(disk: &dyn Disk) -> Result<Option<Option<Vec<u8>>>, DiskError> {
    let file = match disk.open_to_salvage(Path::new(MARKER)) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; MARKER_SIZE_MAX_BYTES];
    let Some(length) = unless_damaged(file.read_at(&mut bytes, 0))? else { return Ok(Some(None)) };
    bytes.truncate(length);
    Ok(Some(Some(bytes)))
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
