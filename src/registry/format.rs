//! `pulk.json`: what a data directory is, written once.

use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::disk::{Disk, DiskError};
use crate::registry::open::OpenError;

/// The version of the data directory's layout that this pulk reads and writes.
pub(super) const FORMAT_VERSION: u32 = 1;

const FORMAT_FILE: &str = "pulk.json";
const UNFINISHED_FORMAT_FILE: &str = "pulk.json.new";
const FORMAT_SIZE_MAX_BYTES: usize = 4096;

#[derive(Debug, Serialize, Deserialize)]
struct Format {
    /// The layout's version.
    format: u32,
    /// Tells this store from any other.
    instance: Uuid,
}

/// Only the version: a newer one may have anything else in it.
#[derive(Debug, Deserialize)]
struct Version {
    format: u32,
}

/// Checks that the data directory has a layout that this pulk knows, and changes nothing.
pub(super) fn check(disk: &dyn Disk) -> Result<bool, OpenError> {
    let file = match disk.open(Path::new(FORMAT_FILE)) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = vec![0; FORMAT_SIZE_MAX_BYTES];
    let length = file.read_at(&mut bytes, 0)?;
    bytes.truncate(length);
    let version: Version =
        serde_json::from_slice(&bytes).map_err(|error| OpenError::Format(error.to_string()))?;
    if version.format > FORMAT_VERSION {
        return Err(OpenError::Newer { found: version.format, known: FORMAT_VERSION });
    }
    Ok(true)
}

/// Writes the file into a new data directory, durably.
pub(super) fn write(disk: &dyn Disk) -> Result<(), OpenError> {
    let format = Format { format: FORMAT_VERSION, instance: Uuid::new_v4() };
    let mut text = serde_json::to_string(&format).map_err(|error| OpenError::Format(error.to_string()))?;
    text.push('\n');
    let (unfinished, finished) = (Path::new(UNFINISHED_FORMAT_FILE), Path::new(FORMAT_FILE));
    remove_if_there(disk, unfinished)?;
    let file = disk.create(unfinished)?;
    file.write_at(text.as_bytes(), 0)?;
    file.sync()?;
    disk.rename(unfinished, finished)?;
    disk.sync_folder(Path::new(""))?;
    Ok(())
}

fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    match disk.remove(path) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
