//! The one writer, and the messages to it.

mod await_space;
mod message;
mod renew;
mod setup;
mod thread;

pub use message::Answer;
pub(in crate::meta) use message::{Message, WriterState};
pub(in crate::meta) use renew::renew;
pub(in crate::meta) use setup::WriterSetup;
pub(in crate::meta) use thread::{Rotation, Writer};
