//! A copy of the index that may be opened, since opening it writes to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::meta::index::INDEX_FOLDER;
use crate::meta::index::sled::folders;
use crate::meta::model::UploadId;

/// A copy among the system's temporary files, removed on drop.
#[derive(Debug)]
pub(in crate::meta) struct TemporaryCopy {
    folder: PathBuf,
}

impl TemporaryCopy {
    /// Copies the valid database of the index in the data directory `root`.
    pub(in crate::meta) fn of(root: &Path, generation: u64) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("pulk-index-{}", UploadId::random()));
        let copy = Self { folder };
        copy_folder(&folders::folder(&root.join(INDEX_FOLDER), generation), &copy.folder)?;
        Ok(copy)
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

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
