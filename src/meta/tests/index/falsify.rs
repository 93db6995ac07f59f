//! An index that is readable but wrong, for tests of code that trusts it.

use std::ops::ControlFlow;
use std::path::Path;

use crate::meta::index::{Index, RowReader, SledIndex};
use crate::meta::model::{RowChange, Tree};

/// Removes the manifests, tags and links from an index that is not in use. Its last applied transaction stays
/// the same.
pub(crate) fn falsify(folder: &Path) {
    let index = SledIndex::open(folder).unwrap();
    let mut changes = Vec::new();
    for tree in [Tree::Manifests, Tree::Tags, Tree::Links] {
        let mut visit = |key: &[u8], _: &[u8]| {
            changes.push(RowChange { tree, key: key.into(), value: None });
            ControlFlow::Continue(())
        };
        index.scan(tree, &[], None, &mut visit).unwrap();
    }
    index.apply(index.applied().unwrap(), &changes).unwrap();
    index.close().unwrap();
}
