//! The journal: the truth about metadata, one checksummed line a transaction, only ever appended.
//!
//! It is a chain of files. Each begins with a header that says which transaction comes first in it; a file
//! with a higher number replaces what earlier files have from that transaction on. A server without a data
//! directory keeps it in memory. The writer and the readers know only the [`Log`].

mod durable;
mod file;
mod follow;
mod log;
mod memory;
#[cfg(test)]
mod tests;

pub(super) use durable::DurableEnd;
pub use durable::Wake;
#[cfg(any(test, fuzzing))]
pub(crate) use file::fuzz;
#[cfg(test)]
pub(super) use file::sealed;
pub(super) use file::{
    FileLog, FileTail, Files, Header, JOURNAL_FOLDER, LineBody, LineKind, LineReader, NewFile, RawLine,
    Record, Sum, SumOfSums, check_format, damaged_path, decode, encode, forget_history, header_of,
    journal_path, last_line, list, named_since, read_line, stated_format, verify_files,
};
#[cfg(test)]
pub use follow::JournalCursor;
pub use follow::{FollowEnd, FollowFrom, Follower, Transaction};
pub use log::LogKind;
pub(super) use log::{JournalError, LineNote, Log, LogPosition, LogTail};
pub(super) use memory::MemoryLog;
