//! Temporary files: a copy of the index that may be opened, since opening it writes to it, and a new index
//! that no store uses.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::base::lock;
use crate::meta::index::sled::folders;
use crate::meta::index::sled::index::SledIndex;
use crate::meta::index::sled::trees::storage;
use crate::meta::index::{INDEX_FOLDER, Index, IndexError};
use crate::meta::model::UploadId;

/// How often the files of an index in use are removed: sled may create some meanwhile.
const REMOVALS_MAX: u32 = 50;
const REMOVAL_PAUSE: Duration = Duration::from_millis(5);

/// A folder among the system's temporary files, for its owner alone, removed on drop.
#[derive(Debug)]
pub struct TemporaryFolder {
    path: PathBuf,
    /// Held while databases are created in it, and for good once it is removed early: creating one makes its
    /// parents, too.
    creating: Arc<Mutex<()>>,
}

impl TemporaryFolder {
    /// Creates an empty folder.
    pub fn create() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("pulk-{}", UploadId::random()));
        folders::create(&path, false)?;
        Ok(Self { path, creating: Arc::default() })
    }

    /// Returns its path.
    #[cfg(test)]
    pub(in crate::meta) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes an empty index in it, whose files go with its last handle.
    pub(in crate::meta) fn index(&self) -> Result<SledIndex, IndexError> {
        let _held = lock(&self.creating);
        let index = SledIndex::create(&self.new_name(), 0)?;
        index.discard();
        Ok(index)
    }

    /// Opens a copy of an index that is in it.
    pub(in crate::meta) fn open(&self, copy: &TemporaryCopy) -> Result<SledIndex, IndexError> {
        let _held = lock(&self.creating);
        SledIndex::open(copy.folder())
    }

    fn new_name(&self) -> PathBuf {
        self.path.join(UploadId::random().to_string())
    }

    /// Returns what removes it while it is in use, and then ends the process by `end`.
    pub fn remover(&self) -> impl FnOnce(&dyn Fn()) + Send + use<> {
        let (path, creating) = (self.path.clone(), Arc::clone(&self.creating));
        move |end| {
            let _held = lock(&creating);
            for _ in 0..REMOVALS_MAX {
                if fs::remove_dir_all(&path).is_ok() || !path.exists() {
                    break;
                }
                thread::sleep(REMOVAL_PAUSE);
            }
            end();
        }
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!("cannot remove {}: {error}", folder.display());
        }
        _ => {}
    }
}

/// A copy of the valid database of an index, removed on drop.
#[derive(Debug)]
pub(in crate::meta) struct TemporaryCopy {
    folder: PathBuf,
}

impl TemporaryCopy {
    /// Copies the index in the data directory `root` to a folder of temporary files. Nothing in the data
    /// directory changes.
    pub(in crate::meta) fn outside(
        root: &Path,
        generation: u64,
        temporary: &TemporaryFolder,
    ) -> Result<Self, IndexError> {
        let copy = Self { folder: temporary.new_name() };
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
        remove(&self.folder);
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

    #[test]
    fn a_copy_is_out_of_reach_of_other_users() {
        let root = tempfile::tempdir().unwrap();
        drop(SledIndex::create(&root.path().join(INDEX_FOLDER), 0).unwrap());
        let temporary = TemporaryFolder::create().unwrap();
        let mode = |folder: &Path| fs::metadata(folder).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(temporary.path()), 0o700);
        let outside = TemporaryCopy::outside(root.path(), 0, &temporary);
        for copy in [outside, TemporaryCopy::beside(root.path(), 0)] {
            let copy = copy.unwrap();
            assert_eq!(mode(copy.folder()), 0o700);
            assert!(fs::read_dir(copy.folder()).unwrap().count() > 0);
        }
    }

    #[test]
    fn temporary_files_go_with_their_last_handle() {
        let temporary = TemporaryFolder::create().unwrap();
        let path = temporary.path().to_owned();
        drop(temporary.index().unwrap());
        let left = |folder: &Path| fs::read_dir(folder).unwrap().count();
        assert!(fs::read_dir(&path).unwrap().all(|index| left(&index.unwrap().path()) == 0));
        drop(temporary);
        assert!(!path.exists());
    }
}
