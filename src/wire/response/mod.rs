//! Responses: the head, and the body from memory or from a file.

mod body;
mod date;
mod file;
mod file_step;
mod head;
mod output;
mod sent;

pub(in crate::wire) use body::send;
pub(crate) use date::civil;
pub use file_step::FileStep;
pub(in crate::wire) use file_step::FileStepEnd;
pub(in crate::wire) use head::{Reply, ReplyTo};
pub(in crate::wire) use output::Output;
pub(in crate::wire) use sent::SentGuard;
