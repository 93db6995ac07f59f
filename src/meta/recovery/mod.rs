//! Recovery: restores an appendable journal, and an index that matches it, from the files on the disk.
//!
//! A clean stop leaves both usable. After any other stop, recovery trusts neither the index nor the end of
//! the journal, not even as the page cache shows it: it loads the newest intact checkpoint into an empty
//! index, replays the valid lines since then over it, and writes them to a new file that is made durable
//! before anything else is done.
//!
//! | what | where |
//! |---|---|
//! | opening: after a clean stop, or after a recovery | `open` |
//! | what a start found | `start` |
//! | the marker of a clean stop, and resuming after it | `clean_marker`, `resume` |
//! | where a recovery starts, and which lines are valid | `starting_point`, `segments`, `survey` |
//! | what it is going to do, found before it changes anything | `plan` |
//! | a recovery: the valid lines, replayed and written to a new file | `recover`, `replay` |
//! | content that only the lines have | `carried` |
//! | a new index beside the one in use | `build` |
//! | how far it is | `progress` |
//! | metadata from its remains and from the content | `salvage` |
//! | looking at all that without changing it | `inspection/` |

mod build;
mod carried;
pub(in crate::meta) mod clean_marker;
mod inspection;
pub(in crate::meta) mod open;
mod plan;
mod progress;
mod recover;
mod replay;
mod resume;
mod salvage;
mod segments;
mod start;
mod starting_point;
mod survey;

pub(in crate::meta) use build::Build;
pub(in crate::meta) use clean_marker::CleanMarker;
pub use inspection::{Inspection, MetaFault, MetaFaultKind, verify_closed};
pub(in crate::meta) use open::{OpenedMeta, rebuilt};
pub use progress::RecoveryProgress;
pub(in crate::meta) use recover::sync_tree;
pub use salvage::{Salvage, rebuild_from_content, rebuild_from_index};
pub use start::{Start, formats_on, remove_empty_folders};
pub(in crate::meta) use start::{keeps_damaged, make_folders};
