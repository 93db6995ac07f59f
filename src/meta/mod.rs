//! Metadata: one writer that decides, journals and applies; an index to read.
//!
//! Every change is a [`Command`]. The writer decides it against the index ([`decide`]), appends the resulting
//! transaction to the journal, applies it to the index, and answers after the journal is synced. The journal
//! is the truth; the index is what it adds up to.

mod bulk_load;
mod checkpoint;
mod checkpointer;
mod clean;
mod command;
mod decide;
mod error;
mod fact;
mod history;
mod index;
mod journal;
mod map_index;
mod recovery;
mod row;
mod row_fact;
mod sled_index;
mod store;
#[cfg(test)]
mod tests;
mod totals;
mod tree;
mod upload_id;
mod view;
mod writer;

pub use command::{Command, Condition, PutManifestCommand};
pub use decide::{DecideError, Decision, Refusal, check_references, decide};
pub use error::{MetaError, OpenError};
pub use fact::{FACTS_MAX, Fact, changes_of};
pub use index::{Change, Index, IndexError, Visit};
pub use map_index::MapIndex;
pub use row::{BlobRow, LinkRow, RepositoryRow, TagRow, UploadRow};
pub use sled_index::SledIndex;
pub use store::{IndexKind, Meta, MetaOptions};
pub use totals::Totals;
pub use tree::Tree;
pub use upload_id::UploadId;
pub use view::View;
pub use writer::Answer;
