//! The one writer, and what is sent to it.

mod thread;

pub use thread::Answer;
pub(in crate::meta) use thread::{Message, Rotation, Writer, WriterState};
