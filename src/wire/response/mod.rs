//! Responses: the head, and the body from memory or from a file.
//!
//! | what | where |
//! |---|---|
//! | the head, with its date and its reason phrase | `head`, `date`, `reason` |
//! | the body, from memory or from a file, step by step | `body`, `file` |
//! | several ranges of a file as one body | `ranges` |
//! | the writing half of a connection | `output` |
//! | the report of how a response was sent | `sent` |

mod body;
mod date;
mod file;
mod head;
mod output;
mod ranges;
mod reason;
mod sent;

pub(in crate::wire) use body::send;
pub(crate) use date::civil;
pub(crate) use head::take_body;
pub(in crate::wire) use head::{Reply, ReplyTo};
pub(in crate::wire) use output::Output;
pub use ranges::RangesBody;
pub(in crate::wire) use sent::SentGuard;
