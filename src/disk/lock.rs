//! The lock that excludes a second pulk from a data directory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::{Errno, retry_on_intr};

use super::DiskError;
use super::error::LOCK;

/// The lock's name in the data directory. The file stays after the release: its removal could take it away
/// from another process that has just opened it.
const LOCK_NAME: &str = "lock";

/// Longer than any pid.
const PID_LENGTH_MAX_BYTES: usize = 32;

/// Use of a data directory until this is dropped, or the process ends in any way: exclusive use, or, on a
/// read-only filesystem, use that is shared with others that only read.
#[derive(Debug)]
pub struct DirectoryLock {
    /// `None` where a read-only filesystem has no such file.
    file: Option<File>,
    is_shared: bool,
}

/// Why a data directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another pulk holds the lock.
    #[error("{} is in use by another pulk{}", path.display(), with_pid(*pid))]
    Held {
        /// The data directory.
        path: PathBuf,
        /// The process that holds the lock, unless it has not written its pid yet.
        pid: Option<u32>,
    },
    /// The lock could not be opened, taken or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

fn with_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

impl DirectoryLock {
    /// Takes the lock of an existing data directory without waiting, and writes this process's pid into it.
    /// On a read-only filesystem the lock is shared, and has no pid.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join(LOCK_NAME);
        let failed = |op, source: io::Error| DiskError::new(op, &path, source);
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => return Self::share(directory),
            opened => opened.map_err(|error| failed("open", error))?,
        };
        lock(directory, &path, &file, FlockOperation::NonBlockingLockExclusive)?;
        let pid = format!("{}\n", std::process::id());
        // Overwrite what a crash left there: a full disk may have no space for new bytes.
        match file.write_all_at(pid.as_bytes(), 0) {
            Ok(()) => file.set_len(pid.len() as u64).map_err(|error| failed("truncate", error))?,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                file.set_len(0).map_err(|error| failed("truncate", error))?;
            }
            // After an error of the medium, a filesystem may let a file be opened and refuse the write.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                drop(file);
                return Self::share(directory);
            }
            Err(error) => return Err(failed("write", error).into()),
        }
        Ok(Self { file: Some(file), is_shared: false })
    }

    /// Tells whether others may have the lock, too. Its holder must not write, also if it could later.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Returns a shared lock, as on a read-only filesystem.
    #[cfg(test)]
    pub(crate) fn shared(directory: &Path) -> Self {
        Self::share(directory).unwrap()
    }

    /// Takes the lock of a data directory that cannot be written here. It excludes a process that writes to
    /// the directory through another mount, and no reader.
    pub(super) fn share(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join(LOCK_NAME);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { file: None, is_shared: true });
            }
            opened => opened.map_err(|error| DiskError::new("open", &path, error))?,
        };
        lock(directory, &path, &file, FlockOperation::NonBlockingLockShared)?;
        Ok(Self { file: Some(file), is_shared: true })
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        // From here on readers of the file find no pid instead of a wrong one. If either step fails, closing
        // the file still releases the lock.
        let _ = file.set_len(0);
        let _ = retry_on_intr(|| rustix::fs::flock(file, FlockOperation::Unlock));
    }
}

fn lock(directory: &Path, path: &Path, file: &File, how: FlockOperation) -> Result<(), LockError> {
    match retry_on_intr(|| rustix::fs::flock(file, how)) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(LockError::Held { path: directory.to_owned(), pid: read_pid(file) }),
        Err(errno) => Err(DiskError::new(LOCK, path, errno).into()),
    }
}

fn read_pid(file: &File) -> Option<u32> {
    let mut buffer = [0; PID_LENGTH_MAX_BYTES];
    let length = file.read_at(&mut buffer, 0).ok()?;
    std::str::from_utf8(buffer.get(..length)?).ok()?.trim_end().parse().ok()
}
