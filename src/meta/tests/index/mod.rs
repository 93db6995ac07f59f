//! The index: one contract for each kind, and its replacement while it is in use.
//!
//! | what | where |
//! |---|---|
//! | the behaviour of every index | `behaviours` |
//! | a failed index is rebuilt while readers and the writer use it | `rebuilds` |
//! | an index that is too large is replaced | `compaction` |
//! | a replacement that fails | `failed_builds` |
//! | a start whose index fails | `failed_starts` |
//! | an index that is readable but wrong | `falsify` |

mod behaviours;
mod compaction;
mod failed_builds;
mod failed_starts;
mod falsify;
mod rebuilds;

pub(crate) use falsify::falsify;

use super::*;
