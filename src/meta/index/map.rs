//! An index in ordered maps, for ephemeral registries and simulations.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::RwLock;

use crate::base::{read, write};
use crate::meta::index::contract::{Index, IndexError, RowReader, RowVisitor, Step};
use crate::meta::model::{RowChange, Tree};

type MapRows = BTreeMap<Vec<u8>, Vec<u8>>;

/// An index that is gone with the process.
#[derive(Debug, Default)]
pub struct MapIndex {
    state: RwLock<MapState>,
}

#[derive(Debug, Default)]
struct MapState {
    applied: u64,
    trees: BTreeMap<Tree, MapRows>,
}

impl MapIndex {
    /// Makes an empty one.
    pub fn new() -> Self {
        Self::default()
    }
}

impl MapState {
    fn change(&mut self, changes: &[RowChange]) {
        for change in changes {
            let rows = self.trees.entry(change.tree).or_default();
            match &change.value {
                Some(value) => rows.insert(change.key.clone(), value.clone()),
                None => rows.remove(&change.key),
            };
        }
    }
}

impl RowReader for MapIndex {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        let state = read(&self.state);
        Ok(state.trees.get(&tree).and_then(|rows| rows.get(key)).cloned())
    }

    fn scan(
        &self,
        tree: Tree,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), IndexError> {
        let mut from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after.to_vec()),
            _ => Bound::Included(prefix.to_vec()),
        };
        // INVARIANT: the lock is not held while `visit` runs: it may read the index itself.
        loop {
            let next = {
                let state = read(&self.state);
                state
                    .trees
                    .get(&tree)
                    .and_then(|rows| rows.range::<Vec<u8>, _>((from, Bound::Unbounded)).next())
                    .map(|(key, value)| (key.clone(), value.clone()))
            };
            let Some((key, value)) = next.filter(|(key, _)| key.starts_with(prefix)) else {
                return Ok(());
            };
            if visit(&key, &value) == ControlFlow::Break(()) {
                return Ok(());
            }
            from = Bound::Excluded(key);
        }
    }
}

impl Index for MapIndex {
    fn apply(&self, seq: u64, changes: &[RowChange]) -> Result<(), IndexError> {
        let mut state = write(&self.state);
        state.change(changes);
        state.applied = seq;
        Ok(())
    }

    fn load(&self, changes: &[RowChange]) -> Result<(), IndexError> {
        write(&self.state).change(changes);
        Ok(())
    }

    fn finish_load(&self, _: &mut Step<'_>) -> Result<(), IndexError> {
        Ok(())
    }

    fn applied(&self) -> Result<u64, IndexError> {
        Ok(read(&self.state).applied)
    }

    fn close(&self) -> Result<(), IndexError> {
        Ok(())
    }
}
