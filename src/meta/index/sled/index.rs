//! The index in sled: fast, transactional, and disposable. The journal is the truth; the files in `index/`
//! are trusted only after a clean stop.

use std::io;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, RwLock, RwLockReadGuard};

use sled::IVec;

use crate::base::{lock, read, write};
use crate::meta::index::sled::bulk_load::{BulkLoad, RUN_SIZE_MAX_BYTES};
use crate::meta::index::sled::folders;
use crate::meta::index::sled::merged_scan::MergedScan;
use crate::meta::index::sled::trees::{SledTrees, storage};
use crate::meta::index::sled::write_buffer::WriteBuffer;
use crate::meta::index::{Index, IndexError, RowReader, RowVisitor, Step, guarded};
use crate::meta::model::{RowChange, Tree};

/// How many rows are loaded between two calls of a step.
const STEP_ROWS: usize = 64;

/// An index kept in a sled database, except for recent changes.
pub struct SledIndex {
    folder: PathBuf,
    /// `None` once the index is closed.
    open: RwLock<Option<SledTrees>>,
    /// Overrides what sled has. Never locked while `open` is being locked, nor during a call of sled.
    recent: RwLock<WriteBuffer>,
    /// The bulk load in progress.
    loading: Mutex<Option<BulkLoad>>,
    /// Its number among the databases in the folder.
    generation: u64,
    /// Whether its files go with it.
    is_discarded: AtomicBool,
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

    /// Opens one of the databases in `folder`, and removes the others, which a crash left.
    pub(in crate::meta) fn open_generation(folder: &Path, generation: u64) -> Result<Self, IndexError> {
        let opened = Self::open_one(folder, generation)?;
        folders::remove(folder, |other| other == generation);
        Ok(opened)
    }

    /// Creates a database in `folder`, beside those that are there.
    pub(in crate::meta) fn create(folder: &Path, generation: u64) -> Result<Self, IndexError> {
        let own = folders::folder(folder, generation);
        if generation > 0 && own.exists() {
            return Err(IndexError::Storage(format!("{} is in the way", own.display())));
        }
        let made = folders::create(&own, true);
        made.map_err(|error| IndexError::Storage(format!("cannot create {}: {error}", own.display())))?;
        let created = Self::open_one(folder, generation);
        if created.is_err() {
            folders::remove(folder, |other| other != generation);
        }
        created
    }

    fn open_one(folder: &Path, generation: u64) -> Result<Self, IndexError> {
        let (trees, applied) = guarded(|| {
            let trees = SledTrees::open(&folders::folder(folder, generation))?;
            let applied = trees.applied()?;
            Ok((trees, applied))
        })?;
        let recent = RwLock::new(WriteBuffer::at(applied));
        Ok(Self {
            folder: folder.to_owned(),
            open: RwLock::new(Some(trees)),
            recent,
            loading: Mutex::new(None),
            generation,
            is_discarded: AtomicBool::new(false),
        })
    }

    /// Calls sled, whose panics become errors.
    fn with<T>(&self, work: impl FnOnce(&SledTrees) -> Result<T, IndexError>) -> Result<T, IndexError> {
        let open = read(&self.open);
        let open = open.as_ref().ok_or(IndexError::Closed)?;
        guarded(|| work(open))
    }

    fn recent(&self) -> RwLockReadGuard<'_, WriteBuffer> {
        read(&self.recent)
    }

    fn change_recent<T>(&self, change: impl FnOnce(&mut WriteBuffer) -> T) -> T {
        change(&mut write(&self.recent))
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
        // INVARIANT: sled has the changes before the buffer drops them, so that no reader misses them.
        self.change_recent(|recent| recent.written(seq));
        Ok(())
    }
}

impl Drop for SledIndex {
    fn drop(&mut self) {
        let open = write(&self.open).take();
        // Drop the database before its files are removed, whatever it fails with: sled may still write to
        // them.
        if let Err(error) = guarded(|| {
            drop(open);
            Ok(())
        }) {
            log::debug!("an old index was not closed: {error}");
        }
        if self.is_discarded.load(Ordering::SeqCst) {
            folders::remove(&self.folder, |generation| generation != self.generation);
        }
    }
}

impl RowReader for SledIndex {
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
        let stored = self.with(|open| open.tree(tree).cloned())?;
        let mut merged = guarded(|| Ok(MergedScan::new(stored, from, next_recent)))?;
        while let Some((key, value)) = guarded(|| merged.next())? {
            if !key.starts_with(prefix) || visit(&key, &value) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
}

impl Index for SledIndex {
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
        let folder = || folders::folder(&self.folder, self.generation);
        let loading = loading.get_or_insert_with(|| BulkLoad::new(&folder(), RUN_SIZE_MAX_BYTES));
        loading.add(changes).map_err(|error| storage(error.into()))
    }

    fn finish_load(&self, step: &mut Step<'_>) -> Result<(), IndexError> {
        let loading = lock(&self.loading).take();
        let Some(loading) = loading else { return Ok(()) };
        self.with(|open| {
            self.write_out(open)?;
            let mut rows: usize = 0;
            let mut set = |change| {
                rows += 1;
                if rows.is_multiple_of(STEP_ROWS) {
                    step()?;
                }
                open.set(change)
            };
            loading.merge(|change| set(change).map_err(Loaded)).map_err(|Loaded(error)| error)
        })
    }

    fn applied(&self) -> Result<u64, IndexError> {
        self.with(|_| Ok(self.recent().applied()))
    }

    fn close(&self) -> Result<(), IndexError> {
        let taken = write(&self.open).take();
        let Some(open) = taken else { return Ok(()) };
        guarded(move || {
            self.write_out(&open)?;
            open.flush()
        })
    }

    fn size_bytes(&self) -> Result<u64, IndexError> {
        self.with(SledTrees::size_bytes)
    }

    fn generation(&self) -> Option<u64> {
        Some(self.generation)
    }

    fn discard(&self) {
        self.is_discarded.store(true, Ordering::SeqCst);
    }
}

/// An error of loading: from reading runs or from writing rows.
struct Loaded(IndexError);

impl From<io::Error> for Loaded {
    fn from(error: io::Error) -> Self {
        Self(storage(error.into()))
    }
}
