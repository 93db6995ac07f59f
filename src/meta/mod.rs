//! Metadata: one writer that decides, journals and applies; an index to read.
//!
//! Every change is a [`Command`]. The writer decides it against the index ([`decide`]), appends the resulting
//! transaction to the journal, applies it to the index, and answers after the journal is synced. The journal
//! is the truth; the index is what it adds up to.
//!
//! | what | where |
//! |---|---|
//! | a store's metadata: commands in, reads out | `store` |
//! | the terms: commands, facts, rows | `model/` |
//! | what a command does | `rules/` |
//! | the truth, and where it is kept | `journal/` |
//! | all rows at a moment | `checkpoint/` |
//! | what the journal adds up to | `index/` |
//! | the one thread that changes anything | `writer/` |
//! | a start after a crash or damage | `recovery/`, `reconcile/` |
//! | ages | `clock/` |
//! | the version of what lies on the disk | `format` |
//! | the policies that the store was last served with | `policies_file` |
//! | what can fail | `error` |
//! | tests and entry points for fuzzers | `tests/`, `fuzz` |

mod checkpoint;
mod clock;
mod error;
mod format;
mod index;
mod journal;
mod model;
mod policies_file;
mod reconcile;
mod recovery;
mod rules;
mod store;
#[cfg(test)]
mod tests;
mod writer;

/// What fuzzers call.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz {
    pub(crate) use super::journal::fuzz::line;
    pub(crate) use super::model::fuzz::manifest;
}

pub use clock::{Ages, Clock, PLAUSIBLE_MIN_MS};
#[cfg(test)]
pub(crate) use clock::{DAY_MS, SetClock, TODAY_MS};
pub use error::{MetaError, MetaOpenError};
pub use format::{FEATURES, FORMAT, FORMAT_OLDEST};
pub use index::{
    CompactionOutcome, CompactionPacing, IndexError, IndexKind, TagChange, TemporaryFolder, View,
    WORTHWHILE_MIN_BYTES,
};
pub use journal::{FollowEnd, FollowFrom, Follower, Transaction, Wake};
pub use model::{
    AttributedCommand, BlobRow, Command, Condition, Fact, IMAGE_PARTS_MAX, KeepOrder, KeepRule, ManifestRow,
    NumberedRule, Optional, Origin, Policies, Policy, PolicySet, Pull, PutManifestCommand,
    SWEEP_CANDIDATES_MAX, Sweep, SweptImage, TagPattern, TagRow, Tree, Untagged, UploadId, UploadRow,
};
pub use policies_file::{remember_policies, remembered_policies};
pub use recovery::{
    Inspection, MetaFault, MetaFaultKind, RecoveryProgress, Salvage, Start, formats_on, rebuild_from_content,
    rebuild_from_index, remove_empty_folders, verify_closed,
};
pub use rules::{DecideError, Protection, Refusal, check_references, check_tags};
pub use store::{HISTORY_MAX_BYTES, Meta, MetaOptions, read_closed_journal};
#[cfg(test)]
pub(crate) use tests::{copy_folder, falsify};
pub use writer::{Answer, Guard, OnSyncFailure};
