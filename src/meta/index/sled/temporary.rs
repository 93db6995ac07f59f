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
        folders::create(&copy.folder, false).map_err(|_| IndexError::NoSpace)?;
        copy.fill(root, generation)
    }

    /// Copies the index in the data directory `root` to a folder beside it, which a start would remove. The
    /// system's temporary files may be in memory.
    pub(in crate::meta) fn beside(root: &Path, generation: u64) -> Result<Self, IndexError> {
        let index = root.join(INDEX_FOLDER);
        let copy = Self { folder: folders::folder(&index, generation.saturating_add(1)) };
        folders::remove(&index, |other| other == generation);
        folders::create(&copy.folder, false).map_err(|error| storage(error.into()))?;
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::meta::index::SledIndex;

    #[test]
    fn a_copy_is_out_of_reach_of_other_users() {
        let root = tempfile::tempdir().unwrap();
        drop(SledIndex::create(&root.path().join(INDEX_FOLDER), 0).unwrap());
        for copy in [TemporaryCopy::outside(root.path(), 0), TemporaryCopy::beside(root.path(), 0)] {
            let copy = copy.unwrap();
            assert_eq!(fs::metadata(copy.folder()).unwrap().permissions().mode() & 0o777, 0o700);
            assert!(fs::read_dir(copy.folder()).unwrap().count() > 0);
        }
    }
}
