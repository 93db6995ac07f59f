//! The terms of metadata: commands, facts, rows, and the names of trees.
//!
//! | what | where |
//! |---|---|
//! | what the writer is asked for | `command` |
//! | what the journal states, and where it comes from | `fact`, `carried`, `origin` |
//! | what a fact changes in the index | `row_change` |
//! | the rows | `row`, `manifest_row` |
//! | the trees of the index and their keys | `tree` |
//! | what the policies of a repository keep and allow | `policy`, `keep_rule`, `tag_pattern` |
//! | what a row says that a version may do without | `optional` |
//! | pulls that rows are to note | `pull` |
//! | the names of uploads | `upload_id` |
//! | an entry point for fuzzers | `fuzz` |

mod carried;
mod command;
mod fact;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod keep_rule;
mod manifest_row;
mod optional;
mod origin;
mod policy;
mod pull;
mod row;
mod row_change;
mod tag_pattern;
mod tree;
mod upload_id;

pub use carried::CarriedBytes;
pub use command::{
    AttributedCommand, Command, Condition, IMAGE_PARTS_MAX, PutManifestCommand, SWEEP_CANDIDATES_MAX, Sweep,
    SweptImage,
};
pub use fact::Fact;
pub(in crate::meta) use fact::{FACTS_MAX, changes_of};
pub use keep_rule::{KeepOrder, KeepRule};
pub use manifest_row::ManifestRow;
pub use optional::Optional;
pub use origin::Origin;
pub use policy::{NumberedRule, Policies, Policy, PolicySet, Untagged};
pub use pull::Pull;
pub use row::{BlobRow, HistoryRow, TagRow, UploadRow};
pub(in crate::meta) use row::{LinkRow, RepositoryRow};
pub(in crate::meta) use row_change::RowChange;
pub use tag_pattern::TagPattern;
pub use tree::Tree;
pub(in crate::meta) use tree::{key, last_part, order_of, order_part, prefix};
pub use upload_id::UploadId;
