//! What a fact changes in an index.

use crate::meta::model::tree::Tree;

/// The change of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// The row's tree.
    pub tree: Tree,
    /// The row's key.
    pub key: Vec<u8>,
    /// The row's new value; `None` removes it.
    pub value: Option<Vec<u8>>,
}
