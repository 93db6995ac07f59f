//! A disk that keeps everything in memory.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use rustix::io::Errno;

use crate::base::{read, write};

use super::names::{Names, Node};
use super::pages::Pages;
use super::path::checked;
use super::{Disk, DiskError, DiskFile, Entry, ReadFile, SyncSite};

/// A disk that keeps everything in memory, for servers that need not outlive their process, and for tests.
///
/// It behaves as [`RealDisk`](super::RealDisk) does: a file lives as long as it has a name or is open. One
/// lock guards all names and each file has its own, so that files are read and written in parallel.
pub struct MemoryDisk {
    names: RwLock<Names<Arc<Inode>>>,
}

/// A file, independent of its names.
type Inode = RwLock<Pages>;

impl MemoryDisk {
    /// Makes an empty disk.
    pub fn new() -> Self {
        Self { names: RwLock::new(Names::new()) }
    }

    fn opened(&self, op: &'static str, path: &Path, writable: bool) -> Result<Arc<dyn DiskFile>, DiskError> {
        let inode =
            read(&self.names).file(checked(op, path)?).map_err(|errno| DiskError::new(op, path, errno))?;
        Ok(Arc::new(MemoryFile { path: path.to_owned(), inode, writable }))
    }
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MemoryDisk").finish_non_exhaustive()
    }
}

impl Disk for MemoryDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        let inode = Arc::new(Inode::default());
        write(&self.names)
            .create(checked("create", path)?, Arc::clone(&inode))
            .map_err(|errno| DiskError::new("create", path, errno))?;
        Ok(Arc::new(MemoryFile { path: path.to_owned(), inode, writable: true }))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.opened("open", path, false)
    }

    fn open_writable(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.opened("open for writing", path, true)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        const OP: &str = "rename";
        let renamed = write(&self.names).rename(checked(OP, from)?, checked(OP, to)?);
        // Free the replaced file, which may be long, only here, after the names are unlocked.
        renamed.map(drop).map_err(|error| error.of(from, to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<bool, DiskError> {
        const OP: &str = "rename";
        let (from, to) = (checked(OP, from)?, checked(OP, to)?);
        let mut names = write(&self.names);
        let is_new = names.is_new(from, to).map_err(|error| error.of(from, to))?;
        if is_new {
            names.rename(from, to).map_err(|error| error.of(from, to))?;
        }
        Ok(is_new)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        let removed = write(&self.names).remove(checked("remove", path)?);
        removed.map(drop).map_err(|errno| DiskError::new("remove", path, errno))
    }

    fn create_folder(&self, path: &Path) -> Result<(), DiskError> {
        const OP: &str = "create folder";
        let made = write(&self.names).create_folder(checked(OP, path)?);
        made.map_err(|errno| DiskError::new(OP, path, errno))
    }

    fn remove_folder(&self, path: &Path) -> Result<(), DiskError> {
        const OP: &str = "remove folder";
        let removed = write(&self.names).remove_folder(checked(OP, path)?);
        removed.map_err(|errno| DiskError::new(OP, path, errno))
    }

    fn sync_folder_at(&self, path: &Path, _site: SyncSite) -> Result<(), DiskError> {
        const OP: &str = "sync folder";
        let folder = read(&self.names).folder(checked(OP, path)?);
        folder.map(drop).map_err(|errno| DiskError::new(OP, path, errno))
    }

    fn syncs_filesystem(&self, _folder: &Path) -> bool {
        true
    }

    fn sync_filesystem_at(&self, _folder: &Path, _site: SyncSite) -> Result<(), DiskError> {
        Ok(())
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, DiskError> {
        let names = read(&self.names);
        let found =
            names.list(checked("list", path)?).map_err(|errno| DiskError::new("list", path, errno))?;
        Ok(found
            .map(|(name, node)| match node {
                Node::Folder(_) => Entry { name: name.to_owned(), is_folder: true, length: 0 },
                Node::File(inode) => {
                    Entry { name: name.to_owned(), is_folder: false, length: read(inode).length() }
                }
            })
            .collect())
    }

    fn free_bytes(&self) -> Result<Option<u64>, DiskError> {
        Ok(None)
    }
}

/// An open file of a [`MemoryDisk`].
struct MemoryFile {
    path: PathBuf,
    inode: Arc<Inode>,
    writable: bool,
}

impl MemoryFile {
    /// Fails as Linux does if the handle is read-only, or if the file would exceed the greatest length.
    fn check_change(&self, op: &'static str, end: Option<u64>, read_only: Errno) -> Result<(), DiskError> {
        let errno = match end {
            _ if !self.writable => read_only,
            Some(end) if i64::try_from(end).is_ok() => return Ok(()),
            _ => Errno::FBIG,
        };
        Err(DiskError::new(op, &self.path, errno))
    }
}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MemoryFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ReadFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        Ok(read(&self.inode).read_at(buffer, offset))
    }

    fn length(&self) -> Result<u64, DiskError> {
        Ok(read(&self.inode).length())
    }

    fn identity(&self) -> Result<u64, DiskError> {
        Ok(Arc::as_ptr(&self.inode).addr() as u64)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl DiskFile for MemoryFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        // An empty write never reaches Linux.
        if bytes.is_empty() {
            return Ok(());
        }
        self.check_change("write", offset.checked_add(bytes.len() as u64), Errno::BADF)?;
        write(&self.inode).write_at(bytes, offset);
        Ok(())
    }

    fn sync_at(&self, _site: SyncSite) -> Result<(), DiskError> {
        Ok(())
    }

    fn truncate(&self, length: u64) -> Result<(), DiskError> {
        self.check_change("truncate", Some(length), Errno::INVAL)?;
        write(&self.inode).truncate(length);
        Ok(())
    }

    fn reserve(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        if length == 0 {
            return Ok(());
        }
        self.check_change("reserve space for", offset.checked_add(length), Errno::BADF)
    }

    fn start_write_back(&self, _offset: u64, _length: u64) {}

    fn has_other_names(&self) -> Result<Option<bool>, DiskError> {
        // It never loses power.
        Ok(Some(false))
    }
}
