//! `pulk.json`: what a data directory is, written once.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::blobs::{BlobError, LocalStore, StoredFile};
use crate::disk::{Disk, DiskError};
use crate::meta::format_on;
use crate::registry::open_error::OpenError;

/// The version of the data directory's layout that this pulk reads and writes.
pub(in crate::registry) const FORMAT_VERSION: u32 = 1;

const FORMAT_FILE: &str = "pulk.json";
const UNFINISHED_FORMAT_FILE: &str = "pulk.json.new";
const DAMAGED_FORMAT_FILE: &str = "pulk.json.damaged";
const FORMAT_SIZE_MAX_BYTES: usize = 4096;

#[derive(Debug, Serialize, Deserialize)]
struct Format {
    /// The layout's version.
    format: u32,
    /// Distinguishes this store from any other.
    instance: Uuid,
}

/// Only the version: the other fields of a newer format are unknown.
#[derive(Debug, Deserialize)]
struct FormatVersion {
    format: u32,
}

/// What a data directory is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// One that this pulk knows.
    Known,
    /// Nothing yet.
    New,
    /// One that this pulk recognizes by its journal; `pulk.json` is missing.
    Unmarked,
    /// One that this pulk recognizes by its journal; `pulk.json` cannot be read, for this reason.
    Unreadable(String),
}

/// Determines the layout of a data directory, for a caller that does not need its metadata. Changes nothing.
pub fn examine_content(disk: &Arc<dyn Disk>) -> Result<Layout, OpenError> {
    match examine(disk) {
        Err(OpenError::MetadataLost) => Ok(match said_version(disk.as_ref())? {
            Some(Ok(_)) => Layout::Known,
            Some(Err(why)) => Layout::Unreadable(why),
            None => Layout::Unmarked,
        }),
        other => other,
    }
}

/// Determines the layout of a data directory. Changes nothing. Fails where this pulk cannot, or must not, use
/// the directory.
pub fn examine(disk: &Arc<dyn Disk>) -> Result<Layout, OpenError> {
    let said = said_version(disk.as_ref())?;
    let written = format_on(disk.as_ref())?;
    let newest =
        written.unwrap_or(0).max(said.as_ref().and_then(|said| said.as_ref().ok()).copied().unwrap_or(0));
    if newest > FORMAT_VERSION {
        return Err(OpenError::Newer { found: newest, known: FORMAT_VERSION });
    }
    match (said, written) {
        (_, None) if has_content(disk)? => Err(OpenError::MetadataLost),
        (Some(Ok(_)), _) => Ok(Layout::Known),
        (None, None) => Ok(Layout::New),
        (None, Some(_)) => Ok(Layout::Unmarked),
        (Some(Err(why)), Some(_)) => Ok(Layout::Unreadable(why)),
        // Nothing shows that the directory is pulk's at all.
        (Some(Err(why)), None) => Err(OpenError::Format(why)),
    }
}

/// Does what [`settle`] does, or returns true where a store is on a read-only filesystem.
///
/// The first step of settling a layout is to remove a file, so that it shows at every start whether the
/// filesystem takes writes.
pub(in crate::registry) fn settle_or_read_only(disk: &dyn Disk, layout: &Layout) -> Result<bool, OpenError> {
    match settle(disk, layout) {
        Err(OpenError::Disk(error)) if error.is_read_only() && *layout != Layout::New => Ok(true),
        settled => settled.map(|()| false),
    }
}

/// Writes `pulk.json` where it is missing or unreadable, and removes an unfinished one.
pub fn settle(disk: &dyn Disk, layout: &Layout) -> Result<(), OpenError> {
    let (unfinished, finished) = (Path::new(UNFINISHED_FORMAT_FILE), Path::new(FORMAT_FILE));
    if remove_if_there(disk, unfinished)? {
        log::info!("removed {UNFINISHED_FORMAT_FILE}, which a crash left unfinished");
    }
    match layout {
        Layout::Known => return Ok(()),
        Layout::New => {}
        Layout::Unmarked => {
            log::warn!("{FORMAT_FILE} was missing; writing it again with a new instance id");
        }
        Layout::Unreadable(why) => {
            log::warn!(
                "{FORMAT_FILE} cannot be read ({why}); keeping it as {DAMAGED_FORMAT_FILE} and writing \
                 another with a new instance id"
            );
            disk.rename(finished, Path::new(DAMAGED_FORMAT_FILE))?;
        }
    }
    write(disk)
}

/// Returns the version in `pulk.json`, or why it cannot be read; `None` if the file is missing.
fn said_version(disk: &dyn Disk) -> Result<Option<Result<u32, String>>, OpenError> {
    let file = match disk.open(Path::new(FORMAT_FILE)) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = vec![0; FORMAT_SIZE_MAX_BYTES];
    let length = match file.read_at(&mut bytes, 0) {
        Err(error) if error.is_of_the_medium() => return Ok(Some(Err(error.to_string()))),
        read => read?,
    };
    bytes.truncate(length);
    let version = serde_json::from_slice::<FormatVersion>(&bytes);
    Ok(Some(version.map(|version| version.format).map_err(|error| error.to_string())))
}

/// Tells whether the directory has any content, named or not.
fn has_content(disk: &Arc<dyn Disk>) -> Result<bool, OpenError> {
    /// Ends the search at the first file.
    enum ContentSearch {
        Found,
        Failed(BlobError),
    }
    impl From<BlobError> for ContentSearch {
        fn from(error: BlobError) -> Self {
            Self::Failed(error)
        }
    }
    let looked = LocalStore::as_it_is(Arc::clone(disk)).each_file(|file| match file {
        StoredFile::Content(..) => Err(ContentSearch::Found),
        StoredFile::Foreign(_) => Ok(()),
    });
    match looked {
        Ok(()) => Ok(false),
        Err(ContentSearch::Found) => Ok(true),
        Err(ContentSearch::Failed(error)) => Err(error.into()),
    }
}

/// Writes the file. Its bytes are durable on return. Its name is durable once the metadata is opened, which
/// syncs the root before anything is acknowledged.
fn write(disk: &dyn Disk) -> Result<(), OpenError> {
    let format = Format { format: FORMAT_VERSION, instance: Uuid::new_v4() };
    let mut text = serde_json::to_string(&format).map_err(|error| OpenError::Format(error.to_string()))?;
    text.push('\n');
    let (unfinished, finished) = (Path::new(UNFINISHED_FORMAT_FILE), Path::new(FORMAT_FILE));
    let file = disk.create(unfinished)?;
    file.write_at(text.as_bytes(), 0)?;
    file.sync()?;
    Ok(disk.rename(unfinished, finished)?)
}

fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<bool, DiskError> {
    match disk.remove(path) {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}
