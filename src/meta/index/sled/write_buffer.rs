//! Changes on their way into sled: what was applied lately, in memory.
//!
//! A transaction of sled costs two writes to its file, however little is in it, and everybody who reads waits
//! meanwhile. So the changes of several transactions go in together. Nothing rests on sled's file, so nothing
//! is lost with these: after anything but a clean stop the index is made anew.

use std::collections::BTreeMap;
use std::ops::Bound;

use sled::IVec;

use crate::meta::model::{RowChange, Tree};

/// How many rows are held at most before they are written out: few, since readers wait for that.
const ROWS_MAX: usize = 128;

/// How many bytes of keys and values are held at most before they are written out.
const SIZE_MAX_BYTES: usize = 256 * 1024;

/// A row's value from now on; none if it is removed.
type BufferedValue = Option<Vec<u8>>;

/// The changes that sled has not got yet, with the number of the last transaction.
#[derive(Debug, Default)]
pub(in crate::meta) struct WriteBuffer {
    applied: u64,
    /// The number that sled has.
    written: u64,
    trees: BTreeMap<Tree, BTreeMap<Vec<u8>, BufferedValue>>,
    rows: usize,
    size_bytes: usize,
    /// Counts how often the changes went to sled.
    generation: u64,
}

/// The next of the recent rows, and which generation of them it is of.
#[derive(Debug)]
pub(in crate::meta) struct NextBuffered {
    pub(in crate::meta) generation: u64,
    pub(in crate::meta) row: Option<(IVec, BufferedValue)>,
}

impl WriteBuffer {
    /// Begins where sled stands.
    pub(in crate::meta) fn at(applied: u64) -> Self {
        Self { applied, written: applied, ..Self::default() }
    }

    /// Returns the last transaction.
    pub(in crate::meta) fn applied(&self) -> u64 {
        self.applied
    }

    /// Returns a row's value if the row changed lately; the inner one is none if it was removed.
    pub(in crate::meta) fn get(&self, tree: Tree, key: &[u8]) -> Option<BufferedValue> {
        self.trees.get(&tree)?.get(key).cloned()
    }

    /// Returns the first row that changed lately from `from` on, removed ones as well.
    pub(in crate::meta) fn next(&self, tree: Tree, from: &Bound<IVec>) -> NextBuffered {
        let from = from.as_ref().map(AsRef::<[u8]>::as_ref);
        let rows = self.trees.get(&tree);
        let next = rows.and_then(|rows| rows.range::<[u8], _>((from, Bound::Unbounded)).next());
        let row = next.map(|(key, value)| (IVec::from(key.as_slice()), value.clone()));
        NextBuffered { generation: self.generation, row }
    }

    /// Takes a transaction.
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

    /// Tells whether it is time to write them out.
    pub(in crate::meta) fn is_full(&self) -> bool {
        self.rows >= ROWS_MAX || self.size_bytes >= SIZE_MAX_BYTES
    }

    /// Tells whether sled has everything.
    pub(in crate::meta) fn is_written(&self) -> bool {
        self.rows == 0 && self.applied == self.written
    }

    /// Returns what sled has not got, in the order of trees and keys.
    pub(in crate::meta) fn changes(&self) -> Vec<RowChange> {
        let row = |tree: Tree, (key, value): (&Vec<u8>, &BufferedValue)| RowChange {
            tree,
            key: key.clone(),
            value: value.clone(),
        };
        self.trees.iter().flat_map(|(tree, rows)| rows.iter().map(|one| row(*tree, one))).collect()
    }

    /// Forgets what sled has got by now, which is everything up to that transaction.
    pub(in crate::meta) fn written(&mut self, seq: u64) {
        let generation = self.generation + 1;
        *self = Self { generation, ..Self::at(seq) };
    }
}
