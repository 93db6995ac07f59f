//! The index in sled: fast and transactional, and disposable. The journal is the truth; what lies in `index/`
//! is trusted only after a clean stop.

use std::io;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use sled::transaction::{ConflictableTransactionError, TransactionError, TransactionalTree};
use sled::{IVec, Transactional};

use crate::meta::bulk_load::{BulkLoad, RUN_SIZE_MAX_BYTES};
use crate::meta::index::{Change, Index, IndexError, Visit};
use crate::meta::merged::Merged;
use crate::meta::recent::Recent;
use crate::meta::tree::Tree;

/// sled takes a multiple of this; its default is 1 GiB.
const CACHE_CAPACITY_BYTES: u64 = 8 * 1024 * 1024;

/// sled lets go of its file lock a moment after the last handle is dropped.
const OPEN_TRIES_MAX: u32 = 50;
const OPEN_RETRY_PAUSE: Duration = Duration::from_millis(20);

const APPLIED_TREE: &str = "applied";
const APPLIED_KEY: &[u8] = b"seq";

/// An index kept in a sled database, but for what changed lately.
pub struct SledIndex {
    folder: PathBuf,
    /// Gone once the index is closed.
    open: RwLock<Option<Open>>,
    /// What counts before what sled has. Never locked while `open` is being locked, nor while sled is asked.
    recent: RwLock<Recent>,
    /// What is being loaded, until that ends.
    loading: Mutex<Option<BulkLoad>>,
}

struct Open {
    trees: Vec<sled::Tree>,
    applied: sled::Tree,
    /// Dropped last: the trees refer to it.
    _database: sled::Db,
}

impl std::fmt::Debug for SledIndex {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SledIndex")
    }
}

impl SledIndex {
    /// Opens the database in `folder`, and makes it when there is none.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let database = open_database(folder)?;
        let trees = Tree::ALL
            .iter()
            .map(|tree| database.open_tree(tree.name()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(storage)?;
        let applied = database.open_tree(APPLIED_TREE).map_err(storage)?;
        let open = Open { trees, applied, _database: database };
        let recent = RwLock::new(Recent::at(open.applied()?));
        let (folder, open) = (folder.to_owned(), RwLock::new(Some(open)));
        Ok(Self { folder, open, recent, loading: Mutex::new(None) })
    }

    fn with<T>(&self, work: impl FnOnce(&Open) -> Result<T, IndexError>) -> Result<T, IndexError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        work(open.as_ref().ok_or(IndexError::Closed)?)
    }

    fn recent(&self) -> RwLockReadGuard<'_, Recent> {
        self.recent.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_recent<T>(&self, change: impl FnOnce(&mut Recent) -> T) -> T {
        change(&mut self.recent.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes what changed lately to sled, in one transaction. Only one thread at a time changes an index.
    fn write_out(&self, open: &Open) -> Result<(), IndexError> {
        let (seq, changes) = {
            let recent = self.recent();
            if recent.is_written() {
                return Ok(());
            }
            (recent.applied(), recent.changes())
        };
        open.apply(seq, &changes)?;
        // INVARIANT: sled has them before they are forgotten, so that no reader misses them.
        self.change_recent(|recent| recent.written(seq));
        Ok(())
    }
}

fn open_database(folder: &Path) -> Result<sled::Db, IndexError> {
    // No flusher: nothing here has to be durable before the clean stop, which flushes.
    let config = sled::Config::new().path(folder).cache_capacity(CACHE_CAPACITY_BYTES).flush_every_ms(None);
    let mut tries = 1;
    loop {
        match config.open() {
            Ok(database) => return Ok(database),
            Err(error) if tries < OPEN_TRIES_MAX && error.to_string().contains("lock") => {
                tries += 1;
                std::thread::sleep(OPEN_RETRY_PAUSE);
            }
            Err(error) => return Err(storage(error)),
        }
    }
}

impl Open {
    fn tree(&self, tree: Tree) -> Result<&sled::Tree, IndexError> {
        self.trees.get(tree as usize).ok_or(IndexError::Closed)
    }

    /// Returns the number of the last transaction that sled has.
    fn applied(&self) -> Result<u64, IndexError> {
        let value = self.applied.get(APPLIED_KEY).map_err(storage)?;
        let bytes = value.as_deref().and_then(|value| value.try_into().ok());
        Ok(bytes.map_or(0, u64::from_be_bytes))
    }

    fn apply(&self, seq: u64, changes: &[Change]) -> Result<(), IndexError> {
        let mut touched: Vec<Tree> = changes.iter().map(|change| change.tree).collect();
        touched.sort_unstable();
        touched.dedup();
        let mut trees = vec![self.applied.clone()];
        for tree in &touched {
            trees.push(self.tree(*tree)?.clone());
        }
        trees.as_slice().transaction(|views| write(views, &touched, seq, changes)).map_err(transaction_failed)
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
        visit: &mut Visit<'_>,
    ) -> Result<(), IndexError> {
        // The tree's handle is taken out of the lock, so that `visit` may read the index itself.
        let rows = self.with(|open| open.tree(tree).cloned())?;
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(IVec::from(after)),
            _ => Bound::Included(IVec::from(prefix)),
        };
        let next_recent = |from: &Bound<IVec>| self.recent().next(tree, from);
        let mut merged = Merged::new(&rows, from, next_recent);
        while let Some((key, value)) = merged.next().map_err(storage)? {
            if !key.starts_with(prefix) || visit(&key, &value) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, seq: u64, changes: &[Change]) -> Result<(), IndexError> {
        self.with(|open| {
            let is_full = self.change_recent(|recent| {
                recent.add(seq, changes);
                recent.is_full()
            });
            if is_full { self.write_out(open) } else { Ok(()) }
        })
    }

    fn load(&self, changes: &[Change]) -> Result<(), IndexError> {
        let mut loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let loading = loading.get_or_insert_with(|| BulkLoad::new(&self.folder, RUN_SIZE_MAX_BYTES));
        loading.add(changes).map_err(|error| storage(error.into()))
    }

    fn finish_load(&self) -> Result<(), IndexError> {
        let loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(loading) = loading else { return Ok(()) };
        self.with(|open| {
            self.write_out(open)?;
            let merged = loading.merge(|Change { tree, key, value }| {
                let rows =
                    open.tree(tree).map_err(|_| sled::Error::Unsupported("a closed index".to_owned()))?;
                // One row at a time: sled lets go of nothing that it replaces while it works on a batch.
                match value {
                    Some(value) => rows.insert(key, value).map(drop),
                    None if rows.contains_key(&key)? => rows.remove(key).map(drop),
                    None => Ok(()),
                }
            });
            merged.map_err(storage)
        })
    }

    fn applied(&self) -> Result<u64, IndexError> {
        self.with(|_| Ok(self.recent().applied()))
    }

    fn close(&self) -> Result<(), IndexError> {
        let taken = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(open) = taken else { return Ok(()) };
        self.write_out(&open)?;
        open._database.flush().map(drop).map_err(storage)
    }
}

/// The body of the transaction; sled may run it again, so it only writes what it was given.
fn write(
    views: &[TransactionalTree],
    touched: &[Tree],
    seq: u64,
    changes: &[Change],
) -> Result<(), ConflictableTransactionError<IndexError>> {
    let (applied, trees) =
        views.split_first().ok_or(ConflictableTransactionError::Abort(IndexError::Closed))?;
    for change in changes {
        let view = touched.binary_search(&change.tree).ok().and_then(|at| trees.get(at));
        let view = view.ok_or(ConflictableTransactionError::Abort(IndexError::Closed))?;
        match &change.value {
            Some(value) => view.insert(change.key.as_slice(), value.as_slice())?,
            None => view.remove(change.key.as_slice())?,
        };
    }
    applied.insert(APPLIED_KEY, &seq.to_be_bytes())?;
    Ok(())
}

fn transaction_failed(error: TransactionError<IndexError>) -> IndexError {
    match error {
        TransactionError::Abort(error) => error,
        TransactionError::Storage(error) => storage(error),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is called by map_err")]
fn storage(error: sled::Error) -> IndexError {
    match &error {
        sled::Error::Io(cause) if is_full(cause.kind()) => IndexError::NoSpace,
        _ => IndexError::Storage(error.to_string()),
    }
}

fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
