//! The `clean` marker: written last at a clean stop, and removed durably before anything else at start.
//!
//! The index is trusted only when this marker is there and matches the journal's end.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk::{Disk, DiskError};
use crate::meta::clock::StoreTime;
use crate::meta::index::RowTotals;
use crate::meta::journal::{Sum, decode, encode};

const MARKER: &str = "clean";
const UNFINISHED_MARKER: &str = "clean.new";
const MARKER_SIZE_MAX_BYTES: usize = 32 * 1024;

/// What the store was when it stopped cleanly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::meta) struct CleanMarker {
    /// The last transaction, applied to the index and durable in the journal.
    pub(in crate::meta) seq: u64,
    /// Its line's sum.
    pub(in crate::meta) line: Sum,
    /// What the index adds up to.
    pub(in crate::meta) totals: RowTotals,
    /// The store time.
    #[serde(default)]
    pub(in crate::meta) time: StoreTime,
    /// Which of the databases in the folder of the index counts.
    #[serde(default, skip_serializing_if = "is_first")]
    pub(in crate::meta) generation: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_first(generation: &u64) -> bool {
    *generation == 0
}

/// Takes the marker away: what it said counts for this start only. Durable with the next sync of the root.
///
/// INVARIANT: that sync comes before the index is changed. A start makes it with the folders' names; a
/// rebuild from lines or content changes no index, and its journal ends where no marker of before says.
pub(in crate::meta) fn take(disk: &dyn Disk) -> Result<Option<CleanMarker>, DiskError> {
    let read = read(disk)?;
    for name in [MARKER, UNFINISHED_MARKER] {
        match disk.remove(Path::new(name)) {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Reads the marker, and leaves it.
pub(in crate::meta) fn read(disk: &dyn Disk) -> Result<Option<CleanMarker>, DiskError> {
    let file = match disk.open(Path::new(MARKER)) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; MARKER_SIZE_MAX_BYTES];
    let length = file.read_at(&mut bytes, 0)?;
    bytes.truncate(length);
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    // A marker that cannot be read is no marker: the index is then made anew.
    Ok(decode::<CleanMarker>(line).ok().map(|(clean, _)| clean))
}

/// Writes the marker. Everything it speaks of is durable before this is called.
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
