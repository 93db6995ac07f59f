//! `pulk.json`: what a data directory is. Written once, and again when its format is raised.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::blobs::{BlobError, LocalStore, StoredFile};
use crate::disk::{DirectoryLock, Disk, DiskError};
use crate::meta::{FEATURES, FORMAT, FORMAT_OLDEST, formats_on};
use crate::registry::open_error::OpenError;

const FORMAT_FILE: &str = "pulk.json";
const UNFINISHED_FORMAT_FILE: &str = "pulk.json.new";
const DAMAGED_FORMAT_FILE: &str = "pulk.json.damaged";
const FORMAT_SIZE_MAX_BYTES: usize = 4096;

#[derive(Debug, Serialize, Deserialize)]
struct Format {
    /// The version of the format.
    format: u32,
    /// The version of pulk that wrote this first: no older one is known to read it.
    pulk: String,
    /// Distinguishes this store from any other.
    instance: Uuid,
    /// What the store uses that a version must know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    features: Vec<String>,
}

/// Only the version: the other fields of a newer format are unknown.
#[derive(Debug, Deserialize)]
struct FormatVersion {
    format: u32,
}

/// The other fields, where they are readable.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FormatOrigin {
    pulk: Option<String>,
    instance: Option<Uuid>,
    features: Features,
}

/// The features in use. What is no list of names stands for a feature that no version knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "serde_json::Value")]
struct Features(Vec<String>);

impl From<serde_json::Value> for Features {
    fn from(value: serde_json::Value) -> Self {
        let text =
            |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self(
            value
                .as_array()
                .map_or_else(|| vec![value.to_string()], |names| names.iter().map(text).collect()),
        )
    }
}

/// What `pulk.json` says, or why it cannot be read.
type Said = Result<(u32, FormatOrigin), String>;

/// What a data directory is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// One that this pulk knows.
    Known,
    /// One of an older format that this pulk reads: it becomes one of this pulk's format.
    Older {
        /// Its format.
        format: u32,
        /// Its instance id.
        instance: Uuid,
        /// The features that it uses.
        features: Vec<String>,
    },
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
        Err(OpenError::MetadataLost) => Ok(match said(disk.as_ref())? {
            Some(Ok(said)) => layout(said),
            Some(Err(why)) => Layout::Unreadable(why),
            None => Layout::Unmarked,
        }),
        other => other,
    }
}

/// Determines the layout of a data directory. Changes nothing. Fails where this pulk cannot, or must not, use
/// the directory.
pub fn examine(disk: &Arc<dyn Disk>) -> Result<Layout, OpenError> {
    let said = said(disk.as_ref())?;
    let written = formats_on(disk.as_ref())?;
    check_versions(said.as_ref(), written.as_ref())?;
    match (said, written) {
        (_, None) if has_content(disk)? => Err(OpenError::MetadataLost),
        (Some(Ok(said)), _) => Ok(layout(said)),
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
///
/// INVARIANT: with a lock that others may share, nothing is written, also if the filesystem would take it.
pub(in crate::registry) fn settle_or_read_only(
    disk: &dyn Disk,
    layout: &Layout,
    lock: Option<&DirectoryLock>,
) -> Result<bool, OpenError> {
    if lock.is_some_and(DirectoryLock::is_shared) && *layout != Layout::New {
        return Ok(true);
    }
    match settle(disk, layout) {
        Err(OpenError::Disk(error)) if error.is_read_only() && *layout != Layout::New => Ok(true),
        settled => settled.map(|()| false),
    }
}

/// Refuses a directory if any of its files states a format that this pulk does not read.
fn check_versions(said: Option<&Said>, written: Option<&BTreeSet<u32>>) -> Result<(), OpenError> {
    let said = said.and_then(|said| said.as_ref().ok());
    let mut stated = written.cloned().unwrap_or_default();
    stated.extend(said.map(|(format, _)| *format));
    match (stated.first(), stated.last()) {
        (_, Some(newest)) if *newest > FORMAT => {
            let by = said.filter(|(format, _)| format == newest).and_then(|(_, origin)| origin.pulk.clone());
            Err(OpenError::Newer { found: *newest, known: FORMAT, by })
        }
        (Some(oldest), _) if *oldest < FORMAT_OLDEST => {
            Err(OpenError::Older { found: *oldest, known: FORMAT_OLDEST })
        }
        _ => said.map_or(Ok(()), |(_, origin)| check_features(origin)),
    }
}

/// Refuses a directory that uses a feature which this pulk does not know.
fn check_features(origin: &FormatOrigin) -> Result<(), OpenError> {
    let unknown = origin.features.0.iter().find(|feature| !FEATURES.contains(&feature.as_str()));
    unknown.map_or(Ok(()), |feature| {
        Err(OpenError::Feature { feature: feature.clone(), by: origin.pulk.clone() })
    })
}

fn layout((format, origin): (u32, FormatOrigin)) -> Layout {
    match origin.instance.filter(|_| format < FORMAT) {
        Some(instance) => Layout::Older { format, instance, features: origin.features.0 },
        None if format < FORMAT => Layout::Unreadable("it has no instance id".to_owned()),
        None => Layout::Known,
    }
}

/// Writes `pulk.json` where it is missing or unreadable, or its format is raised, and removes an unfinished
/// one.
///
/// INVARIANT: a raised format is durable in `pulk.json` before any other file has it.
pub fn settle(disk: &dyn Disk, layout: &Layout) -> Result<(), OpenError> {
    let (unfinished, finished) = (Path::new(UNFINISHED_FORMAT_FILE), Path::new(FORMAT_FILE));
    if remove_if_there(disk, unfinished)? {
        log::info!("removed {UNFINISHED_FORMAT_FILE}, which a crash left unfinished");
    }
    let (mut instance, mut features) = (Uuid::new_v4(), Vec::new());
    match layout {
        Layout::Known => return Ok(()),
        Layout::New => {}
        Layout::Older { format, instance: same, features: used } => {
            log::info!(
                "raising the data directory from format {format} to {FORMAT}: versions of pulk before {} \
                 refuse it from now on",
                env!("CARGO_PKG_VERSION")
            );
            (instance, features) = (*same, used.clone());
        }
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
    // A file that is made again names no feature: the lines that need one are refused by themselves.
    write(disk, instance, features)
}

/// Returns what `pulk.json` says, or why it cannot be read; `None` if the file is missing.
fn said(disk: &dyn Disk) -> Result<Option<Said>, OpenError> {
    let file = match disk.open_to_salvage(Path::new(FORMAT_FILE)) {
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
    let origin = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(Some(version.map(|version| (version.format, origin)).map_err(|error| error.to_string())))
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
fn write(disk: &dyn Disk, instance: Uuid, features: Vec<String>) -> Result<(), OpenError> {
    let format = Format { format: FORMAT, pulk: env!("CARGO_PKG_VERSION").to_owned(), instance, features };
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
