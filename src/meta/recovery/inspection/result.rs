//! The result of inspecting the metadata on a disk without changing it.

use std::ops::ControlFlow;
use std::path::Path;

use crate::meta::error::MetaOpenError;
use crate::meta::index::{Index, IndexError, MapIndex, RowReader, SledIndex, TemporaryCopy, View};
use crate::meta::model::{RowChange, Tree};
use crate::meta::recovery::clean_marker::CleanMarker;
use crate::meta::recovery::inspection::fault::{MetaFault, MetaFaultKind};

/// The most differing rows of a tree that are named one by one.
const ROWS_NAMED_MAX: u64 = 20;

/// The metadata on a disk, as the next start would see it.
#[derive(Debug)]
pub struct Inspection {
    pub(in crate::meta) index: MapIndex,
    /// The marker of the last stop, if that stop was clean, so that the index on the disk is valid.
    pub(in crate::meta) clean: Option<CleanMarker>,
    /// The number of transactions.
    pub transactions: u64,
    /// The faults.
    pub faults: Vec<MetaFault>,
    /// Notes worth reporting that are not faults.
    pub notes: Vec<MetaFault>,
}

impl Inspection {
    /// Returns a view of the state that journal and checkpoints yield.
    pub fn view(&self) -> View<'_> {
        View::new(&self.index)
    }

    pub(in crate::meta) fn fault(
        &mut self,
        kind: MetaFaultKind,
        place: impl FaultPlace,
        what: impl Into<String>,
    ) {
        self.faults.push(MetaFault { kind, place: place.text(), what: what.into() });
    }

    pub(in crate::meta) fn note(
        &mut self,
        kind: MetaFaultKind,
        place: impl FaultPlace,
        what: impl Into<String>,
    ) {
        self.notes.push(MetaFault { kind, place: place.text(), what: what.into() });
    }

    /// Compares the index in the data directory `root` with the state from journal and checkpoints.
    ///
    /// sled writes when it opens a database, so this opens a copy, among the system's temporary files.
    /// Without room for it, the index is not compared.
    pub fn compare_index(&mut self, root: &Path) -> Result<(), MetaOpenError> {
        let Some(marker) = &self.clean else {
            let what = "is not valid, since the last stop was not clean; the next start rebuilds it";
            self.note(MetaFaultKind::Index, "index", what);
            return Ok(());
        };
        let copied = TemporaryCopy::outside(root, marker.generation);
        let opened = copied.as_ref().map_err(Clone::clone).and_then(|copy| SledIndex::open(copy.folder()));
        match opened {
            Ok(index) => self.compare(&index)?,
            Err(IndexError::NoSpace) => {
                let place = std::env::temp_dir();
                let what = format!("was not compared: {} has no room for a copy of it", place.display());
                self.note(MetaFaultKind::Index, "index", what);
            }
            Err(error) => self.fault(MetaFaultKind::Index, "index", format!("cannot be opened: {error}")),
        }
        Ok(())
    }

    /// Compares a copy of the rows of a running server's index with the state from journal and checkpoints.
    pub fn compare_rows(&mut self, rows: &RowsCopy) -> Result<(), IndexError> {
        self.compare_trees(&rows.0)
    }

    fn compare(&mut self, other: &dyn Index) -> Result<(), IndexError> {
        let applied = other.applied()?;
        if applied != self.transactions {
            let what = format!("is at transaction {applied}, the journal at {}", self.transactions);
            self.fault(MetaFaultKind::Index, "index", what);
        }
        self.compare_trees(other)
    }

    fn compare_trees(&mut self, other: &dyn Index) -> Result<(), IndexError> {
        for tree in Tree::ALL {
            let mut wrong = Wrong::default();
            self.index.scan(tree, &[], None, &mut |key, value| match other.get(tree, key) {
                Ok(found) if found.as_deref() == Some(value) => ControlFlow::Continue(()),
                Ok(Some(_)) => wrong.row(key, "differs from the journal"),
                Ok(None) => wrong.row(key, "is missing, though the journal has it"),
                Err(error) => wrong.failed(error),
            })?;
            other.scan(tree, &[], None, &mut |key, _| match self.index.get(tree, key) {
                Ok(Some(_)) => ControlFlow::Continue(()),
                Ok(None) => wrong.row(key, "is there, though the journal does not have it"),
                Err(error) => wrong.failed(error),
            })?;
            self.report(tree, wrong)?;
        }
        Ok(())
    }

    fn report(&mut self, tree: Tree, wrong: Wrong) -> Result<(), IndexError> {
        for (row, what) in wrong.named {
            self.fault(MetaFaultKind::Index, format!("index, {}: {row}", tree.name()).as_str(), what);
        }
        if let Some(more) = wrong.count.checked_sub(ROWS_NAMED_MAX).filter(|more| *more > 0) {
            let what = format!("{more} more rows differ from the journal");
            self.fault(MetaFaultKind::Index, format!("index, {}", tree.name()).as_str(), what);
        }
        wrong.failed.map_or(Ok(()), Err)
    }
}

/// A copy of the rows of another process's index.
#[derive(Debug)]
pub struct RowsCopy(MapIndex);

impl RowsCopy {
    /// Creates a copy without rows.
    pub fn new() -> Self {
        Self(MapIndex::new())
    }

    /// Adds rows of a tree: keys and values.
    pub fn add(&self, tree: Tree, rows: Vec<(String, String)>) -> Result<(), IndexError> {
        let changes: Vec<RowChange> = rows
            .into_iter()
            .map(|(key, value)| RowChange { tree, key: key.into_bytes(), value: Some(value.into_bytes()) })
            .collect();
        self.0.load(&changes)
    }
}

/// The rows of a tree that differ from the journal.
#[derive(Default)]
struct Wrong {
    count: u64,
    named: Vec<(String, &'static str)>,
    failed: Option<IndexError>,
}

impl Wrong {
    fn row(&mut self, key: &[u8], what: &'static str) -> ControlFlow<()> {
        self.count += 1;
        if self.count <= ROWS_NAMED_MAX {
            self.named.push((String::from_utf8_lossy(key).replace('\0', " "), what));
        }
        ControlFlow::Continue(())
    }

    fn failed(&mut self, error: IndexError) -> ControlFlow<()> {
        self.failed = Some(error);
        ControlFlow::Break(())
    }
}

/// A type that names the place of a fault.
pub(in crate::meta) trait FaultPlace {
    fn text(self) -> String;
}

impl FaultPlace for &str {
    fn text(self) -> String {
        self.to_owned()
    }
}

impl FaultPlace for String {
    fn text(self) -> String {
        self
    }
}

impl FaultPlace for &std::path::PathBuf {
    fn text(self) -> String {
        self.display().to_string()
    }
}
