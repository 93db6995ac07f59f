//! The progress of a scrub, kept across restarts.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk::{Disk, DiskError};
use crate::maintenance::scrub::pass::Reached;
use crate::maintenance::scrub::report::ScrubReport;

const FILE: &str = "scrub.json";
const UNFINISHED_FILE: &str = "scrub.json.new";

/// The version of the file's form.
const FORMAT: u32 = 1;

/// Longer than any.
const FILE_SIZE_MAX_BYTES: usize = 1024 * 1024;

/// The progress of a scrub.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) format: u32,
    /// The pass that has begun and not ended.
    pub(super) pass: Option<Reached>,
    /// The last full pass.
    pub(super) last: Option<ScrubReport>,
}

impl Saved {
    /// Reads what was saved. If that cannot be read, the pass starts over.
    pub(super) fn load(disk: &dyn Disk) -> Self {
        match read(disk) {
            Ok(Some(bytes)) => match serde_json::from_slice::<Self>(&bytes) {
                Ok(saved) if saved.format == FORMAT => saved,
                Ok(_) => Self::default(),
                Err(error) => {
                    log::warn!("the scrub starts over: {FILE} cannot be read: {error}");
                    Self::default()
                }
            },
            Ok(None) => Self::default(),
            Err(error) => {
                log::warn!("the scrub starts over: {error}");
                Self::default()
            }
        }
    }

    /// Saves it: a power cut leaves either this or an earlier state, whole. A failure costs part of a pass at
    /// the next restart.
    pub(super) fn save(&mut self, disk: &dyn Disk) {
        self.format = FORMAT;
        if let Err(error) = self.write(disk) {
            log::warn!("the progress of the scrub could not be saved: {error}");
        }
    }

    fn write(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        let unfinished = Path::new(UNFINISHED_FILE);
        let bytes = serde_json::to_vec(self)
            .map_err(|error| DiskError::new("render", unfinished, std::io::Error::from(error)))?;
        match disk.remove(unfinished) {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        let file = disk.create(unfinished)?;
        file.write_at(&bytes, 0)?;
        // Otherwise a power cut might leave the name without the bytes, and a pass of days would start over.
        file.sync()?;
        // The name need not be durable: with the old one only part of the pass is repeated.
        disk.rename(unfinished, Path::new(FILE))
    }
}

fn read(disk: &dyn Disk) -> Result<Option<Vec<u8>>, DiskError> {
    let file = match disk.open(Path::new(FILE)) {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened?,
    };
    let length = usize::try_from(file.length()?).unwrap_or(usize::MAX).min(FILE_SIZE_MAX_BYTES);
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while let Some(space) = bytes.get_mut(filled..).filter(|space| !space.is_empty()) {
        match file.read_at(space, filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(Some(bytes))
}
