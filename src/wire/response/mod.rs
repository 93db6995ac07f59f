//! Responses: the head, and the body from memory or from a file.

mod body;
mod date;
mod file;
mod head;
mod output;
mod sent;

pub(in crate::wire) use body::send;
pub(crate) use date::civil;
pub use file::FileStep;
pub(in crate::wire) use file::FileStepEnd;
pub(in crate::wire) use head::{Reply, ReplyTo};
pub(in crate::wire) use output::{Output, abort};
pub(in crate::wire) use sent::SentGuard;
