//! What a command may do: the decisions, without any I/O but reads of the index.
//!
//! | what | where |
//! |---|---|
//! | what a command changes, and with what outcome | `decide`, `decision` |
//! | why it is refused | `refusal`, `policy_check` |
//! | what a sweep removes, and what it must not | `sweep`, `protection` |
//! | manifests that lose their last tag | `untagged` |
//! | the history of tags | `history` |
//! | the rows that note pulls | `pulls` |

mod decide;
mod decision;
mod history;
mod policy_check;
mod protection;
mod pulls;
mod refusal;
mod sweep;
mod untagged;

pub(in crate::meta) use decide::decide;
pub use decide::{check_references, check_tags};
pub(in crate::meta) use decision::{CommandProgress, Decision, Stamp};
pub(in crate::meta) use history::with_history;
pub(in crate::meta) use policy_check::PolicyChecks;
#[cfg(test)]
pub(in crate::meta) use policy_check::TAGS_PER_STEP_MAX;
pub use protection::Protection;
pub(in crate::meta) use protection::SweepNothing;
pub(in crate::meta) use pulls::pull_facts;
pub use refusal::{DecideError, Refusal};
