//! The rows of the index as they are, for a check in another process.

use serde::{Deserialize, Serialize};

use crate::admin::ask::Ask;
use crate::admin::error::AdminError;
use crate::admin::sink::{AnswerSink, send_item};
use crate::admin::store::OpenStore;
use crate::meta::Tree;
use crate::registry::Registry;

/// How many rows are sent at once.
const ROWS_PER_ITEM_MAX: usize = 256;

/// Asks for all rows of a tree of the index, and for their number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowsRequest {
    /// The tree.
    pub(crate) tree: Tree,
}

impl Ask for RowsRequest {
    /// Pairs of key and value, many at once.
    type Item = Vec<(String, String)>;
    type Report = u64;

    fn perform(&self, store: &OpenStore, sink: &mut dyn AnswerSink) -> Result<u64, AdminError> {
        rows(&store.registry, self.tree, sink)
    }
}

fn rows(registry: &Registry, tree: Tree, sink: &mut dyn AnswerSink) -> Result<u64, AdminError> {
    let (mut count, mut last) = (0, None::<Vec<u8>>);
    loop {
        let page = registry.view().raw_rows(tree, last.as_deref(), ROWS_PER_ITEM_MAX)?;
        let at_end = page.len() < ROWS_PER_ITEM_MAX;
        last = page.last().map(|(key, _)| key.clone());
        count += page.len() as u64;
        // Keys and values are text. Anything else is damage, and the check still finds it in the lossy form.
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let pairs: Vec<_> = page.iter().map(|(key, value)| (text(key), text(value))).collect();
        send_item(sink, &pairs)?;
        if at_end {
            return Ok(count);
        }
    }
}
