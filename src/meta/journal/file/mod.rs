//! The journal in files.
//!
//! | file | what is in it |
//! |---|---|
//! | `append` | appending lines and syncing them |
//! | `files` | names of journal files, and their list |
//! | `history` | which old files are kept |
//! | `known` | which lines this version knows |
//! | `last_line` | the last line of a file |
//! | `line` | a line: its encoding and its sums |
//! | `new_file` | a new file: written, synced, renamed |
//! | `reader` | reading lines in order |
//! | `rotate` | continuing in a new file |
//! | `tail` | reading on while lines are appended |
//! | `verify` | verifying closed files |

mod append;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod history;
mod known;
mod last_line;
pub(super) mod line;
mod new_file;
mod reader;
mod rotate;
mod tail;
mod verify;

pub(in crate::meta) use append::FileLog;
pub(in crate::meta) use files::{Files, JOURNAL_FOLDER, damaged_path, header_of, journal_path, list};
pub(in crate::meta) use history::{forget_history, named_since};
pub(in crate::meta) use known::{LineBody, LineKind, check_format, read_line, stated_format};
pub(in crate::meta) use last_line::last_line;
#[cfg(test)]
pub(in crate::meta) use line::sealed;
pub(in crate::meta) use line::{Header, Record, Sum, SumOfSums, decode, encode};
pub(in crate::meta) use new_file::NewFile;
pub(in crate::meta) use reader::{LineReader, RawLine};
pub(in crate::meta) use tail::FileTail;
pub(in crate::meta) use verify::verify_files;
