//! A disk for tests that fails on request, dies after a number of operations, and holds syncs back.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use rustix::io::Errno;

use super::{Disk, DiskError, DiskFile, Entry, ReadFile, SyncSite};

/// Longer than any wait of a test: a wait that takes this long fails instead of hanging.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// An operation that changes something, or makes it durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Write,
    Sync,
    Truncate,
    Reserve,
    Rename,
    RenameNew,
    Remove,
    CreateFolder,
    RemoveFolder,
    SyncFolder,
    SyncFilesystem,
}

/// An operation that reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Look {
    Open,
    /// Opening, renaming and removing, and asking for its length in a list.
    Name,
    Measure,
    Read,
    /// Of a folder.
    List,
}

/// A pending failure of an operation on a path that begins with `path`.
#[derive(Debug)]
struct Fault {
    operation: Operation,
    path: PathBuf,
    /// How many of them succeed first.
    skip: u64,
    errno: Errno,
    /// How many bytes of a write are written despite the failure.
    written: usize,
}

/// Reads of a path that begins with `path`: after `skip` of them, `count` fail.
#[derive(Debug)]
struct BadReads {
    path: PathBuf,
    skip: u64,
    count: u64,
    errno: Errno,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    done: Vec<(Operation, PathBuf)>,
    /// Every operation after this many fails.
    dies_after: Option<usize>,
    /// The free bytes that the disk reports.
    free_bytes: Option<u64>,
    free_files: Option<u64>,
    measurements: usize,
    bad_reads: Option<BadReads>,
    /// Whether every operation that changes something fails, as on a filesystem mounted read-only.
    is_read_only: bool,
    /// What the medium has lost, for good.
    lost: Option<(Look, PathBuf)>,
    looks: BTreeSet<(Look, PathBuf)>,
    /// The most bytes that a file may have, as a limit of the process sets it.
    file_bytes_max: Option<u64>,
    holds: Option<PathBuf>,
    held: usize,
}

/// The failures of a [`FaultyDisk`], which can be set while it is in use.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    state: Mutex<State>,
    changed: Condvar,
}

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Makes the next such operation fail.
    pub(crate) fn fail(&self, operation: Operation, path: &str, errno: Errno) {
        self.fail_later(operation, path, 0, errno);
    }

    /// Makes such an operation fail after `skip` successes.
    pub(crate) fn fail_later(&self, operation: Operation, path: &str, skip: u64, errno: Errno) {
        self.state().faults.push(Fault { operation, path: path.into(), skip, errno, written: 0 });
    }

    /// Makes the next `count` reads of a file fail.
    pub(crate) fn fail_reads(&self, path: &str, count: u64, errno: Errno) {
        self.fail_later_reads(path, 0, count, errno);
    }

    /// Makes `count` reads of a file fail after `skip` others.
    pub(crate) fn fail_later_reads(&self, path: &str, skip: u64, count: u64, errno: Errno) {
        self.state().bad_reads = Some(BadReads { path: path.into(), skip, count, errno });
    }

    /// Returns the error of a read, if it fails.
    fn bad_read(&self, path: &Path) -> Option<Errno> {
        let mut state = self.state();
        let bad = state.bad_reads.as_mut().filter(|bad| path.starts_with(&bad.path))?;
        if bad.skip > 0 {
            bad.skip -= 1;
            return None;
        }
        bad.count = bad.count.checked_sub(1)?;
        Some(bad.errno)
    }

    /// Makes the next write fail after `written` of its bytes.
    pub(crate) fn cut_write_short(&self, path: &str, written: usize, errno: Errno) {
        let operation = Operation::Write;
        self.state().faults.push(Fault { operation, path: path.into(), skip: 0, errno, written });
    }

    /// Makes every operation fail after the next `count`.
    pub(crate) fn die_after(&self, count: usize) {
        let mut state = self.state();
        state.dies_after = Some(state.done.len() + count);
    }

    /// Limits the length of files.
    pub(crate) fn set_file_bytes_max(&self, bytes: u64) {
        self.state().file_bytes_max = Some(bytes);
    }

    /// Mounts the disk read-only, or writable again.
    pub(crate) fn set_read_only(&self, is_read_only: bool) {
        self.state().is_read_only = is_read_only;
    }

    /// Makes all such operations on exactly this path fail from now on, as on a bad sector.
    pub(crate) fn lose(&self, look: Look, path: &Path) {
        self.state().lost = Some((look, path.to_owned()));
    }

    /// Returns everything that was read so far.
    pub(crate) fn looks(&self) -> BTreeSet<(Look, PathBuf)> {
        self.state().looks.clone()
    }

    /// Notes an operation that reads, and fails if what it needs is lost.
    fn look(&self, op: &'static str, look: Look, path: &Path) -> Result<(), DiskError> {
        let mut state = self.state();
        state.looks.insert((look, path.to_owned()));
        let is_lost = state.lost.as_ref().is_some_and(|lost| *lost == (look, path.to_owned()));
        if is_lost { Err(DiskError::new(op, path, Errno::IO)) } else { Ok(()) }
    }

    /// Fails if a file cannot be found by its name.
    fn find(&self, op: &'static str, path: &Path) -> Result<(), DiskError> {
        let is_lost = self.state().lost.as_ref().is_some_and(|lost| *lost == (Look::Name, path.to_owned()));
        if is_lost { Err(DiskError::new(op, path, Errno::IO)) } else { Ok(()) }
    }

    /// Returns the operations so far.
    pub(crate) fn done(&self) -> Vec<(Operation, PathBuf)> {
        self.state().done.clone()
    }

    /// Counts the operations so far.
    pub(crate) fn count(&self, operation: Operation, path: &str) -> usize {
        let done = self.done();
        done.iter().filter(|(other, at)| *other == operation && at.starts_with(path)).count()
    }

    /// Makes the disk report that `files` more files can be created.
    pub(crate) fn set_free_files(&self, files: u64) {
        self.state().free_files = Some(files);
    }

    /// Makes the disk report `bytes` free bytes, less those written from now on.
    pub(crate) fn set_free_bytes(&self, bytes: u64) {
        self.state().free_bytes = Some(bytes);
    }

    /// Returns how often the disk was asked for its free bytes.
    pub(crate) fn measurements(&self) -> usize {
        self.state().measurements
    }

    /// Holds back syncs of files at such a path until [`Self::let_go`].
    pub(crate) fn hold_syncs(&self, path: &str) {
        self.state().holds = Some(path.into());
    }

    /// Waits until a sync is held back.
    pub(crate) fn wait_until_held(&self) {
        let state = self.state();
        let (state, waited) =
            self.changed.wait_timeout_while(state, WAIT_MAX, |state| state.held == 0).unwrap();
        drop(state);
        assert!(!waited.timed_out(), "no sync came");
    }

    /// Releases all syncs.
    pub(crate) fn let_go(&self) {
        self.state().holds = None;
        self.changed.notify_all();
    }

    /// Notes an operation. An error comes with the number of bytes that are written nevertheless.
    fn pass(&self, operation: Operation, path: &Path) -> Result<(), (Errno, usize)> {
        let mut state = self.state();
        if state.dies_after.is_some_and(|count| state.done.len() >= count) {
            return Err((Errno::IO, 0));
        }
        // A sync of a folder has nothing to write there.
        if state.is_read_only && operation != Operation::SyncFolder {
            return Err((Errno::ROFS, 0));
        }
        state.done.push((operation, path.to_owned()));
        let meant = |fault: &Fault| fault.operation == operation && path.starts_with(&fault.path);
        if let Some(at) = state.faults.iter().position(meant) {
            if state.faults[at].skip == 0 {
                let fault = state.faults.remove(at);
                return Err((fault.errno, fault.written));
            }
            state.faults[at].skip -= 1;
        }
        if operation == Operation::Sync {
            let held = |state: &mut State| state.holds.as_ref().is_some_and(|holds| path.starts_with(holds));
            state.held += 1;
            self.changed.notify_all();
            state = self.changed.wait_timeout_while(state, WAIT_MAX, held).unwrap().0;
            state.held -= 1;
        }
        Ok(())
    }
}

/// A disk that fails on request.
pub(crate) struct FaultyDisk {
    disk: Arc<dyn Disk>,
    faults: Arc<Faults>,
}

impl FaultyDisk {
    /// Wraps a disk that does not fail.
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, faults: Arc::default() }
    }

    /// Wraps a disk that has these failures.
    pub(crate) fn with(disk: Arc<dyn Disk>, faults: &Arc<Faults>) -> Self {
        Self { disk, faults: Arc::clone(faults) }
    }

    /// Returns the handle that sets its failures.
    pub(crate) fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults)
    }

    fn pass(&self, operation: Operation, path: &Path) -> Result<(), DiskError> {
        self.faults.pass(operation, path).map_err(|(errno, _)| DiskError::new("test", path, errno))
    }

    fn faulty(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FaultyFile { path: path.to_owned(), file, faults: self.faults() })
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.pass(Operation::Create, path)?;
        self.disk.create(path).map(|file| self.faulty(path, file))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        let file = self.disk.open(path)?;
        self.faults.look("open", Look::Open, path).and_then(|()| self.faults.find("open", path))?;
        Ok(self.faulty(path, file))
    }

    fn open_writable(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        if self.faults.state().is_read_only {
            return Err(DiskError::new("open for writing", path, Errno::ROFS));
        }
        let file = self.disk.open_writable(path)?;
        self.faults.look("open for writing", Look::Open, path)?;
        self.faults.find("open for writing", path)?;
        Ok(self.faulty(path, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.pass(Operation::Rename, to)?;
        self.faults.find("rename", from).and_then(|()| self.faults.find("rename to", to))?;
        self.disk.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<bool, DiskError> {
        self.pass(Operation::RenameNew, to)?;
        self.disk.rename_new(from, to)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.pass(Operation::Remove, path).and_then(|()| self.faults.find("remove", path))?;
        self.disk.remove(path)
    }

    fn create_folder(&self, path: &Path) -> Result<(), DiskError> {
        self.pass(Operation::CreateFolder, path)?;
        self.disk.create_folder(path)
    }

    fn remove_folder(&self, path: &Path) -> Result<(), DiskError> {
        self.pass(Operation::RemoveFolder, path)?;
        self.disk.remove_folder(path)
    }

    fn sync_folder_at(&self, path: &Path, site: SyncSite) -> Result<(), DiskError> {
        self.pass(Operation::SyncFolder, path)?;
        self.disk.sync_folder_at(path, site)
    }

    fn syncs_filesystem(&self, folder: &Path) -> bool {
        self.disk.syncs_filesystem(folder)
    }

    fn sync_filesystem_at(&self, folder: &Path, site: SyncSite) -> Result<(), DiskError> {
        self.pass(Operation::SyncFilesystem, folder)?;
        self.disk.sync_filesystem_at(folder, site)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, DiskError> {
        let mut entries = self.disk.list(path)?;
        self.faults.look("list", Look::List, path)?;
        // A file that is not found has a name and no length.
        for entry in &mut entries {
            if self.faults.find("measure", &path.join(&entry.name)).is_err() {
                entry.length = 0;
            }
        }
        Ok(entries)
    }

    fn free_bytes(&self) -> Result<Option<u64>, DiskError> {
        let mut state = self.faults.state();
        state.measurements += 1;
        let said = state.free_bytes;
        drop(state);
        said.map_or_else(|| self.disk.free_bytes(), |bytes| Ok(Some(bytes)))
    }

    fn free_files(&self) -> Result<Option<u64>, DiskError> {
        Ok(self.faults.state().free_files)
    }
}

#[derive(Debug)]
struct FaultyFile {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    faults: Arc<Faults>,
}

impl FaultyFile {
    fn pass(&self, operation: Operation) -> Result<(), DiskError> {
        let passed = self.faults.pass(operation, &self.path);
        passed.map_err(|(errno, _)| DiskError::new("test", &self.path, errno))
    }
}

impl ReadFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        if let Some(errno) = self.faults.bad_read(&self.path) {
            return Err(DiskError::new("read", &self.path, errno));
        }
        self.faults.look("read", Look::Read, &self.path)?;
        self.file.read_at(buffer, offset)
    }

    fn length(&self) -> Result<u64, DiskError> {
        self.faults.look("measure", Look::Measure, &self.path)?;
        self.file.length()
    }

    fn identity(&self) -> Result<u64, DiskError> {
        self.file.identity()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.descriptor()
    }
}

impl DiskFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        if let Some(max) = self.faults.state().file_bytes_max
            && offset + bytes.len() as u64 > max
        {
            // What fits is written.
            let fitting = usize::try_from(max.saturating_sub(offset)).unwrap();
            self.file.write_at(&bytes[..fitting], offset)?;
            return Err(DiskError::new("write", &self.path, Errno::FBIG));
        }
        let Err((errno, written)) = self.faults.pass(Operation::Write, &self.path) else {
            self.file.write_at(bytes, offset)?;
            let mut state = self.faults.state();
            state.free_bytes = state.free_bytes.map(|free| free.saturating_sub(bytes.len() as u64));
            return Ok(());
        };
        self.file.write_at(&bytes[..written.min(bytes.len())], offset)?;
        Err(DiskError::new("test", &self.path, errno))
    }

    fn sync_at(&self, site: SyncSite) -> Result<(), DiskError> {
        self.pass(Operation::Sync)?;
        self.file.sync_at(site)
    }

    fn truncate(&self, length: u64) -> Result<(), DiskError> {
        self.pass(Operation::Truncate).and_then(|()| self.file.truncate(length))
    }

    fn reserve(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        self.pass(Operation::Reserve)?;
        self.file.reserve(offset, length)
    }

    fn start_write_back(&self, offset: u64, length: u64) {
        self.file.start_write_back(offset, length);
    }

    fn has_other_names(&self) -> Result<Option<bool>, DiskError> {
        self.file.has_other_names()
    }
}
