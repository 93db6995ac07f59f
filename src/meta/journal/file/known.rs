//! Telling lines that are not as they were written from lines that this version does not know.
//!
//! A line whose sum is wrong is damaged, or the torn end of what was never acknowledged. A line whose sum is
//! right is what some version of pulk wrote, and may have been acknowledged: one that cannot be read is never
//! dropped. The reader fails instead, before anything changes. A known line in a file of another kind is
//! damage, however: a medium may show blocks of files that were removed.

use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::meta::error::MetaOpenError;
use crate::meta::format::FORMAT;
use crate::meta::journal::file::line::{Header, LineError, Record, Sum, decode};
use crate::meta::journal::file::reader::RawLine;

/// The kinds of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::meta) enum LineKind {
    /// The header of a journal file.
    Header,
    /// A transaction in a journal file.
    Record,
    /// Rows of a checkpoint.
    Rows,
    /// The trailer of a checkpoint.
    Trailer,
    /// The marker of a clean stop.
    Marker,
}

/// A line's body.
pub(in crate::meta) trait LineBody: DeserializeOwned {
    /// The kind of its line.
    const KIND: LineKind;
}

impl LineBody for Header {
    const KIND: LineKind = LineKind::Header;
}

impl LineBody for Record {
    const KIND: LineKind = LineKind::Record;
}

/// The fields that tell the kinds of lines apart, in this version and in later ones.
#[derive(Default, Deserialize)]
#[serde(default)]
struct LineMarks {
    journal: Option<u32>,
    checkpoint: Option<u32>,
    line: Option<IgnoredAny>,
    seq: Option<IgnoredAny>,
    facts: Option<IgnoredAny>,
}

impl LineMarks {
    fn kind(&self) -> Option<LineKind> {
        let Self { journal, checkpoint, line, seq, facts } = self;
        let kinds = [
            (journal.is_some(), LineKind::Header),
            (checkpoint.is_some(), LineKind::Trailer),
            (line.is_some(), LineKind::Marker),
            (seq.is_some(), LineKind::Record),
            (facts.is_some(), LineKind::Rows),
        ];
        kinds.into_iter().find_map(|(is_set, kind)| is_set.then_some(kind))
    }

    /// Returns the version of the format that the line states.
    fn format(&self) -> Option<u32> {
        self.journal.or(self.checkpoint)
    }
}

/// Reads a line of the file `path`. Returns `None` if it is damaged, or not of this kind. Fails if it is as
/// it was written and this version does not know it.
pub(in crate::meta) fn read_line<T: LineBody>(
    path: &Path,
    line: &RawLine,
) -> Result<Option<(T, Sum)>, MetaOpenError> {
    match decode::<T>(&line.bytes) {
        Ok(read) => Ok(Some(read)),
        Err(LineError::NoSum | LineError::WrongSum) => Ok(None),
        Err(LineError::Unreadable(why)) => {
            let marks = decode::<LineMarks>(&line.bytes).map(|(marks, _)| marks).unwrap_or_default();
            let is_of_another_kind = marks.kind().is_some_and(|kind| kind != T::KIND);
            if is_of_another_kind {
                return Ok(None);
            }
            if let Some(found) = marks.format() {
                check_format(path, found)?;
            }
            Err(MetaOpenError::Unknown { path: path.to_owned(), offset: line.offset, why })
        }
    }
}

/// Fails if a file states a newer version of the format.
pub(in crate::meta) fn check_format(path: &Path, found: u32) -> Result<(), MetaOpenError> {
    if found > FORMAT {
        return Err(MetaOpenError::Newer { path: path.to_owned(), found });
    }
    Ok(())
}

/// Returns the version of the format that a header or a trailer states, if it is as it was written.
pub(in crate::meta) fn stated_format(line: &[u8]) -> Option<u32> {
    decode::<LineMarks>(line).ok().and_then(|(marks, _)| marks.format())
}
