//! Reading a journal file line by line, without holding more than one line of it.

use crate::disk::{DiskError, DiskFile};
use crate::meta::journal::file::line::LINE_SIZE_MAX_BYTES;

/// The first read is small, since often only the first line is wanted, or the file is short; each further one
/// is twice as long.
const READ_SIZE_MIN_BYTES: usize = 4 * 1024;
const READ_SIZE_MAX_BYTES: usize = 256 * 1024;

/// A line as it stands in the file, valid or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::meta) struct RawLine {
    /// Its number in the file; the header is 1.
    pub(in crate::meta) number: u64,
    /// Its bytes, without the line feed. A line that is too long comes in pieces.
    pub(in crate::meta) bytes: Vec<u8>,
    /// Whether a line feed ended it.
    pub(in crate::meta) ended: bool,
}

/// Reads lines from the front of a file.
pub(in crate::meta) struct LineReader<'a> {
    file: &'a dyn DiskFile,
    offset: u64,
    number: u64,
    pending: Vec<u8>,
    /// The number of bytes of `pending` that were already returned.
    taken: usize,
    /// The size in bytes of the next read.
    read_size: usize,
    at_end: bool,
}

impl<'a> LineReader<'a> {
    pub(in crate::meta) fn new(file: &'a dyn DiskFile) -> Self {
        Self::starting_at(file, 0)
    }

    /// Reads from a line that begins at `offset`; its number is then 1.
    pub(in crate::meta) fn starting_at(file: &'a dyn DiskFile, offset: u64) -> Self {
        let read_size = READ_SIZE_MIN_BYTES;
        Self { file, offset, number: 0, pending: Vec::new(), taken: 0, read_size, at_end: false }
    }

    /// Returns the next line, or `None` at the end of the file. Zeroes at the end, which the journal writes
    /// ahead of its lines, are no line.
    pub(in crate::meta) fn next(&mut self) -> Result<Option<RawLine>, DiskError> {
        loop {
            let rest = self.pending.get(self.taken..).unwrap_or_default();
            // Zeroes before a line stand in the place of a lost one: return them as a line of their own, so
            // that the next line is not lost with them.
            if rest.first() == Some(&0)
                && let Some(length) = rest.iter().position(|byte| *byte != 0)
            {
                return Ok(Some(self.take(length, false)));
            }
            if let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.take(length, true)));
            }
            if self.at_end && rest.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            if rest.len() > LINE_SIZE_MAX_BYTES || (self.at_end && !rest.is_empty()) {
                return Ok(Some(self.take(rest.len(), false)));
            }
            self.fill()?;
        }
    }

    /// Returns where the next line begins.
    pub(in crate::meta) fn offset(&self) -> u64 {
        self.offset - (self.pending.len() - self.taken) as u64
    }

    fn take(&mut self, length: usize, ended: bool) -> RawLine {
        let begin = self.taken;
        let bytes = self.pending.get(begin..begin + length).unwrap_or_default().to_vec();
        self.taken = begin + length + usize::from(ended);
        self.number += 1;
        RawLine { number: self.number, bytes, ended }
    }

    fn fill(&mut self) -> Result<(), DiskError> {
        self.pending.drain(..self.taken);
        self.taken = 0;
        let filled = self.pending.len();
        self.pending.resize(filled + self.read_size, 0);
        let space = self.pending.get_mut(filled..).unwrap_or_default();
        let read = self.file.read_at(space, self.offset)?;
        self.pending.truncate(filled + read);
        self.offset += read as u64;
        self.read_size = (self.read_size * 2).min(READ_SIZE_MAX_BYTES);
        self.at_end = read == 0;
        Ok(())
    }
}
