//! A copy of the index that may be opened, since opening it writes to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::meta::index::sled::folders;
use crate::meta::index::sled::trees::storage;
use crate::meta::index::{INDEX_FOLDER, IndexError};
use crate::meta::model::UploadId;

/// A copy of the valid database of an index, removed on drop.
#[derive(Debug)]
pub(in crate::meta) struct TemporaryCopy {
    folder: PathBuf,
}

impl TemporaryCopy {
    /// Copies the index in the data directory `root` to the system's temporary files. Nothing in the data
    /// directory changes.
    pub(in crate::meta) fn outside(root: &Path, generation: u64) -> Result<Self, IndexError> {
        let copy = Self { folder: std::env::temp_dir().join(format!("pulk-index-{}", UploadId::random())) };
        fs::create_dir(&copy.folder).map_err(|_| IndexError::NoSpace)?;
        copy.fill(root, generation)
    }

    /// Copies the index in the data directory `root` to a folder beside it, which a start would remove. The
    /// system's temporary files may be in memory.
    pub(in crate::meta) fn beside(root: &Path, generation: u64) -> Result<Self, IndexError> {
        let index = root.join(INDEX_FOLDER);
        let copy = Self { folder: folders::folder(&index, generation.saturating_add(1)) };
        folders::remove(&index, |other| other == generation);
        fs::create_dir(&copy.folder).map_err(|error| storage(error.into()))?;
        copy.fill(root, generation)
    }

    fn fill(self, root: &Path, generation: u64) -> Result<Self, IndexError> {
        let from = folders::folder(&root.join(INDEX_FOLDER), generation);
        copy_entries(&from, &self.folder).map_err(|error| storage(error.into()))?;
        Ok(self)
    }

    /// Returns its folder.
    pub(in crate::meta) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for TemporaryCopy {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("cannot remove {}: {error}", self.folder.display());
            }
            _ => {}
        }
    }
}

/// Copies what is in a folder, but for other databases below it.
fn copy_entries(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if !entry.file_type()?.is_dir() {
            fs::copy(entry.path(), target)?;
        } else if !folders::is_generation(&entry.file_name()) {
            fs::create_dir(&target)?;
            copy_entries(&entry.path(), &target)?;
        }
    }
    Ok(())
}
