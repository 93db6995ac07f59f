//! The lock that keeps a second pulk out of a data directory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::{Errno, retry_on_intr};

use super::DiskError;

/// The lock's name in the data directory. The file stays when the lock is released: one who removed it could
/// take it away from under a third who has just opened it.
const LOCK_NAME: &str = "lock";

/// Longer than any pid.
const PID_LENGTH_MAX_BYTES: usize = 32;

/// A data directory that is this process's alone until this is dropped, or the process ends in any way.
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
        /// The process that holds the lock, unless it was just about to say so.
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
        // Written over what a crash left there: on a full disk there may be no space for anything new.
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
        // Whoever reads the file from here on is told no pid rather than a wrong one. Should either fail,
        // closing the file still releases the lock.
        let _ = self.file.set_len(0);
        let _ = retry_on_intr(|| rustix::fs::flock(&self.file, FlockOperation::Unlock));
    }
}

fn read_pid(file: &File) -> Option<u32> {
    let mut buffer = [0; PID_LENGTH_MAX_BYTES];
    let length = file.read_at(&mut buffer, 0).ok()?;
    std::str::from_utf8(buffer.get(..length)?).ok()?.trim_end().parse().ok()
}
