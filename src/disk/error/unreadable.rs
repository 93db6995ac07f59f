//! What the medium cannot read is damage like any other: the rest is used.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use crate::disk::{BLOCK_SIZE_BYTES, Disk, DiskError, DiskFile, ReadFile, SyncSite};

/// How often a file is opened before it cannot be opened: some errors pass.
const OPEN_TRIES_MAX: u32 = 3;

impl dyn Disk + '_ {
    /// Opens an existing file for reading what can be read of it. One that the medium cannot open has a
    /// single block, which cannot be read.
    pub fn open_to_salvage(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        match self.open_patiently(path) {
            Err(error) if error.is_of_the_medium() => Ok(Arc::new(UnreadableFile { error })),
            opened => opened,
        }
    }

    /// Tells whether the medium can open a file.
    pub fn can_open(&self, path: &Path) -> Result<bool, DiskError> {
        Ok(unless_damaged(self.open_patiently(path))?.is_some())
    }

    fn open_patiently(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        let mut tries = (1..OPEN_TRIES_MAX).map(|_| self.open(path));
        let opened = tries.find(|opened| !opened.as_ref().is_err_and(DiskError::is_of_the_medium));
        opened.unwrap_or_else(|| self.open(path))
    }
}

/// Returns `None`, and logs why, where the medium failed.
pub fn unless_damaged<T>(done: Result<T, DiskError>) -> Result<Option<T>, DiskError> {
    match done {
        Err(error) if error.is_of_the_medium() => {
            log::error!("{error}");
            Ok(None)
        }
        done => done.map(Some),
    }
}

/// A file that the medium cannot open.
#[derive(Debug)]
struct UnreadableFile {
    error: DiskError,
}

impl UnreadableFile {
    fn failed<T>(&self) -> Result<T, DiskError> {
        Err(DiskError::new(self.error.op(), self.error.path(), Errno::IO))
    }
}

impl ReadFile for UnreadableFile {
    fn read_at(&self, _buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        if offset < BLOCK_SIZE_BYTES { self.failed() } else { Ok(0) }
    }

    fn length(&self) -> Result<u64, DiskError> {
        Ok(BLOCK_SIZE_BYTES)
    }

    fn identity(&self) -> Result<u64, DiskError> {
        self.failed()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl DiskFile for UnreadableFile {
    fn write_at(&self, _bytes: &[u8], _offset: u64) -> Result<(), DiskError> {
        self.failed()
    }

    fn sync_at(&self, _site: SyncSite) -> Result<(), DiskError> {
        self.failed()
    }

    fn truncate(&self, _length: u64) -> Result<(), DiskError> {
        self.failed()
    }

    fn reserve(&self, _offset: u64, _length: u64) -> Result<(), DiskError> {
        self.failed()
    }

    fn start_write_back(&self, _offset: u64, _length: u64) {}

    fn has_other_names(&self) -> Result<Option<bool>, DiskError> {
        self.failed()
    }
}
