//! An open sled database with its trees.

use std::io;
use std::path::Path;
use std::time::Duration;

use sled::Transactional;
use sled::transaction::{ConflictableTransactionError, TransactionError, TransactionalTree};

use crate::meta::index::IndexError;
use crate::meta::model::{RowChange, Tree};

/// sled uses a multiple of this; its default is 1 GiB.
const CACHE_CAPACITY_BYTES: u64 = 8 * 1024 * 1024;

/// sled releases its file lock a moment after the last handle is dropped.
const OPEN_TRIES_MAX: u32 = 50;
const OPEN_RETRY_PAUSE: Duration = Duration::from_millis(20);

const APPLIED_TREE: &str = "applied";
const APPLIED_KEY: &[u8] = b"seq";

/// The trees of a database, and the last transaction applied to them.
pub(in crate::meta) struct SledTrees {
    trees: Vec<sled::Tree>,
    applied: sled::Tree,
    /// Dropped last: the trees refer to it.
    database: sled::Db,
}

impl SledTrees {
    /// Opens the database in `folder`, and creates it if necessary.
    pub(in crate::meta) fn open(folder: &Path) -> Result<Self, IndexError> {
        #[cfg(test)]
        assert!(!folder.join("panics").exists(), "the test says so");
        let database = open_database(folder)?;
        let trees = Tree::ALL
            .iter()
            .map(|tree| database.open_tree(tree.name()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(storage)?;
        let applied = database.open_tree(APPLIED_TREE).map_err(storage)?;
        Ok(Self { trees, applied, database })
    }

    pub(in crate::meta) fn tree(&self, tree: Tree) -> Result<&sled::Tree, IndexError> {
        self.trees.get(tree as usize).ok_or(IndexError::Closed)
    }

    /// Returns the number of the last transaction that is in sled.
    pub(in crate::meta) fn applied(&self) -> Result<u64, IndexError> {
        let value = self.applied.get(APPLIED_KEY).map_err(storage)?;
        let bytes = value.as_deref().and_then(|value| value.try_into().ok());
        Ok(bytes.map_or(0, u64::from_be_bytes))
    }

    /// Makes changes and sets the number of the last transaction, atomically.
    pub(in crate::meta) fn apply(&self, seq: u64, changes: &[RowChange]) -> Result<(), IndexError> {
        let mut touched: Vec<Tree> = changes.iter().map(|change| change.tree).collect();
        touched.sort_unstable();
        touched.dedup();
        let mut trees = vec![self.applied.clone()];
        for tree in &touched {
            trees.push(self.tree(*tree)?.clone());
        }
        trees.as_slice().transaction(|views| write(views, &touched, seq, changes)).map_err(transaction_failed)
    }

    /// Makes one change by itself, before the database has readers: during a batch sled frees none of the
    /// values that it replaces.
    pub(in crate::meta) fn set(&self, RowChange { tree, key, value }: RowChange) -> Result<(), IndexError> {
        let rows = self.tree(tree)?;
        let set = match value {
            Some(value) => rows.insert(key, value).map(drop),
            None => match rows.contains_key(&key) {
                Ok(true) => rows.remove(key).map(drop),
                other => other.map(drop),
            },
        };
        set.map_err(storage)
    }

    /// Returns how many bytes the files take.
    pub(in crate::meta) fn size_bytes(&self) -> Result<u64, IndexError> {
        self.database.size_on_disk().map_err(storage)
    }

    /// Writes everything to the files.
    pub(in crate::meta) fn flush(&self) -> Result<(), IndexError> {
        self.database.flush().map(drop).map_err(storage)
    }
}

fn open_database(folder: &Path) -> Result<sled::Db, IndexError> {
    // No flusher: only a clean stop needs the files to be durable, and it flushes them itself.
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

/// The body of the transaction. sled may run it again, so it only writes its arguments.
fn write(
    views: &[TransactionalTree],
    touched: &[Tree],
    seq: u64,
    changes: &[RowChange],
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

/// Converts an error of sled.
#[expect(clippy::needless_pass_by_value, reason = "it is called by map_err")]
pub(in crate::meta) fn storage(error: sled::Error) -> IndexError {
    match &error {
        sled::Error::Io(cause) if is_full(cause.kind()) => IndexError::NoSpace,
        _ => IndexError::Storage(error.to_string()),
    }
}

fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
