//! Transactions that are in the journal and not known to be durable yet.
//!
//! The writer decides on top of them. Readers don't see them: the index shows only what is durable, so that
//! no answer to a read rests on a line that a power cut may take away.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use crate::meta::index::{Index, IndexError, RowReader, RowVisitor};
use crate::meta::model::{RowChange, Tree};

/// The most pending rows before a batch ends, so that their memory stays small.
const PENDING_ROWS_MAX: usize = 16 * 1024;

/// The rows of one tree that changed; `None` for a row that is removed.
type ChangedRows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The pending transactions, in their order, and the rows that they leave.
#[derive(Debug, Default)]
pub(in crate::meta) struct PendingRows {
    transactions: Vec<(u64, Vec<RowChange>)>,
    trees: BTreeMap<Tree, ChangedRows>,
    count: usize,
}

impl PendingRows {
    /// Adds a transaction.
    pub(in crate::meta) fn add(&mut self, seq: u64, changes: Vec<RowChange>) {
        for RowChange { tree, key, value } in &changes {
            self.trees.entry(*tree).or_default().insert(key.clone(), value.clone());
        }
        self.count += changes.len();
        self.transactions.push((seq, changes));
    }

    /// Tells whether nothing waits for a sync.
    pub(in crate::meta) fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    /// Tells whether there are `PENDING_ROWS_MAX`, so that a sync comes before more are added.
    pub(in crate::meta) fn is_full(&self) -> bool {
        self.count >= PENDING_ROWS_MAX
    }

    /// Moves all transactions to the index, where readers see them.
    pub(in crate::meta) fn move_to(&mut self, index: &dyn Index) -> Result<(), IndexError> {
        let Self { transactions, .. } = std::mem::take(self);
        transactions.iter().try_for_each(|(seq, changes)| index.apply(*seq, changes))
    }

    /// Drops all transactions.
    pub(in crate::meta) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The rows of the index as the pending transactions leave them.
pub(in crate::meta) struct DecidedRows<'a> {
    pub(in crate::meta) durable: &'a dyn RowReader,
    pub(in crate::meta) pending: &'a PendingRows,
}

impl RowReader for DecidedRows<'_> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        match self.pending.trees.get(&tree).and_then(|rows| rows.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.durable.get(tree, key),
        }
    }

    fn replacements(&self) -> u64 {
        self.durable.replacements()
    }

    fn unreadable(&self, error: IndexError, replacements: u64) -> IndexError {
        self.durable.unreadable(error, replacements)
    }

    fn scan(
        &self,
        tree: Tree,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), IndexError> {
        let Some(rows) = self.pending.trees.get(&tree) else {
            return self.durable.scan(tree, prefix, after, visit);
        };
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let pending = rows.range::<[u8], _>((from, Bound::Unbounded));
        let mut pending = pending.take_while(|(key, _)| key.starts_with(prefix)).peekable();
        let mut flow = ControlFlow::Continue(());
        self.durable.scan(tree, prefix, after, &mut |key, value| {
            while let Some((changed, row)) = pending.next_if(|(changed, _)| changed.as_slice() <= key) {
                if let Some(row) = row {
                    flow = visit(changed, row);
                }
                if changed == key || flow.is_break() {
                    return flow;
                }
            }
            flow = visit(key, value);
            flow
        })?;
        while let Some((changed, row)) = pending.next()
            && flow.is_continue()
        {
            if let Some(row) = row {
                flow = visit(changed, row);
            }
        }
        Ok(())
    }
}
