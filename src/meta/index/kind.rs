//! Which index a store has, and how to make it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::meta::index::contract::{Index, IndexError};
use crate::meta::index::map::MapIndex;
use crate::meta::index::sled::SledIndex;

/// The folder of the index on the disk.
pub(in crate::meta) const INDEX_FOLDER: &str = "index";

/// Where the index is kept.
#[derive(Debug, Clone)]
pub enum IndexKind {
    /// In memory, gone with the process.
    Map,
    /// In sled, in the folder `index` of the data directory that is given.
    Sled(PathBuf),
    /// The index that a test makes.
    #[cfg(test)]
    Made(Made),
}

#[cfg(test)]
type Make = dyn Fn(u64) -> Result<Arc<dyn Index>, IndexError> + Send + Sync;

/// Makes an index for a test; the argument is the number of indexes that failed before.
#[cfg(test)]
#[derive(Clone)]
pub struct Made(pub Arc<Make>);

#[cfg(test)]
impl std::fmt::Debug for Made {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Made")
    }
}

impl IndexKind {
    /// Makes an empty index in place of the old one. `failed` is the number of indexes that failed since the
    /// start.
    pub(in crate::meta) fn make(&self, failed: u64) -> Result<Arc<dyn Index>, IndexError> {
        match self {
            Self::Map => Ok(Arc::new(MapIndex::new())),
            Self::Sled(root) => {
                self.remove()?;
                let mut folder = root.join(INDEX_FOLDER);
                // A failed index may still write to files by their names, so the next one uses other names.
                if failed > 0 {
                    folder.push(format!("rebuilt-{failed}"));
                }
                Ok(Arc::new(SledIndex::open(&folder)?))
            }
            #[cfg(test)]
            Self::Made(made) => made.0(failed),
        }
    }

    /// Removes its files from the disk.
    pub(in crate::meta) fn remove(&self) -> Result<(), IndexError> {
        let Self::Sled(root) = self else { return Ok(()) };
        // sled's own files need not be durable, so they bypass the disk's operations.
        match std::fs::remove_dir_all(root.join(INDEX_FOLDER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(IndexError::Remove(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Tells whether it is kept on disk and thus takes no memory.
    pub(in crate::meta) fn is_on_disk(&self) -> bool {
        !matches!(self, Self::Map)
    }
}
