//! An open file of the operating system.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::SystemTime;

use rustix::fs::{Advice, FallocateFlags};
use rustix::io::{Errno, retry_on_intr};

use super::{DiskError, DiskFile, FileState, ReadFile, SyncSite};

/// An open file of a [`RealDisk`](super::RealDisk), and the path it was opened by.
#[derive(Debug)]
pub(super) struct RealFile {
    file: File,
    path: PathBuf,
    /// Whether the filesystem counts the names of a file.
    counts_names: bool,
}

impl RealFile {
    pub(super) fn new(file: File, path: PathBuf, counts_names: bool) -> Self {
        Self { file, path, counts_names }
    }

    fn failed(&self, op: &'static str, source: impl Into<io::Error>) -> DiskError {
        DiskError::new(op, &self.path, source)
    }
}

impl ReadFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(|error| self.failed("read", error)),
            }
        }
    }

    fn length(&self) -> Result<u64, DiskError> {
        let metadata = self.file.metadata().map_err(|error| self.failed("measure", error))?;
        Ok(metadata.len())
    }

    fn drop_cached(&self, offset: u64, length: u64) {
        if let Some(length) = NonZeroU64::new(length) {
            let _ = rustix::fs::fadvise(&self.file, offset, Some(length), Advice::DontNeed);
        }
    }

    fn written_at(&self) -> Option<SystemTime> {
        self.file.metadata().and_then(|metadata| metadata.modified()).ok()
    }

    fn state(&self) -> Option<FileState> {
        rustix::fs::fstat(&self.file).ok().map(|status| FileState::of(&status))
    }

    fn identity(&self) -> Result<u64, DiskError> {
        let status = rustix::fs::fstat(&self.file).map_err(|errno| self.failed("look at", errno))?;
        Ok(status.st_ino)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

impl DiskFile for RealFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        // Continues after a short write and after an interruption.
        self.file.write_all_at(bytes, offset).map_err(|error| self.failed("write", error))
    }

    /// Makes the file's bytes and its length durable, by fdatasync(2): it omits only metadata that reading
    /// the bytes again does not need (the times). It includes the length, and that reserved space now holds
    /// bytes.
    fn sync_at(&self, _site: SyncSite) -> Result<(), DiskError> {
        self.file.sync_data().map_err(|error| self.failed("sync", error))
    }

    fn truncate(&self, length: u64) -> Result<(), DiskError> {
        self.file.set_len(length).map_err(|error| self.failed("truncate", error))
    }

    fn reserve(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        if length == 0 {
            return Ok(());
        }
        let keep = FallocateFlags::KEEP_SIZE;
        match retry_on_intr(|| rustix::fs::fallocate(&self.file, keep, offset, length)) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(errno) => Err(self.failed("reserve space for", errno)),
        }
    }

    /// Asks the system to start writing these bytes to the medium; without any guarantee.
    ///
    /// rustix has no sync_file_range(2). Linux starts to write the dirty pages of a range that is marked as
    /// no longer needed, and drops only clean ones: on ext4 a sync of 64 MiB after this took 0.3 ms instead
    /// of 27 ms, and every page was still cached. A second call for the same range would drop its pages, so
    /// call this once, after writing.
    fn start_write_back(&self, offset: u64, length: u64) {
        if let Some(length) = NonZeroU64::new(length) {
            // This is only advice: a failed write shows at the sync.
            let _ = rustix::fs::fadvise(&self.file, offset, Some(length), Advice::DontNeed);
        }
    }

    fn has_other_names(&self) -> Result<Option<bool>, DiskError> {
        if !self.counts_names {
            return Ok(None);
        }
        let status = rustix::fs::fstat(&self.file).map_err(|errno| self.failed("look at", errno))?;
        Ok(Some(status.st_nlink > 1))
    }
}
