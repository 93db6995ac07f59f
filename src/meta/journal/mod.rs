//! The journal: the truth about metadata, one checksummed line a transaction, only ever appended.
//!
//! It is a chain of files. Each begins with a header that says which transaction comes first in it; a file
//! with a higher number replaces what earlier files have from that transaction on.

mod append;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod line;
mod new_file;
mod reader;

pub(super) use append::{Journal, JournalError};
pub(super) use files::{Files, JOURNAL_FOLDER, damaged_path, header_of, journal_path, list};
pub(super) use line::{Header, LINE_SIZE_MAX_BYTES, Record, Sum, SumOfSums, check_sum, decode, encode};
pub(super) use new_file::NewFile;
pub(super) use reader::{LineReader, RawLine};
