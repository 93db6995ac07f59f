//! A disk that counts the operations on another disk.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use super::{Disk, DiskError, DiskFile, Entry, FileState, ReadFile, SyncSite};

/// The counts of a [`MeteredDisk`] since its creation. Calls are counted whether they succeed or not, bytes
/// only when they were moved; `sendfile` bypasses the counts.
#[derive(Debug, Default)]
pub struct DiskCounters {
    file_syncs: AtomicU64,
    file_sync_nanoseconds: AtomicU64,
    folder_syncs: AtomicU64,
    folder_sync_nanoseconds: AtomicU64,
    filesystem_syncs: AtomicU64,
    filesystem_sync_nanoseconds: AtomicU64,
    reads: AtomicU64,
    bytes_read: AtomicU64,
    writes: AtomicU64,
    bytes_written: AtomicU64,
    creates: AtomicU64,
    renames: AtomicU64,
    removes: AtomicU64,
    /// Whether the last change failed because the filesystem is read-only.
    read_only: AtomicBool,
}

/// The counts of a [`DiskCounters`] at one moment; each is exact, though they are not all of the same
/// instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskSnapshot {
    /// How many syncs of a file were requested.
    pub file_syncs: u64,
    /// The total time of these syncs.
    pub file_sync_nanoseconds: u64,
    /// How many syncs of a folder were requested.
    pub folder_syncs: u64,
    /// The total time of these syncs.
    pub folder_sync_nanoseconds: u64,
    /// How many syncs of the whole filesystem were requested.
    pub filesystem_syncs: u64,
    /// The total time of these syncs.
    pub filesystem_sync_nanoseconds: u64,
    /// How many reads of files were requested.
    pub reads: u64,
    /// The bytes that were read.
    pub bytes_read: u64,
    /// How many writes to files were requested.
    pub writes: u64,
    /// The bytes that were written.
    pub bytes_written: u64,
    /// How many creations of files and folders were requested.
    pub creates: u64,
    /// How many renames were requested.
    pub renames: u64,
    /// How many removals were requested.
    pub removes: u64,
}

impl DiskCounters {
    /// Returns the current counts.
    pub fn snapshot(&self) -> DiskSnapshot {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DiskSnapshot {
            file_syncs: value(&self.file_syncs),
            file_sync_nanoseconds: value(&self.file_sync_nanoseconds),
            folder_syncs: value(&self.folder_syncs),
            folder_sync_nanoseconds: value(&self.folder_sync_nanoseconds),
            filesystem_syncs: value(&self.filesystem_syncs),
            filesystem_sync_nanoseconds: value(&self.filesystem_sync_nanoseconds),
            reads: value(&self.reads),
            bytes_read: value(&self.bytes_read),
            writes: value(&self.writes),
            bytes_written: value(&self.bytes_written),
            creates: value(&self.creates),
            renames: value(&self.renames),
            removes: value(&self.removes),
        }
    }

    /// Notes whether the result of a change shows a read-only filesystem. ext4 may report such a filesystem
    /// as writable after an error.
    fn noted<T>(&self, changed: Result<T, DiskError>) -> Result<T, DiskError> {
        let read_only = match &changed {
            Ok(_) => false,
            Err(error) if error.is_read_only() => true,
            Err(_) => return changed,
        };
        // Most of the time there is nothing to store.
        if self.read_only.load(Ordering::Relaxed) != read_only {
            self.read_only.store(read_only, Ordering::Relaxed);
        }
        changed
    }
}

/// A disk that counts the operations on the disk inside it.
pub struct MeteredDisk {
    disk: Arc<dyn Disk>,
    counters: Arc<DiskCounters>,
}

impl MeteredDisk {
    /// Wraps `disk`, and starts all counts at zero.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, counters: Arc::default() }
    }

    /// Returns the counters, which outlive the disk and may be read at any time.
    pub fn counters(&self) -> Arc<DiskCounters> {
        Arc::clone(&self.counters)
    }

    fn metered(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(MeteredFile { file, counters: Arc::clone(&self.counters) })
    }
}

impl std::fmt::Debug for MeteredDisk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MeteredDisk").field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Disk for MeteredDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        add(&self.counters.creates, 1);
        self.counters.noted(self.disk.create(path)).map(|file| self.metered(file))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.disk.open(path).map(|file| self.metered(file))
    }

    fn open_writable(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.counters.noted(self.disk.open_writable(path)).map(|file| self.metered(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        add(&self.counters.renames, 1);
        self.counters.noted(self.disk.rename(from, to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<bool, DiskError> {
        let renamed = self.counters.noted(self.disk.rename_new(from, to))?;
        add(&self.counters.renames, u64::from(renamed));
        Ok(renamed)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        add(&self.counters.removes, 1);
        self.counters.noted(self.disk.remove(path))
    }

    fn create_folder(&self, path: &Path) -> Result<(), DiskError> {
        add(&self.counters.creates, 1);
        self.counters.noted(self.disk.create_folder(path))
    }

    fn remove_folder(&self, path: &Path) -> Result<(), DiskError> {
        add(&self.counters.removes, 1);
        self.counters.noted(self.disk.remove_folder(path))
    }

    fn sync_folder_at(&self, path: &Path, site: SyncSite) -> Result<(), DiskError> {
        add(&self.counters.folder_syncs, 1);
        timed(&self.counters.folder_sync_nanoseconds, || self.disk.sync_folder_at(path, site))
    }

    fn syncs_filesystem(&self, folder: &Path) -> bool {
        self.disk.syncs_filesystem(folder)
    }

    fn sync_filesystem_at(&self, folder: &Path, site: SyncSite) -> Result<(), DiskError> {
        add(&self.counters.filesystem_syncs, 1);
        let nanoseconds = &self.counters.filesystem_sync_nanoseconds;
        timed(nanoseconds, || self.disk.sync_filesystem_at(folder, site))
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, DiskError> {
        self.disk.list(path)
    }

    fn free_bytes(&self) -> Result<Option<u64>, DiskError> {
        self.disk.free_bytes()
    }

    fn free_files(&self) -> Result<Option<u64>, DiskError> {
        self.disk.free_files()
    }

    fn is_read_only(&self) -> bool {
        self.counters.read_only.load(Ordering::Relaxed) || self.disk.is_read_only()
    }
}

/// An open file of a [`MeteredDisk`].
#[derive(Debug)]
struct MeteredFile {
    file: Arc<dyn DiskFile>,
    counters: Arc<DiskCounters>,
}

impl ReadFile for MeteredFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        add(&self.counters.reads, 1);
        let length = self.file.read_at(buffer, offset)?;
        add(&self.counters.bytes_read, length as u64);
        Ok(length)
    }

    fn length(&self) -> Result<u64, DiskError> {
        self.file.length()
    }

    fn drop_cached(&self, offset: u64, length: u64) {
        self.file.drop_cached(offset, length);
    }

    fn written_at(&self) -> Option<SystemTime> {
        self.file.written_at()
    }

    fn state(&self) -> Option<FileState> {
        self.file.state()
    }

    fn identity(&self) -> Result<u64, DiskError> {
        self.file.identity()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.descriptor()
    }
}

impl DiskFile for MeteredFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        add(&self.counters.writes, 1);
        self.counters.noted(self.file.write_at(bytes, offset))?;
        add(&self.counters.bytes_written, bytes.len() as u64);
        Ok(())
    }

    fn sync_at(&self, site: SyncSite) -> Result<(), DiskError> {
        add(&self.counters.file_syncs, 1);
        let synced = timed(&self.counters.file_sync_nanoseconds, || self.file.sync_at(site));
        self.counters.noted(synced)
    }

    fn truncate(&self, length: u64) -> Result<(), DiskError> {
        self.counters.noted(self.file.truncate(length))
    }

    fn reserve(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        self.counters.noted(self.file.reserve(offset, length))
    }

    fn start_write_back(&self, offset: u64, length: u64) {
        self.file.start_write_back(offset, length);
    }

    fn has_other_names(&self) -> Result<Option<bool>, DiskError> {
        self.file.has_other_names()
    }
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

fn timed<T>(nanoseconds: &AtomicU64, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    add(nanoseconds, u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
    done
}
