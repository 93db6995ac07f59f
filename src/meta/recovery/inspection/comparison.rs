//! Comparing rows with those that journal and checkpoints yield.

use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::meta::index::{Index, IndexError};
use crate::meta::model::Tree;
use crate::meta::recovery::inspection::fault::{MetaFault, MetaFaultKind};

/// The most differing rows of a tree that are named one by one.
const ROWS_NAMED_MAX: u64 = 20;

/// A comparison of the rows of one tree, which come in the order of their keys.
pub struct RowsComparison<'a> {
    expected: Arc<dyn Index>,
    tree: Tree,
    faults: &'a mut Vec<MetaFault>,
    /// The last key that was compared.
    last: Option<Vec<u8>>,
    differing: u64,
}

impl<'a> RowsComparison<'a> {
    /// Begins with the first row of a tree. Differences are added to `faults`.
    pub(in crate::meta) fn new(expected: Arc<dyn Index>, tree: Tree, faults: &'a mut Vec<MetaFault>) -> Self {
        Self { expected, tree, faults, last: None, differing: 0 }
    }

    /// Compares the next row.
    pub fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), IndexError> {
        match self.skip_to(Some(key))? {
            Some(expected) if expected == value => {}
            Some(_) => self.differs(key, "differs from the journal"),
            None => self.differs(key, "is there, though the journal does not have it"),
        }
        self.last = Some(key.to_vec());
        Ok(())
    }

    /// Ends the tree.
    pub fn end(mut self) -> Result<(), IndexError> {
        self.skip_to(None)?;
        if let Some(more) = self.differing.checked_sub(ROWS_NAMED_MAX).filter(|more| *more > 0) {
            let what = format!("{more} more rows differ from the journal");
            let place = format!("index, {}", self.tree.name());
            self.faults.push(MetaFault { kind: MetaFaultKind::Index, place, what });
        }
        Ok(())
    }

    /// Reports the journal's rows before `key` as missing, and returns the value of `key` there.
    fn skip_to(&mut self, key: Option<&[u8]>) -> Result<Option<Vec<u8>>, IndexError> {
        let index = Arc::clone(&self.expected);
        let (after, mut value) = (self.last.take(), None);
        index.scan(self.tree, &[], after.as_deref(), &mut |own, own_value| {
            match key.map_or(Ordering::Less, |key| own.cmp(key)) {
                Ordering::Less => {
                    self.differs(own, "is missing, though the journal has it");
                    return ControlFlow::Continue(());
                }
                Ordering::Equal => value = Some(own_value.to_vec()),
                Ordering::Greater => {}
            }
            ControlFlow::Break(())
        })?;
        Ok(value)
    }

    fn differs(&mut self, key: &[u8], what: &str) {
        self.differing += 1;
        if self.differing <= ROWS_NAMED_MAX {
            let row = String::from_utf8_lossy(key).replace('\0', " ");
            let place = format!("index, {}: {row}", self.tree.name());
            self.faults.push(MetaFault { kind: MetaFaultKind::Index, place, what: what.to_owned() });
        }
    }
}
