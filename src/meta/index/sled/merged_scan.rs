//! The rows of a tree in order: sled's rows merged with recent changes.

use std::cmp::Ordering;
use std::ops::Bound;

use sled::IVec;

use crate::meta::index::IndexError;
use crate::meta::index::sled::trees::storage;
use crate::meta::index::sled::write_buffer::NextBuffered;

/// Rows from one key on. The scan is no snapshot, but it never misses a row that exists all the time, even
/// when the row goes from memory to sled meanwhile.
pub(in crate::meta) struct MergedScan<F> {
    tree: sled::Tree,
    /// Returns the next recent row from a bound on.
    next_recent: F,
    /// Where the search for the next row starts.
    from: Bound<IVec>,
    stored: sled::Iter,
    stored_next: Option<(IVec, IVec)>,
    recent: NextBuffered,
}

impl<F: Fn(&Bound<IVec>) -> NextBuffered> MergedScan<F> {
    /// Starts a scan at a bound.
    pub(in crate::meta) fn new(tree: sled::Tree, from: Bound<IVec>, next_recent: F) -> Self {
        let recent = next_recent(&from);
        // Read the tree after the look at recent rows: changes that were written out before are then in it.
        let stored = tree.range((from.clone(), Bound::Unbounded));
        Self { tree, next_recent, from, stored, stored_next: None, recent }
    }

    /// Returns the next row.
    pub(in crate::meta) fn next(&mut self) -> Result<Option<(IVec, IVec)>, IndexError> {
        loop {
            if self.stored_next.is_none() {
                self.stored_next = self.stored.next().transpose().map_err(storage)?;
            }
            let order = match (&self.stored_next, &self.recent.row) {
                (None, None) => return Ok(None),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((stored, _)), Some((recent, _))) => stored.cmp(recent),
            };
            if order == Ordering::Less {
                let row = self.stored_next.take();
                if let Some((key, _)) = &row {
                    self.from = Bound::Excluded(key.clone());
                }
                return Ok(row);
            }
            if order == Ordering::Equal {
                // The recent row replaces the stored one.
                self.stored_next = None;
            }
            let Some((key, value)) = self.recent.row.take() else { continue };
            self.from = Bound::Excluded(key.clone());
            self.look_at_recent();
            if let Some(value) = value {
                return Ok(Some((key, IVec::from(value))));
            }
        }
    }

    /// Finds the next recent row. If recent rows went to sled since the last look, restarts the read of sled:
    /// what it had read ahead misses them.
    fn look_at_recent(&mut self) {
        let before = self.recent.generation;
        self.recent = (self.next_recent)(&self.from);
        if self.recent.generation != before {
            self.stored = self.tree.range((self.from.clone(), Bound::Unbounded));
            self.stored_next = None;
        }
    }
}
