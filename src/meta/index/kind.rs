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

/// Makes an index of a generation for a test.
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
    /// Makes an empty index. The first one, of generation 0, replaces everything on the disk; a later one
    /// lies beside the index in use.
    pub(in crate::meta) fn make(&self, generation: u64) -> Result<Arc<dyn Index>, IndexError> {
        match self {
            Self::Map => Ok(Arc::new(MapIndex::new())),
            Self::Sled(root) => {
                if generation == 0 {
                    self.remove()?;
                }
                Ok(Arc::new(SledIndex::create(&root.join(INDEX_FOLDER), generation)?))
            }
            #[cfg(test)]
            Self::Made(made) => made.0(generation),
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
