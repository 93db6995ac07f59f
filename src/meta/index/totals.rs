//! Totals over the index, updated with each transaction so that reading them takes no scan.

use serde::{Deserialize, Serialize};

use crate::meta::index::contract::IndexError;
use crate::meta::index::view::View;
use crate::meta::model::{Fact, Tree};

/// How much is stored, and the order of the last tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RowTotals {
    /// Blobs in the store, manifests among them.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Upload sessions that have begun and not ended.
    pub uploads: u64,
    /// The order of the tag that was set last.
    #[serde(default)]
    pub tag_order: u64,
}

impl RowTotals {
    /// Counts all rows of an index.
    pub(in crate::meta) fn of(view: View<'_>) -> Result<Self, IndexError> {
        let mut totals = Self::default();
        view.blobs(|_, row| {
            totals.blobs += 1;
            totals.blob_bytes += row.size;
        })?;
        view.uploads(|_, _| totals.uploads += 1)?;
        view.each_fact(Tree::Tags, |fact| {
            if let Fact::Tag { row: Some(row), .. } = fact {
                totals.tag_order = totals.tag_order.max(row.order.unwrap_or(0));
            }
        })?;
        Ok(totals)
    }

    /// Applies to the totals what `facts` are about to change in the index that `view` reads.
    pub(in crate::meta) fn count(&mut self, view: View<'_>, facts: &[Fact]) -> Result<(), IndexError> {
        for fact in facts {
            match fact {
                Fact::Blob { digest, row } => {
                    if let Some(before) = view.blob(digest)? {
                        self.blobs = self.blobs.saturating_sub(1);
                        self.blob_bytes = self.blob_bytes.saturating_sub(before.size);
                    }
                    if let Some(row) = row {
                        self.blobs += 1;
                        self.blob_bytes += row.size;
                    }
                }
                Fact::Upload { id, row } => {
                    if view.upload(*id)?.is_some() {
                        self.uploads = self.uploads.saturating_sub(1);
                    }
                    self.uploads += u64::from(row.is_some());
                }
                Fact::Tag { row, .. } => {
                    let order = row.as_ref().and_then(|row| row.order);
                    self.tag_order = self.tag_order.max(order.unwrap_or(0));
                }
                Fact::Repository { .. }
                | Fact::Manifest { .. }
                | Fact::Referrer { .. }
                | Fact::Link { .. } => {}
            }
        }
        Ok(())
    }
}
