//! Reading a journal file line by line, without holding more than one line of it.

use crate::disk::{BLOCK_SIZE_BYTES, DiskError, DiskFile};
use crate::meta::journal::file::line::LINE_SIZE_MAX_BYTES;

/// The first read is small, since often only the first line is wanted, or the file is short; each further one
/// is twice as long.
const READ_SIZE_MIN_BYTES: usize = 4 * 1024;
const READ_SIZE_MAX_BYTES: usize = 256 * 1024;

/// How often a block is read before it is unreadable: some errors pass.
const READ_TRIES_MAX: u32 = 3;

/// A line as it stands in the file, valid or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::meta) struct RawLine {
    /// Its number in the file; the header is 1.
    pub(in crate::meta) number: u64,
    /// Where it begins in the file.
    pub(in crate::meta) offset: u64,
    /// Its bytes, without the line feed. A line that is too long comes in pieces, and so does one with a
    /// block that the medium cannot read, without that block.
    pub(in crate::meta) bytes: Vec<u8>,
    /// Whether a line feed ended it.
    pub(in crate::meta) ended: bool,
    /// Whether the medium could not read the block that follows the bytes.
    pub(in crate::meta) unreadable: bool,
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
    /// The offset after an unreadable block that follows `pending`.
    after_unreadable: Option<u64>,
    /// Whether that block is the last one.
    ends_unreadable: bool,
}

impl<'a> LineReader<'a> {
    pub(in crate::meta) fn new(file: &'a dyn DiskFile) -> Self {
        Self::starting_at(file, 0)
    }

    /// Reads from a line that begins at `offset`; its number is then 1.
    pub(in crate::meta) fn starting_at(file: &'a dyn DiskFile, offset: u64) -> Self {
        let read_size = READ_SIZE_MIN_BYTES;
        let (pending, after_unreadable) = (Vec::new(), None);
        Self {
            file,
            offset,
            number: 0,
            pending,
            taken: 0,
            read_size,
            at_end: false,
            after_unreadable,
            ends_unreadable: false,
        }
    }

    /// Returns the next line, or `None` at the end of the file. Zeroes are part of no line: they fill the
    /// blocks between batches and the space ahead of the last line, and what the medium lost. The chain of
    /// sums shows whether a line is missing.
    pub(in crate::meta) fn next(&mut self) -> Result<Option<RawLine>, DiskError> {
        loop {
            let rest = self.pending.get(self.taken..).unwrap_or_default();
            self.taken += rest.iter().take_while(|byte| **byte == 0).count();
            let rest = self.pending.get(self.taken..).unwrap_or_default();
            // What does not begin as a line ends with its block, since the next one may begin a batch.
            let begin = self.offset - rest.len() as u64;
            let block = usize::try_from(BLOCK_SIZE_BYTES - begin % BLOCK_SIZE_BYTES).unwrap_or(0);
            let is_garbage = rest.first().is_some_and(|byte| *byte != b'{');
            let rest = if is_garbage { rest.get(..block).unwrap_or(rest) } else { rest };
            if let Some(length) = rest.iter().position(|byte| [b'\n', 0].contains(byte)) {
                let ended = rest.get(length) == Some(&b'\n');
                return Ok(Some(self.take(length, ended)));
            }
            if is_garbage && rest.len() == block {
                return Ok(Some(self.take(block, false)));
            }
            if self.at_end && rest.is_empty() {
                return Ok(None);
            }
            if rest.len() > LINE_SIZE_MAX_BYTES || self.at_end {
                return Ok(Some(self.take(rest.len(), false)));
            }
            if let Some(offset) = self.after_unreadable.take() {
                let line = self.take(rest.len(), false);
                self.offset = offset;
                return Ok(Some(RawLine { unreadable: true, ..line }));
            }
            self.fill()?;
        }
    }

    /// Returns where the next line begins.
    pub(in crate::meta) fn offset(&self) -> u64 {
        self.offset - (self.pending.len() - self.taken) as u64
    }

    fn take(&mut self, length: usize, ended: bool) -> RawLine {
        let (begin, offset) = (self.taken, self.offset());
        let bytes = self.pending.get(begin..begin + length).unwrap_or_default().to_vec();
        self.taken = begin + length + usize::from(ended);
        self.number += 1;
        RawLine { number: self.number, offset, bytes, ended, unreadable: false }
    }

    fn fill(&mut self) -> Result<(), DiskError> {
        self.pending.drain(..self.taken);
        self.taken = 0;
        if self.ends_unreadable {
            self.at_end = true;
            return Ok(());
        }
        let filled = self.pending.len();
        self.pending.resize(filled + self.read_size, 0);
        let space = self.pending.get_mut(filled..).unwrap_or_default();
        let read = match self.file.read_at(space, self.offset) {
            // A block at a time shows which one it is.
            Err(error) if error.is_of_the_medium() => {
                let length = BLOCK_SIZE_BYTES - self.offset % BLOCK_SIZE_BYTES;
                let block = space.get_mut(..usize::try_from(length).unwrap_or(0)).unwrap_or_default();
                let mut tries = (1..READ_TRIES_MAX).map(|_| self.file.read_at(block, self.offset));
                let read = tries.find(|read| !read.as_ref().is_err_and(DiskError::is_of_the_medium));
                if read.is_none() {
                    log::error!("{error}: a block at byte {} is unreadable", self.offset);
                    self.after_unreadable = Some(self.offset + length);
                    // A medium that reads nothing of a file may not find its end either.
                    self.ends_unreadable = self.file.length().unwrap_or(0) <= self.offset + length;
                }
                read.unwrap_or(Ok(0))?
            }
            read => read?,
        };
        self.pending.truncate(filled + read);
        self.offset += read as u64;
        self.read_size = (self.read_size * 2).min(READ_SIZE_MAX_BYTES);
        self.at_end = read == 0 && self.after_unreadable.is_none();
        Ok(())
    }
}
