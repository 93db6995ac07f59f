//! From the files on the disk back to a journal that can be appended to and an index that agrees with it.
//!
//! After a clean stop both are as they were. After any other, neither the index nor the end of the journal
//! can be trusted, not even what the page cache shows of it: the newest intact checkpoint is loaded into an
//! empty index, the valid lines since then are replayed over it, and written to a new file that is made
//! durable before anything else is done.

pub(in crate::meta) mod clean_marker;
mod fault;
mod inspect;
mod inspection;
pub(in crate::meta) mod open;
mod progress;
mod recover;
mod refill;
mod replay;
mod resume;
mod salvage;
mod segments;
mod start;
mod starting_point;
mod survey;
mod verify;

pub(in crate::meta) use clean_marker::CleanMarker;
pub use fault::{MetaFault, MetaFaultKind};
pub use inspection::{Inspection, RowsCopy};
pub(in crate::meta) use open::{OpenedMeta, rebuilt};
pub use progress::RecoveryProgress;
pub(in crate::meta) use recover::sync_tree;
pub use salvage::{Salvage, rebuild_from_content, rebuild_from_index};
pub use start::{Start, format_on};
pub(in crate::meta) use start::{keeps_damaged, make_folders};
pub use verify::verify_closed;
