//! Totals over the index, updated with each transaction so that reading them takes no scan.

use serde::{Deserialize, Serialize};

use crate::meta::index::contract::{IndexError, RowReader};
use crate::meta::index::row_fact::{fact_of, history_order};
use crate::meta::index::row_sums::RowSums;
use crate::meta::index::view::View;
use crate::meta::model::{Fact, RowChange, Tree};

/// How much is stored, and the order of the last tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowTotals {
    /// Blobs in the store, manifests among them.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Upload sessions that have begun and not ended.
    pub uploads: u64,
    /// The order of the last change of a tag.
    #[serde(default)]
    pub tag_order: u64,
    /// What all rows add up to.
    pub(in crate::meta) sums: RowSums,
}

impl RowTotals {
    /// Counts all rows of an index.
    pub(in crate::meta) fn of(view: View<'_>) -> Result<Self, IndexError> {
        let mut totals = Self::default();
        for tree in Tree::ALL {
            view.each_row(tree, |key, value| {
                totals.sums.add(tree, key, value);
                match tree {
                    Tree::Blobs | Tree::Tags => totals.add(fact_of(tree, key, value)?),
                    Tree::Uploads => totals.uploads += 1,
                    Tree::History => totals.tag_order = totals.tag_order.max(history_order(key)?),
                    _ => {}
                }
                Ok(())
            })?;
        }
        Ok(totals)
    }

    fn add(&mut self, fact: Option<Fact>) {
        match fact {
            Some(Fact::Blob { row: Some(row), .. }) => {
                self.blobs += 1;
                self.blob_bytes += row.size;
            }
            Some(Fact::Tag { row: Some(row), .. }) => {
                self.tag_order = self.tag_order.max(row.order.unwrap_or(0));
            }
            _ => {}
        }
    }

    /// Applies to the totals what `facts`, with these `changes`, are about to change in `rows`.
    pub(in crate::meta) fn count(
        &mut self,
        rows: &dyn RowReader,
        facts: &[Fact],
        changes: &[RowChange],
    ) -> Result<(), IndexError> {
        self.sums.change(rows, changes)?;
        let view = View::new(rows);
        for fact in facts {
            match fact {
                Fact::Blob { digest, row, .. } => {
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
                Fact::History { order, row: Some(_), .. } => self.tag_order = self.tag_order.max(*order),
                Fact::Repository { .. }
                | Fact::Manifest { .. }
                | Fact::Referrer { .. }
                | Fact::Link { .. }
                | Fact::Bin { .. }
                | Fact::History { .. } => {}
            }
        }
        Ok(())
    }
}
