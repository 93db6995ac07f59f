//! The index in sled: fast, transactional, and disposable. The journal is the truth; the files in `index/`
//! are trusted only after a clean stop.

use std::io;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};

use sled::IVec;

use crate::base::{lock, read, write};
use crate::meta::index::compaction::{CompactionOutcome, CompactionPacing};
use crate::meta::index::sled::bulk_load::{BulkLoad, RUN_SIZE_MAX_BYTES};
use crate::meta::index::sled::copy::{Copying, ROOM_MIN_BYTES, Walk, is_too_large, needed_bytes};
use crate::meta::index::sled::folders;
use crate::meta::index::sled::merged_scan::MergedScan;
use crate::meta::index::sled::trees::{SledTrees, storage};
use crate::meta::index::sled::write_buffer::WriteBuffer;
use crate::meta::index::{Index, IndexError, RowVisitor, guarded};
use crate::meta::model::{RowChange, Tree};

/// An index kept in a sled database, except for recent changes.
pub struct SledIndex {
    folder: PathBuf,
    /// `None` once the index is closed.
    open: RwLock<Option<SledTrees>>,
    /// Overrides what sled has. Never locked while `open` is being locked, nor during a call of sled.
    recent: RwLock<WriteBuffer>,
    /// The bulk load in progress.
    loading: Mutex<Option<BulkLoad>>,
    /// The number of the open database. Changes only while `open` is locked.
    generation: AtomicU64,
    /// The copy that will replace the open database. Locked only while `open` is locked.
    copying: Mutex<Option<Copying>>,
    /// The generation of the last copy: sled may still use the file names of an abandoned one.
    last_generation: AtomicU64,
}

impl std::fmt::Debug for SledIndex {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SledIndex")
    }
}

impl SledIndex {
    /// Opens the first database in `folder`, and creates it if necessary.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        Self::open_generation(folder, 0)
    }

    /// Opens one of the databases in `folder`, and removes the others, which a compaction left.
    pub(in crate::meta) fn open_generation(folder: &Path, generation: u64) -> Result<Self, IndexError> {
        let trees = SledTrees::open(&folders::folder(folder, generation))?;
        folders::forget_others(folder, generation);
        let recent = RwLock::new(WriteBuffer::at(trees.applied()?));
        Ok(Self {
            folder: folder.to_owned(),
            open: RwLock::new(Some(trees)),
            recent,
            loading: Mutex::new(None),
            generation: AtomicU64::new(generation),
            copying: Mutex::new(None),
            last_generation: AtomicU64::new(generation),
        })
    }

    fn with<T>(&self, work: impl FnOnce(&SledTrees) -> Result<T, IndexError>) -> Result<T, IndexError> {
        let open = read(&self.open);
        work(open.as_ref().ok_or(IndexError::Closed)?)
    }

    fn recent(&self) -> RwLockReadGuard<'_, WriteBuffer> {
        read(&self.recent)
    }

    fn change_recent<T>(&self, change: impl FnOnce(&mut WriteBuffer) -> T) -> T {
        change(&mut write(&self.recent))
    }

    fn copying(&self) -> MutexGuard<'_, Option<Copying>> {
        lock(&self.copying)
    }

    /// Writes recent changes to sled, in one transaction. Only one thread at a time changes an index.
    fn write_out(&self, open: &SledTrees) -> Result<(), IndexError> {
        let (seq, changes) = {
            let recent = self.recent();
            if recent.is_written() {
                return Ok(());
            }
            (recent.applied(), recent.changes())
        };
        open.apply(seq, &changes)?;
        // INVARIANT: the copy follows after the write: a step that read the previous rows has ended once this
        // has the lock, and the walk is past them.
        if let Some(copy) = self.copying().as_mut() {
            copy.follow(seq, &changes);
        }
        // INVARIANT: sled has the changes before the buffer drops them, so that no reader misses them.
        self.change_recent(|recent| recent.written(seq));
        Ok(())
    }

    /// Returns the size of the files if it is too much for the rows.
    fn excess(
        &self,
        pacing: &mut CompactionPacing<'_>,
    ) -> Result<ControlFlow<CompactionOutcome, Excess>, IndexError> {
        let size = self.size_bytes()?;
        let least = pacing.worthwhile_bytes;
        let is_wanted = |needed| least == 0 || (size >= least && is_too_large(size, needed));
        let (mut walk, mut needed, mut row_bytes) = (Walk::new(), needed_bytes(0), 0_u64);
        while is_wanted(needed) {
            if walk.is_at_end() {
                return Ok(ControlFlow::Continue(Excess { size, needed }));
            }
            for row in self.with(|open| walk.step(open))? {
                row_bytes += (row.key.len() + row.value.map_or(0, |value| value.len())) as u64;
            }
            needed = needed_bytes(row_bytes);
            if !(pacing.pause)() {
                return Ok(ControlFlow::Break(CompactionOutcome::Stopped));
            }
        }
        Ok(ControlFlow::Break(CompactionOutcome::NotNeeded))
    }

    /// Copies everything, and replaces the old database with the copy.
    fn copy(
        &self,
        before: &Excess,
        pacing: &mut CompactionPacing<'_>,
    ) -> Result<CompactionOutcome, IndexError> {
        if !(pacing.has_room)(before.needed.saturating_add(ROOM_MIN_BYTES)) {
            return Ok(CompactionOutcome::NoSpace);
        }
        let next = 1 + self.last_generation.fetch_add(1, Ordering::SeqCst);
        let begun = self.with(|open| {
            self.forget_others();
            // Unwritten changes reach the copy when they are written out.
            Ok(Copying::begin(open, &folders::folder(&self.folder, next)).map(|copy| {
                *self.copying() = Some(copy);
            }))
        })?;
        if let Err(error) = begun {
            return Ok(failed(&error));
        }
        loop {
            let state = self.with(|open| {
                let mut copying = self.copying();
                let Some(copy) = copying.as_mut() else { return Err(IndexError::Closed) };
                copy.step(open)?;
                Ok((copy.is_complete(), copy.failed().map(failed)))
            })?;
            match state {
                (true, _) => break,
                (false, Some(failed)) => return Ok(failed),
                (false, None) => {}
            }
            if !(pacing.pause)() {
                return Ok(CompactionOutcome::Stopped);
            }
            if !(pacing.has_room)(ROOM_MIN_BYTES) {
                return Ok(CompactionOutcome::NoSpace);
            }
        }
        self.swap(before.size, next)
    }

    /// Replaces the old database with a complete copy. Scans that read the old one continue on it.
    fn swap(&self, before_bytes: u64, generation: u64) -> Result<CompactionOutcome, IndexError> {
        let old = {
            let mut open = write(&self.open);
            // INVARIANT: no changes are written out while this is locked, so both have the same rows.
            let Some(open) = open.as_mut() else { return Err(IndexError::Closed) };
            let Some(copy) = self.copying().take() else { return Err(IndexError::Closed) };
            if let Some(error) = copy.failed() {
                return Ok(failed(error));
            }
            self.generation.store(generation, Ordering::SeqCst);
            std::mem::replace(open, copy.into_trees())
        };
        // Drop the old database before its files are removed: sled may still write to them.
        drop_database(old);
        self.with(|open| {
            self.forget_others();
            Ok(CompactionOutcome::Done { before_bytes, after_bytes: open.size_bytes()? })
        })
    }

    fn forget_others(&self) {
        folders::forget_others(&self.folder, self.generation.load(Ordering::SeqCst));
    }

    /// Makes the copy in progress fail, as its storage would.
    #[cfg(test)]
    pub(in crate::meta) fn fail_copy(&self) {
        self.copying().as_mut().unwrap().fail();
    }

    /// Abandons an incomplete copy.
    fn give_up(&self) -> Result<(), IndexError> {
        self.with(|_| {
            let copy = self.copying().take();
            drop_database(copy);
            self.forget_others();
            Ok(())
        })
    }
}

/// Files that are too large.
struct Excess {
    /// What they take, in bytes.
    size: u64,
    /// What new files would take, in bytes.
    needed: u64,
}

/// Drops a database that is no longer in use, and ignores its failures.
fn drop_database<T>(database: T) {
    if let Err(error) = guarded(|| {
        drop(database);
        Ok(())
    }) {
        log::debug!("an old index was not closed: {error}");
    }
}

fn failed(error: &IndexError) -> CompactionOutcome {
    match error {
        IndexError::NoSpace => CompactionOutcome::NoSpace,
        other => CompactionOutcome::Failed(other.to_string()),
    }
}

impl Index for SledIndex {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        self.with(|open| {
            if let Some(value) = self.recent().get(tree, key) {
                return Ok(value);
            }
            let value = open.tree(tree)?.get(key).map_err(storage)?;
            Ok(value.map(|value| value.to_vec()))
        })
    }

    fn scan(
        &self,
        tree: Tree,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), IndexError> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(IVec::from(after)),
            _ => Bound::Included(IVec::from(prefix)),
        };
        let next_recent = |from: &Bound<IVec>| self.recent().next(tree, from);
        // The tree's handle is taken out of the lock, so that `visit` may read the index itself.
        let stored = || self.with(|open| open.tree(tree).cloned());
        let mut merged = MergedScan::new(stored, from, next_recent)?;
        while let Some((key, value)) = merged.next()? {
            if !key.starts_with(prefix) || visit(&key, &value) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, seq: u64, changes: &[RowChange]) -> Result<(), IndexError> {
        self.with(|open| {
            let is_full = self.change_recent(|recent| {
                recent.add(seq, changes);
                recent.is_full()
            });
            if is_full { self.write_out(open) } else { Ok(()) }
        })
    }

    fn load(&self, changes: &[RowChange]) -> Result<(), IndexError> {
        let mut loading = lock(&self.loading);
        let loading = loading.get_or_insert_with(|| BulkLoad::new(&self.folder, RUN_SIZE_MAX_BYTES));
        loading.add(changes).map_err(|error| storage(error.into()))
    }

    fn finish_load(&self) -> Result<(), IndexError> {
        let loading = lock(&self.loading).take();
        let Some(loading) = loading else { return Ok(()) };
        self.with(|open| {
            self.write_out(open)?;
            loading.merge(|change| open.set(change).map_err(Loaded)).map_err(|Loaded(error)| error)
        })
    }

    fn applied(&self) -> Result<u64, IndexError> {
        self.with(|_| Ok(self.recent().applied()))
    }

    fn close(&self) -> Result<(), IndexError> {
        let taken = write(&self.open).take();
        let Some(open) = taken else { return Ok(()) };
        let copy = self.copying().take();
        if copy.is_some() {
            drop_database(copy);
            self.forget_others();
        }
        self.write_out(&open)?;
        open.flush()
    }

    fn size_bytes(&self) -> Result<u64, IndexError> {
        self.with(SledTrees::size_bytes)
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn compact(&self, pacing: &mut CompactionPacing<'_>) -> Result<CompactionOutcome, IndexError> {
        let excess = match self.excess(pacing)? {
            ControlFlow::Continue(excess) => excess,
            ControlFlow::Break(compacted) => return Ok(compacted),
        };
        let done = self.copy(&excess, pacing);
        if !matches!(done, Ok(CompactionOutcome::Done { .. })) {
            self.give_up()?;
        }
        done
    }
}

/// An error of loading: from reading runs or from writing rows.
struct Loaded(IndexError);

impl From<io::Error> for Loaded {
    fn from(error: io::Error) -> Self {
        Self(storage(error.into()))
    }
}
