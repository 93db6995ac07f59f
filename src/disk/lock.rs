//! The lock that excludes a second pulk from a data directory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::{Errno, retry_on_intr};

use super::DiskError;

/// The lock's name in the data directory. The file stays after the release: its removal could take it away
/// from another process that has just opened it.
const LOCK_NAME: &str = "lock";

/// Longer than any pid.
const PID_LENGTH_MAX_BYTES: usize = 32;

/// Exclusive use of a data directory until this is dropped, or the process ends in any way.
#[derive(Debug)]
pub struct DirectoryLock {
    file: File,
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
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join(LOCK_NAME);
        let failed = |op, source: io::Error| DiskError::new(op, &path, source);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| failed("open", error))?;
        match retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(LockError::Held { path: directory.to_owned(), pid: read_pid(&file) });
            }
            Err(errno) => return Err(failed("lock", errno.into()).into()),
        }
        let pid = format!("{}\n", std::process::id());
        // Overwrite what a crash left there: a full disk may have no space for new bytes.
        match file.write_all_at(pid.as_bytes(), 0) {
            Ok(()) => file.set_len(pid.len() as u64).map_err(|error| failed("truncate", error))?,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                file.set_len(0).map_err(|error| failed("truncate", error))?;
            }
            Err(error) => return Err(failed("write", error).into()),
        }
        Ok(Self { file })
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // From here on readers of the file find no pid instead of a wrong one. If either step fails, closing
        // the file still releases the lock.
        let _ = self.file.set_len(0);
        let _ = retry_on_intr(|| rustix::fs::flock(&self.file, FlockOperation::Unlock));
    }
}

fn read_pid(file: &File) -> Option<u32> {
    let mut buffer = [0; PID_LENGTH_MAX_BYTES];
    let length = file.read_at(&mut buffer, 0).ok()?;
    std::str::from_utf8(buffer.get(..length)?).ok()?.trim_end().parse().ok()
}
