//! An open file of a simulated disk.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use rustix::io::Errno;

use super::super::{DiskError, DiskFile, ReadFile, SyncSite};
use super::fault::{Effect, FaultKind};
use super::medium::{FileId, Place, Step};
use super::{SimulatedDisk, State};

/// An open file of a [`SimulatedDisk`].
pub(super) struct SimulatedFile {
    pub(super) disk: SimulatedDisk,
    pub(super) path: PathBuf,
    pub(super) id: FileId,
    pub(super) writable: bool,
    /// The number of this handle.
    pub(super) handle: u64,
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        self.disk.state().close(self.handle);
    }
}

impl SimulatedFile {
    fn failed(&self, op: &'static str, errno: Errno) -> DiskError {
        DiskError::new(op, &self.path, errno)
    }

    /// Fails as Linux does if the handle is read-only, or if the file would exceed the greatest length.
    fn check_change(&self, op: &'static str, end: Option<u64>, read_only: Errno) -> Result<(), DiskError> {
        match end {
            _ if !self.writable => Err(self.failed(op, read_only)),
            Some(end) if i64::try_from(end).is_ok() => Ok(()),
            _ => Err(self.failed(op, Errno::FBIG)),
        }
    }

    fn step(&self, state: &mut State, op: &'static str, step: Step) -> Result<(), DiskError> {
        // A step on an open file always finds the file.
        state.step(step).map(drop).map_err(|_| self.failed(op, Errno::BADF))
    }
}

impl fmt::Debug for SimulatedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SimulatedFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ReadFile for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let mut state = self.disk.state();
        state.check("read", &self.path, Effect::Reads)?;
        if state.medium.is_unreadable(self.id, offset, buffer.len()) {
            return Err(self.failed("read", Errno::IO));
        }
        Ok(state.medium.bytes(self.id).read_at(buffer, offset))
    }

    fn length(&self) -> Result<u64, DiskError> {
        let mut state = self.disk.state();
        state.check("measure", &self.path, Effect::Reads)?;
        Ok(state.medium.bytes(self.id).length())
    }

    fn identity(&self) -> Result<u64, DiskError> {
        Ok(self.id.number())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl DiskFile for SimulatedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.check_change("write", offset.checked_add(bytes.len() as u64), Errno::BADF)?;
        let mut state = self.disk.state();
        let fault = state.fault(Effect::Takes);
        if state.medium.is_unwritable(self.id, offset, bytes.len()) {
            return Err(self.failed("write", Errno::IO));
        }
        let written = match fault {
            None => bytes,
            Some(FaultKind::ShortWrite) => &bytes[..bytes.len() / 2],
            Some(_) => &[],
        };
        if !written.is_empty() {
            let step = Step::Write { file: self.id, offset, bytes: written.into() };
            self.step(&mut state, "write", step)?;
        }
        fault.map_or(Ok(()), |kind| Err(self.failed("write", kind.errno())))
    }

    fn sync_at(&self, site: SyncSite) -> Result<(), DiskError> {
        self.disk.call_before_sync(&self.path);
        let mut state = self.disk.state();
        let fault = state.sync_fault();
        let lost = state.report_lost_writes(self.handle).then_some(FaultKind::WriteBack);
        let failure = fault.or(lost);
        let step = Step::Sync { file: self.id, place: Place::of(site), failed: failure.is_some() };
        self.step(&mut state, "sync", step)?;
        failure.map_or(Ok(()), |kind| Err(self.failed("sync", kind.errno())))
    }

    fn truncate(&self, length: u64) -> Result<(), DiskError> {
        self.check_change("truncate", Some(length), Errno::INVAL)?;
        let mut state = self.disk.state();
        state.check("truncate", &self.path, Effect::Keeps)?;
        self.step(&mut state, "truncate", Step::Truncate { file: self.id, length })
    }

    fn reserve(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        if length == 0 {
            return Ok(());
        }
        self.check_change("reserve space for", offset.checked_add(length), Errno::BADF)?;
        self.disk.state().check("reserve space for", &self.path, Effect::Takes)
    }

    fn start_write_back(&self, _offset: u64, _length: u64) {}

    fn has_other_names(&self) -> Result<Option<bool>, DiskError> {
        let state = self.disk.state();
        let names = || state.medium.names().files().into_iter().filter(|id| *id == self.id).count();
        Ok(state.medium.counts_names.then(|| names() > 1))
    }
}
