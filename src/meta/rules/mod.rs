//! What a command may do: the decisions, without any I/O but reads of the index.

mod decide;
mod decision;
mod policy_check;
mod protection;
mod pulls;
mod refusal;
mod sweep;
mod untagged;

pub(in crate::meta) use decide::decide;
pub use decide::{check_references, check_tags};
pub(in crate::meta) use decision::{CommandProgress, Decision, Stamp};
pub(in crate::meta) use policy_check::PolicyChecks;
pub use protection::Protection;
pub(in crate::meta) use protection::SweepNothing;
pub(in crate::meta) use pulls::pull_facts;
pub use refusal::{DecideError, Refusal};
