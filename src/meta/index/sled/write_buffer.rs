//! Recent changes in memory that are not in sled yet.
//!
//! A transaction of sled costs two writes to its file, however small it is, and blocks all readers meanwhile.
//! So the changes of several transactions are written together. A crash loses only disposable data: after
//! anything but a clean stop the index is rebuilt.

use std::collections::BTreeMap;
use std::ops::Bound;

use sled::IVec;

use crate::meta::model::{RowChange, Tree};

/// How many rows are buffered at most before they are written out: few, since readers wait for that.
const ROWS_MAX: usize = 128;

/// How many bytes of keys and values are buffered at most before they are written out.
const SIZE_MAX_BYTES: usize = 256 * 1024;

/// A row's new value; `None` if it is removed.
type BufferedValue = Option<Vec<u8>>;

/// The changes that are not in sled yet, with the number of the last transaction.
#[derive(Debug, Default)]
pub(in crate::meta) struct WriteBuffer {
    applied: u64,
    /// The number of the last transaction in sled.
    written: u64,
    trees: BTreeMap<Tree, BTreeMap<Vec<u8>, BufferedValue>>,
    rows: usize,
    size_bytes: usize,
    /// How often the changes were written to sled.
    generation: u64,
}

/// The next recent row, and the generation of the buffer that it is from.
#[derive(Debug)]
pub(in crate::meta) struct NextBuffered {
    pub(in crate::meta) generation: u64,
    pub(in crate::meta) row: Option<(IVec, BufferedValue)>,
}

impl WriteBuffer {
    /// Makes an empty buffer over sled's last transaction.
    pub(in crate::meta) fn at(applied: u64) -> Self {
        Self { applied, written: applied, ..Self::default() }
    }

    /// Returns the number of the last transaction.
    pub(in crate::meta) fn applied(&self) -> u64 {
        self.applied
    }

    /// Returns a row's value if the row changed recently; the inner `None` means that it was removed.
    pub(in crate::meta) fn get(&self, tree: Tree, key: &[u8]) -> Option<BufferedValue> {
        self.trees.get(&tree)?.get(key).cloned()
    }

    /// Returns the first recent row from `from` on, removed ones included.
    pub(in crate::meta) fn next(&self, tree: Tree, from: &Bound<IVec>) -> NextBuffered {
        let from = from.as_ref().map(AsRef::<[u8]>::as_ref);
        let rows = self.trees.get(&tree);
        let next = rows.and_then(|rows| rows.range::<[u8], _>((from, Bound::Unbounded)).next());
        let row = next.map(|(key, value)| (IVec::from(key.as_slice()), value.clone()));
        NextBuffered { generation: self.generation, row }
    }

    /// Adds a transaction.
    pub(in crate::meta) fn add(&mut self, seq: u64, changes: &[RowChange]) {
        for RowChange { tree, key, value } in changes {
            self.size_bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            let rows = self.trees.entry(*tree).or_default();
            if rows.insert(key.clone(), value.clone()).is_none() {
                self.rows += 1;
            }
        }
        self.applied = seq;
    }

    /// Tells whether the buffer must be written out.
    pub(in crate::meta) fn is_full(&self) -> bool {
        self.rows >= ROWS_MAX || self.size_bytes >= SIZE_MAX_BYTES
    }

    /// Tells whether sled has all changes.
    pub(in crate::meta) fn is_written(&self) -> bool {
        self.rows == 0 && self.applied == self.written
    }

    /// Returns the buffered changes, in the order of trees and keys.
    pub(in crate::meta) fn changes(&self) -> Vec<RowChange> {
        let row = |tree: Tree, (key, value): (&Vec<u8>, &BufferedValue)| RowChange {
            tree,
            key: key.clone(),
            value: value.clone(),
        };
        self.trees.iter().flat_map(|(tree, rows)| rows.iter().map(|one| row(*tree, one))).collect()
    }

    /// Drops all changes after they were written to sled, up to transaction `seq`.
    pub(in crate::meta) fn written(&mut self, seq: u64) {
        let generation = self.generation + 1;
        *self = Self { generation, ..Self::at(seq) };
    }
}
