//! Copies an index whose files are far too large for its rows into new files, while it is in use.
//!
//! sled never shrinks its file. So the rows are copied to another database in small steps. A change of a row
//! that was copied already goes to both databases; a change of a later row goes to the old one, where the
//! copy finds it. A complete copy is the same as the old database, and replaces it.

use std::path::Path;

use crate::meta::index::sled::trees::SledTrees;
use crate::meta::index::{IndexError, guarded};
use crate::meta::model::{RowChange, Tree};

/// How many bytes a new database takes for one byte of a row's key and value: sled takes 1.8 to 2.6.
const FILE_FOR_ROW_BYTE: u64 = 3;

/// How many times what its rows need an index may take before it is copied.
const EXCESS_MAX: u64 = 4;

/// What a database without rows takes, roughly.
const FILE_MIN_BYTES: u64 = 1024 * 1024;

/// How much room a step leaves free, even without a reserve: the old files and the rest of the store need
/// some.
pub(in crate::meta) const ROOM_MIN_BYTES: u64 = 4 * 1024 * 1024;

/// How many rows one step takes. Changes of the index wait for a step.
const STEP_ROWS_MAX: usize = 64;

/// Returns how many bytes new files take for rows with `row_bytes` bytes of keys and values.
pub(in crate::meta) fn needed_bytes(row_bytes: u64) -> u64 {
    FILE_MIN_BYTES.saturating_add(row_bytes.saturating_mul(FILE_FOR_ROW_BYTE))
}

/// Tells whether files of `size` bytes are too large for rows that need `needed` bytes.
pub(in crate::meta) fn is_too_large(size: u64, needed: u64) -> bool {
    size > needed.saturating_mul(EXCESS_MAX)
}

/// The position of a walk over all rows of an index.
#[derive(Debug, Clone)]
pub(in crate::meta) struct Walk {
    /// The last row that was visited; `None` at the end.
    at: Option<(Tree, Vec<u8>)>,
}

impl Walk {
    /// Makes a walk that starts before the first row.
    pub(in crate::meta) fn new() -> Self {
        Self { at: Tree::ALL.first().map(|tree| (*tree, Vec::new())) }
    }

    pub(in crate::meta) fn is_at_end(&self) -> bool {
        self.at.is_none()
    }

    /// Tells whether the walk is past a row, and so does not visit it any more.
    fn has_passed(&self, tree: Tree, key: &[u8]) -> bool {
        self.at.as_ref().is_none_or(|(at, last)| (tree, key) <= (*at, last.as_slice()))
    }

    /// Reads the next rows.
    pub(in crate::meta) fn step(&mut self, trees: &SledTrees) -> Result<Vec<RowChange>, IndexError> {
        let Some((tree, last)) = &mut self.at else { return Ok(Vec::new()) };
        let tree = *tree;
        let rows = trees.rows(tree, (!last.is_empty()).then_some(last.as_slice()), STEP_ROWS_MAX)?;
        match rows.last() {
            Some((key, _)) if rows.len() == STEP_ROWS_MAX => *last = key.to_vec(),
            _ => self.at = Tree::ALL.get(tree as usize + 1).map(|next| (*next, Vec::new())),
        }
        let change = |(key, value): (sled::IVec, sled::IVec)| RowChange {
            tree,
            key: key.to_vec(),
            value: Some(value.to_vec()),
        };
        Ok(rows.into_iter().map(change).collect())
    }
}

/// A copy in progress.
pub(in crate::meta) struct Copying {
    trees: SledTrees,
    walk: Walk,
    /// Why it failed; it gets no more writes after that.
    failed: Option<IndexError>,
}

impl Copying {
    /// Begins a copy of a database in an empty folder.
    pub(in crate::meta) fn begin(of: &SledTrees, folder: &Path) -> Result<Self, IndexError> {
        let seq = of.applied()?;
        guarded(|| {
            if folder.exists() {
                return Err(IndexError::Storage(format!("{} is in the way", folder.display())));
            }
            let trees = SledTrees::open(folder)?;
            trees.set_applied(seq)?;
            Ok(Self { trees, walk: Walk::new(), failed: None })
        })
    }

    /// Copies the next rows. Returns only errors of the old database.
    pub(in crate::meta) fn step(&mut self, of: &SledTrees) -> Result<(), IndexError> {
        let rows = self.walk.step(of)?;
        self.write(rows, None);
        Ok(())
    }

    /// Applies the old database's changes, up to a transaction, to the rows that the walk has passed.
    pub(in crate::meta) fn follow(&mut self, seq: u64, changes: &[RowChange]) {
        let passed = changes.iter().filter(|change| self.walk.has_passed(change.tree, &change.key));
        let passed = passed.cloned().collect();
        self.write(passed, Some(seq));
    }

    fn write(&mut self, changes: Vec<RowChange>, seq: Option<u64>) {
        if self.failed.is_some() {
            return;
        }
        let trees = &self.trees;
        let written = guarded(|| {
            changes.into_iter().try_for_each(|change| trees.set(change))?;
            seq.map_or(Ok(()), |seq| trees.set_applied(seq))
        });
        self.failed = written.err();
    }

    #[cfg(test)]
    pub(in crate::meta) fn fail(&mut self) {
        self.failed = Some(IndexError::NoSpace);
    }

    pub(in crate::meta) fn failed(&self) -> Option<&IndexError> {
        self.failed.as_ref()
    }

    /// Tells whether it has everything that the old database has.
    pub(in crate::meta) fn is_complete(&self) -> bool {
        self.walk.is_at_end() && self.failed.is_none()
    }

    pub(in crate::meta) fn into_trees(self) -> SledTrees {
        self.trees
    }
}
