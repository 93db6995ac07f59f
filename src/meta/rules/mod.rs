//! What a command may do: the decisions, without any I/O but reads of the index.

mod decide;
mod policy_check;
mod protection;
mod sweep;

pub use decide::{DecideError, Refusal, check_references};
pub(in crate::meta) use decide::{Decision, Stamp, decide};
pub(in crate::meta) use policy_check::PolicyChecks;
pub use protection::Protection;
pub(in crate::meta) use protection::SweepNothing;
