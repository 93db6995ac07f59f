//! The few disk operations that everything durable goes through.
//!
//! All paths are relative to the data directory. The implementations are the real disk ([`RealDisk`]), one
//! that keeps everything in memory ([`MemoryDisk`]), and [`MeteredDisk`], which counts the operations on
//! another disk.
//!
//! A caller may rely on this alone: bytes written to a file are durable after `sync` of it; a name made by
//! [`Disk::create`], [`Disk::rename`], [`Disk::rename_new`] or [`Disk::create_folder`], and the absence of
//! one removed by [`Disk::remove`] or [`Disk::remove_folder`], is durable after `sync_folder` of the folder
//! that holds it. After a sync that failed, this holds only for what is written after it. Where a filesystem
//! can be synced as a whole (`sync_filesystem`), that makes all of it durable.
//!
//! | what | where |
//! |---|---|
//! | the disk of the operating system | `real`, `real_file` |
//! | a disk in memory, its folders and its files | `memory`, `names`, `pages` |
//! | a disk that counts the operations on another one | `metered` |
//! | which paths a disk accepts, and the errors of its operations | `path`, `error` |
//! | the state of a file, to recognize it | `file_state` |
//! | free space, and the reserve in it | `space` |
//! | files that the medium cannot open | `error/unreadable` |
//! | what a start needs: the lock, the owner, the filesystems | `lock`, `owner`, `filesystem`, `trials` |

mod error;
#[cfg(test)]
pub(crate) mod faulty;
mod file_state;
mod filesystem;
mod lock;
mod memory;
mod metered;
mod names;
mod owner;
mod pages;
mod path;
mod real;
mod real_file;
#[cfg(test)]
pub(crate) mod simulated;
mod space;
#[cfg(test)]
mod tests;
mod trials;

pub use error::{DiskError, unless_damaged};
pub use file_state::FileState;
pub use filesystem::same_filesystem;
pub use lock::{DirectoryLock, LockError};
pub use memory::MemoryDisk;
pub use metered::{DiskCounters, MeteredDisk};
pub use owner::{ForeignOwner, restrict_new_files};
pub use real::RealDisk;
pub use space::FreeSpace;

use std::os::fd::BorrowedFd;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The unit in which a medium writes, in bytes. A power cut may garble the whole of a block that is being
/// written again, with the durable bytes in it.
pub const BLOCK_SIZE_BYTES: u64 = 4096;

/// What a sync of a whole filesystem is called.
const SYNC_FILESYSTEM: &str = "sync the filesystem of";

/// The place in the code that makes something durable, so that the crash tests can tell the places apart and
/// leave one out.
pub type SyncSite = &'static Location<'static>;

/// A disk as pulk sees it: one folder tree, addressed by paths relative to its root.
pub trait Disk: Send + Sync + 'static {
    /// Creates a file (mode 0600) for reading and writing, and fails if the name exists.
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// Opens an existing file for reading.
    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// Opens an existing file for reading and writing.
    fn open_writable(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// Renames a file, and replaces a file that has the new name.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// Renames a file, unless the new name exists. Returns whether it did: false also where the filesystem
    /// knows no such rename, or where a file that is renamed before its sync could keep its new name alone.
    fn rename_new(&self, from: &Path, to: &Path) -> Result<bool, DiskError>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> Result<(), DiskError>;

    /// Creates a folder (mode 0700) unless it exists; its parent must exist.
    fn create_folder(&self, path: &Path) -> Result<(), DiskError>;

    /// Removes a folder that is empty. Fails if it is not.
    fn remove_folder(&self, path: &Path) -> Result<(), DiskError>;

    /// Implements `sync_folder`, called at `site`.
    fn sync_folder_at(&self, path: &Path, site: SyncSite) -> Result<(), DiskError>;

    /// Tells whether `sync_filesystem` can be used for the filesystem that holds a folder. It has to be asked
    /// before anything is written that such a sync shall make durable.
    fn syncs_filesystem(&self, _folder: &Path) -> bool {
        false
    }

    /// Implements `sync_filesystem`, called at `site`.
    fn sync_filesystem_at(&self, folder: &Path, site: SyncSite) -> Result<(), DiskError>;

    /// Lists a folder, sorted by name.
    fn list(&self, path: &Path) -> Result<Vec<Entry>, DiskError>;

    /// Returns the bytes that may still be written, or `None` without a limit.
    fn free_bytes(&self) -> Result<Option<u64>, DiskError>;

    /// Returns how many more files and folders can be created, or `None` without a limit.
    fn free_files(&self) -> Result<Option<u64>, DiskError> {
        Ok(None)
    }

    /// Tells whether the filesystem is known to be read-only. Some filesystems show that only by the error of
    /// a write.
    fn is_read_only(&self) -> bool {
        false
    }
}

impl dyn Disk + '_ {
    /// Makes the names in a folder durable.
    #[track_caller]
    pub fn sync_folder(&self, path: &Path) -> Result<(), DiskError> {
        self.sync_folder_at(path, Location::caller())
    }

    /// Makes all files and names durable that were written to the filesystem of a folder, where
    /// [`Disk::syncs_filesystem`] says that it can. Fails if anything that was written there since the last
    /// such sync was lost. The syncs of other files report their own losses all the same.
    #[track_caller]
    pub fn sync_filesystem(&self, folder: &Path) -> Result<(), DiskError> {
        self.sync_filesystem_at(folder, Location::caller())
    }

    /// Removes a folder if it is empty, so that its name is written again when it is created. Returns whether
    /// it is gone.
    pub fn remove_folder_if_empty(&self, path: &Path) -> Result<bool, DiskError> {
        match self.remove_folder(path) {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(true),
            Err(error) if error.is_not_empty() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, without its folder.
    pub name: String,
    /// Whether it is a folder itself.
    pub is_folder: bool,
    /// The length in bytes; 0 for a folder.
    pub length: u64,
}

/// A file that is open for reading. Reads carry their offset, so one handle serves any number of readers.
pub trait ReadFile: Send + Sync + std::fmt::Debug + 'static {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 means the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError>;

    /// Returns the length in bytes.
    fn length(&self) -> Result<u64, DiskError>;

    /// Asks the system to drop these bytes from its page cache, so that the next read comes from the medium;
    /// without any guarantee.
    fn drop_cached(&self, _offset: u64, _length: u64) {}

    /// Returns when its bytes were last written, by the system's clock, if the disk knows.
    fn written_at(&self) -> Option<SystemTime> {
        None
    }

    /// Returns which file this is and when it was changed last, if the disk knows.
    fn state(&self) -> Option<FileState> {
        None
    }

    /// Returns what identifies this file among all open files of the disk, independent of its name.
    fn identity(&self) -> Result<u64, DiskError>;

    /// Returns the descriptor for `sendfile`, if the file has one.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;
}

/// An open file of a [`Disk`]. Writes carry their offset.
pub trait DiskFile: ReadFile {
    /// Writes all of `bytes` at `offset`. After an error any part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError>;

    /// Implements `sync`, called at `site`.
    fn sync_at(&self, site: SyncSite) -> Result<(), DiskError>;

    /// Cuts the file, or extends it with zeroes, to `length` bytes.
    fn truncate(&self, length: u64) -> Result<(), DiskError>;

    /// Reserves space for the bytes from `offset` on without changing the file's length. A disk that cannot
    /// reserve ignores the call.
    fn reserve(&self, offset: u64, length: u64) -> Result<(), DiskError>;

    /// Asks the system to start writing these bytes to the medium; without any guarantee.
    fn start_write_back(&self, offset: u64, length: u64);

    /// Tells whether the file has more than one name, as a power cut can leave both names of a rename. `None`
    /// where that is unknown: not every filesystem counts the names of a file.
    fn has_other_names(&self) -> Result<Option<bool>, DiskError>;
}

impl dyn DiskFile + '_ {
    /// Makes the file's bytes and its length durable. After an error, the result of a second try is
    /// meaningless.
    #[track_caller]
    pub fn sync(&self) -> Result<(), DiskError> {
        self.sync_at(Location::caller())
    }
}
