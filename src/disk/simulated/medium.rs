//! The content of a disk: as programs see it, and as it is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::SyncSite;
use super::super::names::{FolderId, Names, Node, RenameError};
use super::super::pages::Pages;

/// A file, independent of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId(u64);

impl FileId {
    pub(super) fn number(self) -> u64 {
        self.0
    }
}

/// A place in the code that makes something durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: &'static str,
    pub(crate) line: u32,
}

impl Place {
    pub(crate) fn of(site: SyncSite) -> Self {
        Self { file: site.file(), line: site.line() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// A change or a sync of a disk.
#[derive(Clone)]
pub(crate) enum Step {
    Create(PathBuf),
    Write {
        file: FileId,
        offset: u64,
        bytes: Arc<[u8]>,
    },
    Truncate {
        file: FileId,
        length: u64,
    },
    Sync {
        file: FileId,
        place: Place,
        failed: bool,
    },
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    CreateFolder(PathBuf),
    RemoveFolder(PathBuf),
    SyncFolder {
        path: PathBuf,
        place: Place,
        failed: bool,
    },
    SyncFilesystem {
        place: Place,
        failed: bool,
    },
    /// The system fails to write back the changes of a file that no sync has reached.
    LoseWrites(FileId),
    /// The system drops the lost changes of a closed file from its memory.
    Evict(FileId),
    Mark(usize),
}

impl fmt::Debug for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = |failed: &bool| if *failed { " (fails)" } else { "" };
        match self {
            Self::Create(path) => write!(formatter, "create {}", path.display()),
            Self::Write { file, offset, bytes } => {
                write!(formatter, "write {} bytes at {offset} of {file:?}", bytes.len())
            }
            Self::Truncate { file, length } => write!(formatter, "truncate {file:?} to {length}"),
            Self::Sync { file, place, failed: fails } => {
                write!(formatter, "sync {file:?} for {place}{}", failed(fails))
            }
            Self::Rename(from, to) => write!(formatter, "rename {} to {}", from.display(), to.display()),
            Self::Remove(path) => write!(formatter, "remove {}", path.display()),
            Self::CreateFolder(path) => write!(formatter, "create folder {}", path.display()),
            Self::RemoveFolder(path) => write!(formatter, "remove folder {}", path.display()),
            Self::SyncFolder { path, place, failed: fails } => {
                write!(formatter, "sync folder /{} for {place}{}", path.display(), failed(fails))
            }
            Self::SyncFilesystem { place, failed: fails } => {
                write!(formatter, "sync the filesystem for {place}{}", failed(fails))
            }
            Self::LoseWrites(file) => write!(formatter, "fail to write {file:?} back"),
            Self::Evict(file) => write!(formatter, "evict {file:?}"),
            Self::Mark(mark) => write!(formatter, "mark {mark}"),
        }
    }
}

/// Something that is visible and not yet durable.
#[derive(Debug, Clone)]
pub(super) struct Pending<T> {
    pub(super) what: T,
    /// Whether a sync failed to make it durable: a later sync does not retry, though it stays visible.
    pub(super) stuck: bool,
    /// The number of the step that made it. Both halves of a rename have the same.
    pub(super) at: u64,
}

/// A change to a file's bytes or its length.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Write {
        offset: u64,
        bytes: Arc<[u8]>,
    },
    Length(u64),
    /// A write whose bytes are lost: the file is at least this long.
    Extent(u64),
}

impl Change {
    pub(super) fn apply(&self, pages: &mut Pages) {
        match self {
            Self::Write { offset, bytes } => pages.write_at(bytes, *offset),
            Self::Length(length) => pages.truncate(*length),
            Self::Extent(length) => pages.truncate(pages.length().max(*length)),
        }
    }

    /// Returns a file's length after this change.
    pub(super) fn length_after(&self, before: u64) -> u64 {
        match self {
            Self::Write { offset, bytes } => before.max(offset + bytes.len() as u64),
            Self::Length(length) => *length,
            Self::Extent(length) => before.max(*length),
        }
    }

    /// Returns the change that is left of this one when the system drops its bytes.
    fn without_bytes(&self) -> Self {
        match self {
            Self::Write { .. } => Self::Extent(self.length_after(0)),
            other => other.clone(),
        }
    }
}

/// A file's bytes.
#[derive(Clone, Default)]
pub(super) struct File {
    pub(super) visible: Pages,
    pub(super) durable: Pages,
    pub(super) pending: Vec<Pending<Change>>,
    /// The blocks that the medium cannot read, by number.
    pub(super) unreadable: BTreeSet<u64>,
}

/// What a name may stand for until it is durable.
pub(super) type PendingNames = BTreeMap<(FolderId, String), Vec<Pending<Option<Node<FileId>>>>>;

/// The whole content of a disk. A clone is cheap: it shares what neither changes.
#[derive(Clone)]
pub(crate) struct Medium {
    pub(super) names: Names<FileId>,
    pub(super) durable: Names<FileId>,
    pub(super) pending: PendingNames,
    pub(super) files: BTreeMap<FileId, File>,
    next: u64,
    steps: u64,
    /// The place whose syncs have no effect.
    ignored: Option<Place>,
    /// Whether a power cut can garble the whole of a block that was being rewritten.
    pub(super) garbles: bool,
    /// Whether the filesystem counts the names of a file. One that does can be synced as a whole.
    pub(super) counts_names: bool,
}

impl Medium {
    /// Makes an empty one.
    pub(crate) fn new() -> Self {
        Self {
            names: Names::new(),
            durable: Names::new(),
            pending: BTreeMap::new(),
            files: BTreeMap::new(),
            next: 0,
            steps: 0,
            ignored: None,
            garbles: false,
            counts_names: true,
        }
    }

    /// Returns a medium on which a power cut can garble the whole of a block that was being rewritten, with
    /// the durable bytes in it.
    pub(crate) fn garbling(self) -> Self {
        Self { garbles: true, ..self }
    }

    /// Returns a medium whose filesystem has no hard links: how many names a file has is unknown.
    pub(crate) fn without_links(self) -> Self {
        Self { counts_names: false, ..self }
    }

    /// Returns a medium that ignores the syncs of a place from now on.
    pub(crate) fn ignoring(mut self, place: Option<Place>) -> Self {
        self.ignored = place;
        self
    }

    /// Returns a medium without pending changes: all that is visible is durable.
    pub(crate) fn settled(&self) -> Self {
        let settle = |file: &File| File { durable: file.visible.clone(), ..file.visible_only() };
        Self {
            durable: self.names.clone(),
            pending: BTreeMap::new(),
            files: self.files.iter().map(|(id, file)| (*id, settle(file))).collect(),
            ..self.clone()
        }
    }

    /// Tells whether a file of this name exists.
    pub(crate) fn has_file(&self, path: &str) -> bool {
        self.names.file(Path::new(path)).is_ok()
    }

    pub(super) fn names(&self) -> &Names<FileId> {
        &self.names
    }

    /// Returns a file's bytes as programs see them.
    pub(super) fn bytes(&self, id: FileId) -> Pages {
        self.files.get(&id).map(|file| file.visible.clone()).unwrap_or_default()
    }

    /// Applies a step that was recorded on an equal medium.
    pub(crate) fn replay(&mut self, step: &Step) {
        self.apply(step).unwrap_or_else(|error| panic!("{step:?} cannot be done again: {error:?}"));
    }

    /// Applies a step, and returns the file that the step made.
    pub(in crate::disk) fn apply(&mut self, step: &Step) -> Result<Option<FileId>, RenameError> {
        self.steps += 1;
        match step {
            Step::Create(path) => return self.create(path).map(Some),
            Step::Write { file, offset, bytes } => {
                self.change(*file, Change::Write { offset: *offset, bytes: Arc::clone(bytes) });
            }
            Step::Truncate { file, length } => self.change(*file, Change::Length(*length)),
            Step::Sync { file, place, failed } if self.ignored != Some(*place) => self.sync(*file, *failed),
            Step::Rename(from, to) => self.rename(from, to)?,
            Step::Remove(path) => {
                let (folder, name) = self.place(path)?;
                self.names.remove(path).map_err(RenameError::From)?;
                self.named(folder, name);
            }
            Step::CreateFolder(path) => self.create_folder(path)?,
            Step::RemoveFolder(path) => self.remove_folder(path)?,
            Step::SyncFolder { path, place, failed } => {
                let folder = self.names.folder(path).map_err(RenameError::From)?;
                if self.ignored != Some(*place) {
                    self.sync_folder(folder, *failed);
                }
            }
            Step::SyncFilesystem { place, failed: false } if self.ignored != Some(*place) => {
                self.sync_filesystem();
            }
            Step::LoseWrites(file) => self.lose_writes(*file),
            Step::Evict(file) => self.evict(*file),
            Step::Sync { .. } | Step::SyncFilesystem { .. } | Step::Mark(_) => {}
        }
        Ok(None)
    }

    fn place(&self, path: &Path) -> Result<(FolderId, String), RenameError> {
        // Check this first: its errors are those of Linux.
        self.names.file(path).map_err(RenameError::From)?;
        let (folder, name) = self.names.place(path).map_err(RenameError::From)?;
        Ok((folder, name.to_owned()))
    }

    fn create(&mut self, path: &Path) -> Result<FileId, RenameError> {
        let id = FileId(self.next);
        self.names.create(path, id).map_err(RenameError::From)?;
        self.next += 1;
        self.files.insert(id, File::default());
        let (folder, name) = self.place(path)?;
        self.named(folder, name);
        Ok(id)
    }

    fn create_folder(&mut self, path: &Path) -> Result<(), RenameError> {
        let there = self.names.folder(path).is_ok();
        self.names.create_folder(path).map_err(RenameError::From)?;
        if !there {
            let (folder, name) = self.names.place(path).map_err(RenameError::From)?;
            let name = name.to_owned();
            self.named(folder, name);
        }
        Ok(())
    }

    fn remove_folder(&mut self, path: &Path) -> Result<(), RenameError> {
        self.names.remove_folder(path).map_err(RenameError::From)?;
        let (folder, name) = self.names.place(path).map_err(RenameError::From)?;
        let name = name.to_owned();
        self.named(folder, name);
        Ok(())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Result<(), RenameError> {
        let old = self.place(from)?;
        if self.names.file(to).ok().is_some_and(|there| self.names.file(from).ok() == Some(there)) {
            // POSIX: two names of one file both stay.
            return Ok(());
        }
        self.names.rename(from, to)?;
        let (folder, name) = self.names.place(to).map_err(RenameError::To)?;
        let new = (folder, name.to_owned());
        // Either half may be lost by itself: then the file has both names or is unnamed.
        self.named(new.0, new.1);
        self.named(old.0, old.1);
        Ok(())
    }

    /// Notes that a name has a new value.
    fn named(&mut self, folder: FolderId, name: String) {
        let what = self.names.value(folder, &name);
        let at = self.steps;
        self.pending.entry((folder, name)).or_default().push(Pending::new(what, at));
    }

    fn change(&mut self, id: FileId, change: Change) {
        let file = self.files.entry(id).or_default();
        change.apply(&mut file.visible);
        file.heal(&change);
        file.pending.push(Pending::new(change, self.steps));
    }

    pub(super) fn sync(&mut self, id: FileId, failed: bool) {
        let file = self.files.entry(id).or_default();
        if failed {
            file.pending.iter_mut().for_each(|pending| pending.stuck = true);
            return;
        }
        if file.pending.iter().all(|pending| !pending.stuck) {
            file.pending.clear();
            file.durable = file.visible.clone();
            return;
        }
        let (stuck, settled) = std::mem::take(&mut file.pending).into_iter().partition(|one| one.stuck);
        file.pending = stuck;
        let settled: Vec<Pending<Change>> = settled;
        settled.iter().for_each(|pending| pending.what.apply(&mut file.durable));
    }

    /// Returns the files with changes that the system may fail to write back.
    pub(super) fn dirty(&self) -> Vec<FileId> {
        let is_dirty = |file: &File| file.pending.iter().any(Pending::is_unwritten);
        self.files.iter().filter(|(_, file)| is_dirty(file)).map(|(id, _)| *id).collect()
    }

    /// Tells whether a file shows bytes that no sync will make durable.
    pub(super) fn shows_lost_bytes(&self, id: FileId) -> bool {
        let is_lost = |file: &File| file.pending.iter().any(|one| one.stuck && one.is_write());
        self.files.get(&id).is_some_and(is_lost)
    }

    fn lose_writes(&mut self, id: FileId) {
        let file = self.files.entry(id).or_default();
        file.pending.iter_mut().filter(|one| one.is_write()).for_each(|one| one.stuck = true);
    }

    fn evict(&mut self, id: FileId) {
        let file = self.files.entry(id).or_default();
        file.visible = file.durable.clone();
        for pending in &mut file.pending {
            if pending.stuck {
                (pending.what, pending.stuck) = (pending.what.without_bytes(), false);
            }
            pending.what.apply(&mut file.visible);
        }
    }

    pub(super) fn sync_folder(&mut self, folder: FolderId, failed: bool) {
        let mut done = Vec::new();
        for (key, values) in self.pending.range_mut((folder, String::new())..) {
            if key.0 != folder {
                break;
            }
            if failed {
                values.iter_mut().for_each(|value| value.stuck = true);
            } else if let Some(last) = values.last().filter(|last| !last.stuck) {
                self.durable.set(folder, &key.1, last.what.clone());
                done.push(key.clone());
            }
        }
        for key in done {
            self.pending.remove(&key);
        }
    }

    /// Returns the files that a name stands for, or might after a power cut.
    pub(super) fn reachable(&self) -> BTreeSet<FileId> {
        let pending = self.pending.values().flatten().filter_map(|pending| match &pending.what {
            Some(Node::File(id)) => Some(*id),
            _ => None,
        });
        let dirty = self.files.iter().filter(|(_, file)| !file.pending.is_empty()).map(|(id, _)| *id);
        let dirty: BTreeSet<FileId> = dirty.collect();
        if dirty.is_empty() {
            return dirty;
        }
        let reachable: BTreeSet<FileId> = pending.chain(self.durable.files()).collect();
        dirty.intersection(&reachable).copied().collect()
    }
}

impl<T> Pending<T> {
    fn new(what: T, at: u64) -> Self {
        Self { what, stuck: false, at }
    }
}

impl Pending<Change> {
    fn is_write(&self) -> bool {
        matches!(self.what, Change::Write { .. })
    }

    fn is_unwritten(&self) -> bool {
        self.is_write() && !self.stuck
    }
}

impl File {
    fn visible_only(&self) -> Self {
        let unreadable = self.unreadable.clone();
        Self { visible: self.visible.clone(), unreadable, ..Self::default() }
    }
}
