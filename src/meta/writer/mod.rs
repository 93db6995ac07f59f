//! The one writer, and the messages to it.
//!
//! | what | where |
//! |---|---|
//! | the writer's thread, and its start | `thread`, `setup` |
//! | what it is sent | `message` |
//! | what is decided and not durable yet | `pending` |
//! | notes of pulls, which ride along | `pulls` |
//! | the index of a clean stop, compared before anything is decided | `verify` |
//! | a store without space for a journal | `await_space` |
//! | a store after a failed sync: when it is reopened, and how | `reopening`, `reopen` |
//! | an index or checkpoints that are too large | `compact`, `renew` |

mod await_space;
mod compact;
mod message;
mod pending;
mod pulls;
mod renew;
mod reopen;
mod reopening;
mod setup;
mod thread;
mod verify;

pub(in crate::meta) use compact::Compaction;
pub use message::{Answer, Guard};
pub(in crate::meta) use message::{Message, WriteFailure, WriterState};
#[cfg(test)]
pub(in crate::meta) use pending::{DecidedRows, PendingRows};
#[cfg(test)]
pub(in crate::meta) use renew::renew;
pub use reopening::OnSyncFailure;
pub(in crate::meta) use reopening::{REOPEN_PAUSE, Reopening};
pub(in crate::meta) use setup::WriterSetup;
pub(in crate::meta) use thread::{Rotation, Writer};
