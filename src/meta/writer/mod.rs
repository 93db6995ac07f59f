//! The one writer, and the messages to it.

mod await_space;
mod compact;
mod message;
mod pending;
mod renew;
mod setup;
mod thread;

pub(in crate::meta) use compact::Compaction;
pub use message::{Answer, Guard};
pub(in crate::meta) use message::{Message, WriterState};
#[cfg(test)]
pub(in crate::meta) use pending::{DecidedRows, PendingRows};
#[cfg(test)]
pub(in crate::meta) use renew::renew;
pub(in crate::meta) use setup::WriterSetup;
pub(in crate::meta) use thread::{Rotation, Writer};
