//! The end of the journal, where lines are appended.

use std::sync::Arc;

use crate::disk::{BLOCK_SIZE_BYTES, Disk, DiskError, DiskFile};
use crate::meta::journal::file::tail::FileTail;
use crate::meta::journal::log::{JournalError, LineNote, Log, LogPosition, LogTail, Poison};
use crate::meta::model::Fact;

/// The file is filled with zeroes ahead of its lines, by a part of its length within these bounds.
///
/// A line then overwrites bytes that the file already has, and its sync writes nothing but the line. If a
/// line extends the file, or is the first in space that was only reserved, the filesystem has to record that
/// as well: on ext4 a line of 1 KiB then costs 17 KiB on the medium and two waits, not 6 KiB and one.
const AHEAD_MIN_BYTES: u64 = 8 * BLOCK_SIZE_BYTES;
const AHEAD_MAX_BYTES: u64 = 256 * 1024;
const AHEAD_PART: u64 = 4;

/// The end of the journal, where lines are appended.
pub(in crate::meta) struct FileLog {
    pub(super) disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    /// The file's number.
    pub(super) number: u64,
    /// The offset of the end of the last line.
    length: u64,
    /// How many of the bytes before that are zeroes between batches.
    padding: u64,
    /// How many bytes of lines earlier files have that were left before a rotation was due.
    pub(super) earlier: u64,
    /// The file's length: it has zeroes from `length` up to here.
    ///
    /// INVARIANT: never less than `length`, since zeroes are written from here on; and at the end of a block,
    /// since a write after a durable line in the same block could cost that line at a power cut.
    ahead: u64,
    head: LogPosition,
    /// The place after the last transaction that is known to be durable.
    pub(super) synced: LogPosition,
    poison: Poison,
}

impl FileLog {
    /// Resumes at the end of a file whose last line ends at `length`. All of it is durable, up to the end of
    /// that block.
    pub(in crate::meta) fn at_end(
        disk: Arc<dyn Disk>,
        file: Arc<dyn DiskFile>,
        (number, length): (u64, u64),
        head: LogPosition,
    ) -> Self {
        let synced = head.clone();
        let ahead = length.next_multiple_of(BLOCK_SIZE_BYTES);
        let poison = Poison::default();
        Self { disk, file, number, length, padding: 0, earlier: 0, ahead, head, synced, poison }
    }

    /// Writes a line, in a new file if this one may not grow.
    fn write_somewhere(&mut self, line: &[u8]) -> Result<(), JournalError> {
        match self.write(line) {
            // A file with little more than its header would be no better.
            Err(JournalError::Append(error)) if error.is_too_large() && self.length > BLOCK_SIZE_BYTES => {
                log::warn!("{error}; the journal continues in a new file");
                let earlier = self.length();
                self.continue_in_new_file()?;
                self.earlier = earlier;
                self.write(line)
            }
            written => written,
        }
    }

    fn write(&mut self, line: &[u8]) -> Result<(), JournalError> {
        // INVARIANT: no block that holds a durable line is written to.
        let begin = if self.is_durable() { self.end_of_block() } else { self.length };
        let end = begin + line.len() as u64;
        let written = self.go_ahead(end).and_then(|()| self.file.write_at(line, begin));
        let Err(error) = written else {
            self.padding += begin - self.length;
            self.length = end;
            return Ok(());
        };
        // A part of the line may have been written. Cut it off, so that the file ends with a whole line
        // again.
        if let Err(cut) = self.give_back() {
            return Err(self.poison(format!("a half-written line could not be removed: {cut}")));
        }
        Err(JournalError::Append(error))
    }

    fn is_durable(&self) -> bool {
        self.synced == self.head
    }

    /// Returns the end of the block that holds the end of the last line.
    fn end_of_block(&self) -> u64 {
        self.length.next_multiple_of(BLOCK_SIZE_BYTES)
    }

    /// Ensures that the file has bytes up to `end`, and some more.
    fn go_ahead(&mut self, end: u64) -> Result<(), DiskError> {
        if end <= self.ahead {
            return Ok(());
        }
        let step = (self.length / AHEAD_PART).clamp(AHEAD_MIN_BYTES, AHEAD_MAX_BYTES);
        let until = (end + step).next_multiple_of(BLOCK_SIZE_BYTES);
        match self.fill(until) {
            // Leave the last bytes of a full disk to deletes.
            Err(error) if error.is_full() => {
                self.give_back()?;
                self.fill(end.next_multiple_of(BLOCK_SIZE_BYTES))
            }
            filled => filled,
        }
    }

    /// Fills the file with zeroes up to `until`. Space is reserved first, so that a sync finds its blocks.
    fn fill(&mut self, until: u64) -> Result<(), DiskError> {
        let length = until - self.ahead;
        self.file.reserve(self.ahead, length)?;
        self.file.write_at(&vec![0; usize::try_from(length).unwrap_or(usize::MAX)], self.ahead)?;
        self.ahead = until;
        Ok(())
    }

    /// Cuts off everything after the block of the last line, and a half-written line. The cut need not be
    /// durable: zeroes after that line are no line.
    pub(super) fn give_back(&mut self) -> Result<(), DiskError> {
        if !self.is_durable() {
            self.file.truncate(self.length)?;
        }
        self.file.truncate(self.end_of_block())?;
        self.ahead = self.end_of_block();
        Ok(())
    }
}

impl Log for FileLog {
    fn append(&mut self, note: LineNote, facts: Vec<Fact>) -> Result<u64, JournalError> {
        self.poison.check()?;
        let (line, head) = self.head.next_line(self.synced.seq, note, facts)?;
        self.write_somewhere(&line)?;
        self.head = head;
        Ok(self.head.seq)
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.poison.check()?;
        if !self.is_durable() {
            match self.file.sync() {
                Ok(()) => self.synced = self.head.clone(),
                Err(error) => return Err(self.poison(format!("the journal could not be synced: {error}"))),
            }
        }
        Ok(())
    }

    fn head(&self) -> &LogPosition {
        &self.head
    }

    fn synced(&self) -> u64 {
        self.synced.seq
    }

    fn read_from(&self, after: LogPosition) -> Box<dyn LogTail> {
        Box::new(FileTail::new(Arc::clone(&self.disk), after))
    }

    fn length(&self) -> u64 {
        self.earlier + self.length - self.padding
    }

    fn rotate(&mut self) -> Result<(), JournalError> {
        self.continue_in_new_file()
    }

    /// Durably cuts off everything after the block of the last line: the next start reads that line at the
    /// end of the file.
    fn end(&mut self) -> Result<(), DiskError> {
        if self.ahead == self.end_of_block() {
            return Ok(());
        }
        self.give_back()?;
        self.file.sync()
    }

    fn poisoned(&self) -> Option<&str> {
        self.poison.get()
    }

    fn poison(&mut self, why: String) -> JournalError {
        self.poison.set(why)
    }

    fn reopen(&mut self) -> Result<(), DiskError> {
        self.continue_after_failure()
    }
}
