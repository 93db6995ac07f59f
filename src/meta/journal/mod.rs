//! The journal: the truth about metadata, one checksummed line a transaction, only ever appended.
//!
//! It is a chain of files. Each begins with a header that says which transaction comes first in it; a file
//! with a higher number replaces what earlier files have from that transaction on.

mod file;

#[cfg(any(test, fuzzing))]
pub(crate) use file::fuzz;
pub(super) use file::{
    Files, Header, JOURNAL_FOLDER, Journal, JournalError, LINE_SIZE_MAX_BYTES, LineReader, NewFile, RawLine,
    Record, Sum, SumOfSums, check_sum, damaged_path, decode, encode, forget_history, header_of, journal_path,
    list, named_since, verify_files,
};
