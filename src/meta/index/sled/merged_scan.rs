//! The rows of a tree in order: those that sled has and those that changed lately, as one.

use std::cmp::Ordering;
use std::ops::Bound;

use sled::IVec;

use crate::meta::index::IndexError;
use crate::meta::index::sled::trees::storage;
use crate::meta::index::sled::write_buffer::NextBuffered;

/// Rows from one key on. It is no snapshot, but a row that is there all the time is never missed, also when
/// it goes from memory to sled meanwhile, or when another database takes the place of the one that is read.
pub(in crate::meta) struct MergedScan<T, F> {
    /// Asks for the tree that counts now.
    tree: T,
    /// Asks for the next recent row from a bound on.
    next_recent: F,
    /// Where the next row is looked for.
    from: Bound<IVec>,
    stored: sled::Iter,
    stored_next: Option<(IVec, IVec)>,
    recent: NextBuffered,
}

impl<T, F> MergedScan<T, F>
where
    T: Fn() -> Result<sled::Tree, IndexError>,
    F: Fn(&Bound<IVec>) -> NextBuffered,
{
    /// Begins at a bound.
    pub(in crate::meta) fn new(tree: T, from: Bound<IVec>, next_recent: F) -> Result<Self, IndexError> {
        let recent = next_recent(&from);
        // Only after that: what was written out before is seen, in whichever database it went to.
        let stored = tree()?.range((from.clone(), Bound::Unbounded));
        Ok(Self { tree, next_recent, from, stored, stored_next: None, recent })
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
                // The recent one takes its place.
                self.stored_next = None;
            }
            let Some((key, value)) = self.recent.row.take() else { continue };
            self.from = Bound::Excluded(key.clone());
            self.look_at_recent()?;
            if let Some(value) = value {
                return Ok(Some((key, IVec::from(value))));
            }
        }
    }

    /// Looks for the next recent row. Where the recent rows went to sled since the last look, sled is read
    /// anew: what it had read ahead does not have them.
    fn look_at_recent(&mut self) -> Result<(), IndexError> {
        let before = self.recent.generation;
        self.recent = (self.next_recent)(&self.from);
        if self.recent.generation != before {
            self.stored = (self.tree)()?.range((self.from.clone(), Bound::Unbounded));
            self.stored_next = None;
        }
        Ok(())
    }
}
