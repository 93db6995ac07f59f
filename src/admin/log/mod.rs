//! What was changed, when, and where it came from: the journal, read for its owner.
//!
//! | what | where |
//! |---|---|
//! | the request, and the pages of its answer | `stream` |
//! | what a transaction changed | `change` |

mod change;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use change::{Change, ChangeKind};
pub(crate) use stream::{LogRequest, LogStream};
