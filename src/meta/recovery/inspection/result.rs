//! The result of inspecting the metadata on a disk without changing it.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::blobs::ContentStore;
use crate::meta::error::MetaOpenError;
use crate::meta::index::{
    INDEX_FOLDER, Index, IndexError, RowSums, TemporaryCopy, TemporaryFolder, View, has_database,
};
use crate::meta::model::Tree;
use crate::meta::recovery::carried::CarriedContent;
use crate::meta::recovery::clean_marker::CleanMarker;
use crate::meta::recovery::inspection::comparison::RowsComparison;
use crate::meta::recovery::inspection::fault::{MetaFault, MetaFaultKind};

/// The metadata on a disk, as the next start would see it.
pub struct Inspection {
    /// The rows that journal and checkpoints yield.
    pub(in crate::meta) index: Arc<dyn Index>,
    /// The marker of the last stop, if that stop was clean, so that the index on the disk is valid.
    pub(in crate::meta) clean: Option<CleanMarker>,
    /// The content that only the journal has.
    pub(in crate::meta::recovery) carried: CarriedContent,
    /// The number of transactions.
    pub transactions: u64,
    /// The faults.
    pub faults: Vec<MetaFault>,
    /// Notes worth reporting that are not faults.
    pub notes: Vec<MetaFault>,
}

impl fmt::Debug for Inspection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Inspection").field("faults", &self.faults).finish_non_exhaustive()
    }
}

impl Inspection {
    /// Returns a view of the state that journal and checkpoints yield.
    pub fn view(&self) -> View<'_> {
        View::new(self.index.as_ref())
    }

    /// Hands content that only the journal has over to its store, as a start would. While a server is using
    /// the store, the lines do not say yet what it has filed meanwhile: then a file that exists goes first.
    pub fn restore_content(&mut self, store: &dyn ContentStore, in_use: bool) {
        let mut carried = std::mem::take(&mut self.carried);
        if in_use {
            carried.drop_filed(store);
        }
        carried.restore(store, self.transactions);
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

    /// Begins a comparison of the rows of a tree with those that journal and checkpoints yield.
    pub fn comparison(&mut self, tree: Tree) -> RowsComparison<'_> {
        RowsComparison::new(Arc::clone(&self.index), tree, &mut self.faults)
    }

    /// Compares what the stop noted of the index in the data directory `root` with the rows from journal and
    /// checkpoints. If these differ, or `all` is set, compares all rows of the index.
    ///
    /// sled writes when it opens a database, so this opens a copy, among the temporary files. Without room
    /// for it, the rows are not compared.
    pub fn compare_index(
        &mut self,
        root: &Path,
        all: bool,
        temporary: Option<&TemporaryFolder>,
    ) -> Result<(), MetaOpenError> {
        let Some(marker) = self.clean.clone() else {
            let what = "is not valid, since the last stop was not clean; the next start rebuilds it";
            self.note(MetaFaultKind::Index, "index", what);
            return Ok(());
        };
        let mut sums = RowSums::default();
        for tree in Tree::ALL {
            sums.recount(self.index.as_ref(), tree)?;
        }
        let difference = sums.difference(&marker.totals.sums);
        let known = self.faults.len();
        if all || difference.is_some() {
            self.compare_copy(root, marker.generation, temporary)?;
        } else if !has_database(&root.join(INDEX_FOLDER), marker.generation) {
            self.fault(MetaFaultKind::Index, "index", "has no files that can be read");
        }
        if let Some(difference) = difference.filter(|_| self.faults.len() == known) {
            let what = format!("is not what the journal says: by the stop's note, {difference}");
            self.fault(MetaFaultKind::Index, "index", what);
        }
        Ok(())
    }

    fn compare_copy(
        &mut self,
        root: &Path,
        generation: u64,
        temporary: Option<&TemporaryFolder>,
    ) -> Result<(), IndexError> {
        let copied = temporary.ok_or(IndexError::NoSpace).and_then(|folder| {
            // The copy goes after the index.
            let copy = TemporaryCopy::outside(root, generation, folder)?;
            Ok((folder.open(&copy), copy))
        });
        let (opened, _copy) = match copied {
            Ok((opened, copy)) => (opened, Some(copy)),
            Err(error) => (Err(error), None),
        };
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

    fn compare(&mut self, other: &dyn Index) -> Result<(), IndexError> {
        let applied = other.applied()?;
        if applied != self.transactions {
            let what = format!("is at transaction {applied}, the journal at {}", self.transactions);
            self.fault(MetaFaultKind::Index, "index", what);
        }
        for tree in Tree::ALL {
            let mut rows = self.comparison(tree);
            let mut failed = None;
            other.scan(tree, &[], None, &mut |key, value| match rows.row(key, value) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            })?;
            failed.map_or(Ok(()), Err)?;
            rows.end()?;
        }
        Ok(())
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
