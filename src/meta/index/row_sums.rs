//! What the rows of an index add up to: for each tree a count, and a sum of the rows' hashes, which does not
//! depend on their order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::meta::index::contract::{IndexError, RowReader};
use crate::meta::model::{RowChange, Tree};

/// The sum of one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TreeSum {
    rows: u64,
    hashes: [u64; 2],
}

/// The sums of all trees. Two indexes with the same sums have the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowSums {
    #[serde(with = "tree_sums")]
    trees: [TreeSum; Tree::ALL.len()],
}

/// The sums of the trees as they are written. Trees at the end that have no rows are left out: a version
/// without such a tree wrote none for it.
mod tree_sums {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::TreeSum;
    use crate::meta::model::Tree;

    /// How many trees the first version had, which are always written.
    const TREES_MIN: usize = 8;

    pub(super) fn serialize<S: Serializer>(
        trees: &[TreeSum; Tree::ALL.len()],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let used = trees.iter().rposition(|sum| *sum != TreeSum::default()).map_or(0, |at| at + 1);
        trees.get(..used.max(TREES_MIN)).unwrap_or(trees).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[TreeSum; Tree::ALL.len()], D::Error> {
        let read = Vec::<TreeSum>::deserialize(deserializer)?;
        let mut trees = [TreeSum::default(); Tree::ALL.len()];
        if read.len() < TREES_MIN || read.len() > trees.len() {
            return Err(D::Error::invalid_length(read.len(), &"the sums of all trees"));
        }
        trees.iter_mut().zip(read).for_each(|(sum, read)| *sum = read);
        Ok(trees)
    }
}

impl RowSums {
    /// Adds a row.
    pub(in crate::meta) fn add(&mut self, tree: Tree, key: &[u8], value: &[u8]) {
        self.count(tree, key, value, 1, u64::wrapping_add);
    }

    fn remove(&mut self, tree: Tree, key: &[u8], value: &[u8]) {
        self.count(tree, key, value, u64::MAX, u64::wrapping_sub);
    }

    fn count(&mut self, tree: Tree, key: &[u8], value: &[u8], one: u64, with: fn(u64, u64) -> u64) {
        if let Some(sum) = self.trees.get_mut(tree as usize) {
            sum.rows = sum.rows.wrapping_add(one);
            for (sum, hash) in sum.hashes.iter_mut().zip(hashes(tree, key, value)) {
                *sum = with(*sum, hash);
            }
        }
    }

    /// Counts the rows of one tree again.
    pub(in crate::meta) fn recount(&mut self, rows: &dyn RowReader, tree: Tree) -> Result<(), IndexError> {
        if let Some(sum) = self.trees.get_mut(tree as usize) {
            *sum = TreeSum::default();
        }
        rows.scan(tree, &[], None, &mut |key, value| {
            self.add(tree, key, value);
            ControlFlow::Continue(())
        })
    }

    /// Applies to the sums what `changes` are about to change in the rows that `rows` reads.
    pub(in crate::meta) fn change(
        &mut self,
        rows: &dyn RowReader,
        changes: &[RowChange],
    ) -> Result<(), IndexError> {
        // Of several changes of a row, the last one is valid.
        let last: BTreeMap<(Tree, &[u8]), Option<&Vec<u8>>> = changes
            .iter()
            .map(|RowChange { tree, key, value }| ((*tree, key.as_slice()), value.as_ref()))
            .collect();
        for ((tree, key), value) in last {
            let before = rows.get(tree, key)?;
            if before.as_ref() == value {
                continue;
            }
            if let Some(before) = before {
                self.remove(tree, key, &before);
            }
            if let Some(value) = value {
                self.add(tree, key, value);
            }
        }
        Ok(())
    }

    /// Returns the first tree in which other sums differ, in words.
    pub(in crate::meta) fn difference(&self, found: &Self) -> Option<String> {
        let trees = Tree::ALL.iter().zip(self.trees.iter().zip(&found.trees));
        let (tree, (expected, found)) = trees.into_iter().find(|(_, (expected, found))| expected != found)?;
        let (name, rows) = (tree.name(), expected.rows);
        Some(match found.rows == rows {
            true => format!("tree {name} has {rows} rows, and not those that the stop left"),
            false => format!("tree {name} has {} rows instead of {rows}", found.rows),
        })
    }
}

fn hashes(tree: Tree, key: &[u8], value: &[u8]) -> [u64; 2] {
    let mut hasher = blake3::Hasher::new();
    // The length of the key tells it from the value.
    hasher.update(&[tree as u8]).update(&(key.len() as u64).to_le_bytes()).update(key).update(value);
    let mut lanes = [[0; 8]; 2];
    let mut output = hasher.finalize_xof();
    lanes.iter_mut().for_each(|lane| output.fill(lane));
    lanes.map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[(Tree, &[u8], &[u8])]) -> RowSums {
        let mut sums = RowSums::default();
        rows.iter().for_each(|(tree, key, value)| sums.add(*tree, key, value));
        sums
    }

    #[test]
    fn the_sums_depend_on_the_rows_and_not_on_their_order() {
        let rows: [(Tree, &[u8], &[u8]); 3] =
            [(Tree::Tags, b"a", b"1"), (Tree::Tags, b"b", b"2"), (Tree::Links, b"a", b"1")];
        let mut reversed = rows;
        reversed.reverse();
        assert_eq!(of(&rows), of(&reversed));
        for other in [
            [(Tree::Tags, &b"a"[..], &b"2"[..]), (Tree::Tags, b"b", b"1"), (Tree::Links, b"a", b"1")],
            [(Tree::Tags, b"a", b"1"), (Tree::Tags, b"b", b"2"), (Tree::Blobs, b"a", b"1")],
            [(Tree::Tags, b"a1", b""), (Tree::Tags, b"b", b"2"), (Tree::Links, b"a", b"1")],
            [(Tree::Tags, b"a", b"1"), (Tree::Tags, b"a", b"1"), (Tree::Links, b"a", b"1")],
        ] {
            assert!(of(&rows).difference(&of(&other)).is_some());
        }
        let fewer = of(&rows).difference(&of(&rows[..1])).unwrap();
        assert_eq!(fewer, "tree tags has 1 rows instead of 2");
    }

    #[test]
    fn what_is_removed_is_as_if_it_had_never_been_added() {
        let mut sums = of(&[(Tree::Tags, b"a", b"1"), (Tree::Tags, b"b", b"2")]);
        sums.remove(Tree::Tags, b"a", b"1");
        assert_eq!(sums, of(&[(Tree::Tags, b"b", b"2")]));
        sums.remove(Tree::Tags, b"b", b"2");
        assert_eq!(sums, RowSums::default());
    }
}
