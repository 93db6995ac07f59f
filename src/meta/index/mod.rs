//! The index: what the journal adds up to, for quick reads. It is never the only copy of anything.
//!
//! | what | where |
//! |---|---|
//! | what an index does | `contract` |
//! | in memory | `map` |
//! | in sled | `sled/` |
//! | which of them a store has | `kind` |
//! | the one in use, which can be replaced | `replaceable` |
//! | when an index is too large for its rows | `compaction` |
//! | typed reads | `view` |
//! | rows as facts | `row_fact` |
//! | what the rows of each tree add up to | `row_sums` |
//! | how much is stored, and how much of a quota is used | `totals`, `usage` |

mod compaction;
mod contract;
mod kind;
mod map;
mod replaceable;
mod row_fact;
mod row_sums;
mod sled;
mod totals;
mod usage;
mod view;

pub use compaction::{CompactionOutcome, CompactionPacing, WORTHWHILE_MIN_BYTES};
pub(in crate::meta) use compaction::{ROOM_MIN_BYTES, needed_if_too_large};
pub use contract::IndexError;
pub(in crate::meta) use contract::{Index, RowReader, RowVisitor, Step, guarded};
pub(in crate::meta) use kind::INDEX_FOLDER;
pub use kind::IndexKind;
#[cfg(test)]
pub(in crate::meta) use kind::Made;
pub(in crate::meta) use map::MapIndex;
pub(in crate::meta) use replaceable::ReplaceableIndex;
pub(in crate::meta) use row_fact::{fact_of, tagged_of};
pub(in crate::meta) use row_sums::RowSums;
pub use sled::TemporaryFolder;
pub(in crate::meta) use sled::{SledIndex, TemporaryCopy, has_database};
pub(in crate::meta) use totals::RowTotals;
pub(in crate::meta) use usage::{QuotaUsage, added_bytes};
pub use view::{TagChange, View};
