//! A disk that loses power.
//!
//! [`SimulatedDisk`] behaves as the others do, and records its operations. Its content is a [`Medium`]: what
//! programs see, what is durable, and what is pending between the two. A medium can be replayed up to any
//! step, and from there to what a power cut may leave of it.

mod blocks;
mod choice;
mod fault;
mod file;
mod medium;
mod tests;
mod whole;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::io::Errno;

use crate::base::lock;

use super::SYNC_FILESYSTEM;
use super::names::{Node, RenameError};
use super::path::checked;
use super::{Disk, DiskError, DiskFile, Entry, SyncSite};

pub(crate) use choice::{Choice, Pick};
pub(crate) use fault::{Fault, FaultKind};
pub(crate) use medium::{FileId, Medium, Place, Step};

use fault::Effect;
use file::SimulatedFile;

/// A disk in memory that records every step and fails on request. A clone is the same disk.
#[derive(Clone)]
pub(crate) struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

struct State {
    medium: Medium,
    steps: Vec<Step>,
    fault: Option<Fault>,
    /// The number of operations, those that only read included.
    operations: u64,
    /// Which of them were syncs.
    syncs: Vec<u64>,
    /// Whether writes were lost since the filesystem was synced as a whole.
    lost_writes: bool,
    /// The open handles by number.
    handles: BTreeMap<u64, Handle>,
    handles_opened: u64,
    /// Called before each sync of a file or folder, with its path.
    before_sync: Option<Arc<BeforeSync>>,
}

/// An open handle, as the system knows it.
struct Handle {
    file: FileId,
    /// Whether its next sync reports that writes were lost. The error is lost with the handle.
    lost_writes: bool,
}

/// What is called before a sync.
type BeforeSync = dyn Fn(&Path) + Send + Sync;

impl SimulatedDisk {
    /// Makes a disk that continues with a medium.
    pub(crate) fn new(medium: Medium) -> Self {
        let state = State {
            medium,
            steps: Vec::new(),
            fault: None,
            operations: 0,
            syncs: Vec::new(),
            lost_writes: false,
            handles: BTreeMap::new(),
            handles_opened: 0,
            before_sync: None,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Returns the medium as it is now.
    pub(crate) fn medium(&self) -> Medium {
        self.state().medium.clone()
    }

    /// Returns the steps so far.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.state().steps.clone()
    }

    /// Returns the medium and the steps up to now, atomically.
    pub(crate) fn cut(&self) -> (Medium, Vec<Step>) {
        let state = self.state();
        (state.medium.clone(), state.steps.clone())
    }

    /// Records an outside event in its place between the steps.
    pub(crate) fn mark(&self, mark: usize) {
        self.state().steps.push(Step::Mark(mark));
    }

    /// Restarts the count of operations at zero, and makes some fail.
    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.state();
        state.operations = 0;
        state.syncs.clear();
        state.fault = fault;
    }

    /// Returns the number of operations since a fault was last set.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Makes the block at an offset of a file unreadable until it is written as a whole.
    pub(crate) fn rot(&self, path: &Path, offset: u64) {
        let mut state = self.state();
        let id = state.medium.names().file(path).unwrap();
        state.medium.rot(id, offset);
    }

    /// Has `call` called before each sync of a file or folder, on the thread that syncs.
    pub(crate) fn before_sync(&self, call: Option<Arc<BeforeSync>>) {
        self.state().before_sync = call;
    }

    /// Returns the numbers of those that were syncs.
    pub(crate) fn syncs(&self) -> Vec<u64> {
        self.state().syncs.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Applies a step, unless it must fail.
    fn change(&self, op: &'static str, path: &Path, step: Step) -> Result<Option<FileId>, DiskError> {
        let mut state = self.state();
        let effect = match &step {
            Step::Remove(_) | Step::RemoveFolder(_) => Effect::Keeps,
            // The folder exists already, so the step creates none.
            Step::CreateFolder(path) if state.medium.names().folder(path).is_ok() => Effect::Keeps,
            _ => Effect::Takes,
        };
        state.check(op, path, effect)?;
        state.step(step).map_err(|error| match error {
            RenameError::From(errno) => DiskError::new(op, path, errno),
            RenameError::To(errno) => DiskError::new("rename to", path, errno),
        })
    }

    fn call_before_sync(&self, path: &Path) {
        let call = self.state().before_sync.clone();
        if let Some(call) = call {
            call(path);
        }
    }

    fn opened(&self, op: &'static str, path: &Path, writable: bool) -> Result<Arc<dyn DiskFile>, DiskError> {
        let mut state = self.state();
        state.check(op, path, Effect::Reads)?;
        let id =
            state.medium.names().file(checked(op, path)?).map_err(|errno| DiskError::new(op, path, errno))?;
        let handle = state.open(id);
        drop(state);
        Ok(Arc::new(SimulatedFile { disk: self.clone(), path: path.to_owned(), id, writable, handle }))
    }
}

impl State {
    /// Counts an operation, and returns how it fails, if it does.
    fn fault(&mut self, effect: Effect) -> Option<FaultKind> {
        let number = self.operations;
        self.operations += 1;
        let kind = self.fault.as_ref().and_then(|fault| fault.strikes(number, effect))?;
        if kind == FaultKind::WriteBack {
            self.lose_writes();
            return None;
        }
        Some(kind)
    }

    /// Fails to write back what no sync has reached. Every open handle of such a file learns of it; without
    /// one, the system forgets the error and the bytes.
    fn lose_writes(&mut self) {
        for id in self.medium.dirty() {
            self.lost_writes = true;
            self.done(Step::LoseWrites(id));
            let handles = self.handles.values_mut().filter(|handle| handle.file == id);
            handles.for_each(|handle| handle.lost_writes = true);
            self.evict_if_closed(id);
        }
    }

    fn open(&mut self, file: FileId) -> u64 {
        self.handles_opened += 1;
        self.handles.insert(self.handles_opened, Handle { file, lost_writes: false });
        self.handles_opened
    }

    fn close(&mut self, handle: u64) {
        if let Some(Handle { file, .. }) = self.handles.remove(&handle) {
            self.evict_if_closed(file);
        }
    }

    /// Tells whether a handle's sync must fail since writes were lost, which it does once.
    fn report_lost_writes(&mut self, handle: u64) -> bool {
        self.handles.get_mut(&handle).is_some_and(|handle| std::mem::take(&mut handle.lost_writes))
    }

    fn evict_if_closed(&mut self, id: FileId) {
        let is_open = self.handles.values().any(|handle| handle.file == id);
        if !is_open && self.medium.shows_lost_bytes(id) {
            self.done(Step::Evict(id));
        }
    }

    /// Applies a step that cannot fail.
    fn done(&mut self, step: Step) {
        self.step(step).unwrap();
    }

    /// Counts a sync, and returns how it fails, if it does.
    fn sync_fault(&mut self) -> Option<FaultKind> {
        self.syncs.push(self.operations);
        self.fault(Effect::Keeps)
    }

    fn check(&mut self, op: &'static str, path: &Path, effect: Effect) -> Result<(), DiskError> {
        self.fault(effect).map_or(Ok(()), |kind| Err(DiskError::new(op, path, kind.errno())))
    }

    fn step(&mut self, step: Step) -> Result<Option<FileId>, RenameError> {
        let made = self.medium.apply(&step)?;
        self.steps.push(step);
        Ok(made)
    }
}

impl Disk for SimulatedDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        let step = Step::Create(checked("create", path)?.to_owned());
        let id = self.change("create", path, step)?.ok_or(DiskError::new("create", path, Errno::IO))?;
        let handle = self.state().open(id);
        Ok(Arc::new(SimulatedFile { disk: self.clone(), path: path.to_owned(), id, writable: true, handle }))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.opened("open", path, false)
    }

    fn open_writable(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.opened("open for writing", path, true)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        const OP: &str = "rename";
        let step = Step::Rename(checked(OP, from)?.to_owned(), checked(OP, to)?.to_owned());
        let mut state = self.state();
        state.check(OP, from, Effect::Takes)?;
        state.step(step).map(drop).map_err(|error| error.of(from, to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<bool, DiskError> {
        const OP: &str = "rename";
        let step = Step::Rename(checked(OP, from)?.to_owned(), checked(OP, to)?.to_owned());
        let mut state = self.state();
        state.check(OP, from, Effect::Takes)?;
        let is_new = state.medium.names().is_new(from, to).map_err(|error| error.of(from, to))?;
        if is_new {
            state.step(step).map_err(|error| error.of(from, to))?;
        }
        Ok(is_new)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.change("remove", path, Step::Remove(checked("remove", path)?.to_owned())).map(drop)
    }

    fn create_folder(&self, path: &Path) -> Result<(), DiskError> {
        const OP: &str = "create folder";
        self.change(OP, path, Step::CreateFolder(checked(OP, path)?.to_owned())).map(drop)
    }

    fn remove_folder(&self, path: &Path) -> Result<(), DiskError> {
        const OP: &str = "remove folder";
        self.change(OP, path, Step::RemoveFolder(checked(OP, path)?.to_owned())).map(drop)
    }

    fn sync_folder_at(&self, path: &Path, site: SyncSite) -> Result<(), DiskError> {
        const OP: &str = "sync folder";
        let inside = checked(OP, path)?.to_owned();
        self.call_before_sync(path);
        let mut state = self.state();
        let fault = state.sync_fault();
        state
            .step(Step::SyncFolder { path: inside, place: Place::of(site), failed: fault.is_some() })
            .map_err(|error| match error {
                RenameError::From(errno) | RenameError::To(errno) => DiskError::new(OP, path, errno),
            })?;
        fault.map_or(Ok(()), |kind| Err(DiskError::new(OP, path, kind.errno())))
    }

    fn syncs_filesystem(&self, _folder: &Path) -> bool {
        self.state().medium.counts_names
    }

    fn sync_filesystem_at(&self, folder: &Path, site: SyncSite) -> Result<(), DiskError> {
        self.call_before_sync(folder);
        let mut state = self.state();
        let fault = state.sync_fault();
        if fault.is_some() {
            state.lose_writes();
        }
        let failed = std::mem::take(&mut state.lost_writes) || fault.is_some();
        state.done(Step::SyncFilesystem { place: Place::of(site), failed });
        let errno = fault.map_or(Errno::IO, FaultKind::errno);
        if failed { Err(DiskError::new(SYNC_FILESYSTEM, folder, errno)) } else { Ok(()) }
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, DiskError> {
        let mut state = self.state();
        state.check("list", path, Effect::Reads)?;
        let medium = &state.medium;
        let found = medium
            .names()
            .list(checked("list", path)?)
            .map_err(|errno| DiskError::new("list", path, errno))?;
        Ok(found
            .map(|(name, node)| match node {
                Node::Folder(_) => Entry { name: name.to_owned(), is_folder: true, length: 0 },
                Node::File(id) => {
                    Entry { name: name.to_owned(), is_folder: false, length: medium.bytes(*id).length() }
                }
            })
            .collect())
    }

    fn free_bytes(&self) -> Result<Option<u64>, DiskError> {
        Ok(None)
    }
}
