//! What a disk operation fails with.

mod unreadable;

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

pub use unreadable::unless_damaged;

/// What the operations that are tried are called in errors.
pub(super) const REPLACE: &str = "replace a file by a rename,";
pub(super) const READ_REMOVED: &str = "read a file that was removed while it is open,";

/// What two operations are called that a filesystem may lack.
pub(super) const LOCK: &str = "lock";
pub(super) const SYNC_FOLDER: &str = "sync folder";

/// A disk operation that failed: what was tried, on which path, and the system's reason.
#[derive(Debug, thiserror::Error)]
#[error("cannot {op} {}: {source}", path.display())]
pub struct DiskError {
    op: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl DiskError {
    /// Makes the error of an operation (`op` completes "cannot …", such as `"rename"`) on `path`.
    pub fn new(op: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        // Paths are relative to the disk's root, and the empty path names the root: show it as `.`.
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Self { op, path: path.to_owned(), source: source.into() }
    }

    /// Returns what was tried.
    pub fn op(&self) -> &'static str {
        self.op
    }

    /// Returns the path it was tried on, relative to the disk's root where it is a disk's own.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the kind of the system's reason.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Tells whether the name, or a folder on the way to it, does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }

    /// Tells whether a folder could not be removed since it is not empty.
    pub fn is_not_empty(&self) -> bool {
        // POSIX allows both.
        matches!(Errno::from_io_error(&self.source), Some(Errno::NOTEMPTY | Errno::EXIST))
    }

    /// Tells whether the medium failed to return the bytes: a retry may or may not help.
    pub fn is_of_the_medium(&self) -> bool {
        let errno = Errno::from_io_error(&self.source);
        // Drivers and filesystems return the last two for a bad sector or checksum.
        matches!(errno, Some(Errno::IO | Errno::BADMSG | Errno::NODATA | Errno::REMOTEIO | Errno::UCLEAN))
    }

    /// Tells whether the filesystem cannot do what was tried, now or later.
    pub fn is_of_the_filesystem(&self) -> bool {
        match self.op {
            REPLACE | READ_REMOVED => !self.is_of_the_medium(),
            LOCK | SYNC_FOLDER => matches!(
                Errno::from_io_error(&self.source),
                Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK)
            ),
            // The lock's file is always this process's own.
            "truncate" => matches!(
                Errno::from_io_error(&self.source),
                Some(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP)
            ),
            _ => false,
        }
    }

    /// Tells whether the process or the system had no descriptor left, so that the operation had no effect.
    pub fn is_without_descriptors(&self) -> bool {
        matches!(Errno::from_io_error(&self.source), Some(Errno::MFILE | Errno::NFILE))
    }

    /// Tells whether a file would be larger than the filesystem or a limit of the process allows.
    pub fn is_too_large(&self) -> bool {
        self.kind() == io::ErrorKind::FileTooLarge
    }

    /// Tells whether the filesystem takes no writes.
    pub fn is_read_only(&self) -> bool {
        self.kind() == io::ErrorKind::ReadOnlyFilesystem
    }

    /// Tells whether the disk has no room left, or its owner's quota is used up.
    pub fn is_full(&self) -> bool {
        matches!(Errno::from_io_error(&self.source), Some(Errno::NOSPC | Errno::DQUOT))
            || matches!(self.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}
