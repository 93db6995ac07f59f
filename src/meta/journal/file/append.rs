//! The end of the journal, where lines are appended.

use std::sync::Arc;

use crate::disk::{DiskError, DiskFile};
use crate::meta::clock::StoreTime;
use crate::meta::journal::file::line::{LINE_SIZE_MAX_BYTES, Record, Sum, encode};
use crate::meta::model::{FACTS_MAX, Fact};

/// The file is filled with zeroes ahead of its lines, by a part of its length within these bounds.
///
/// A line then overwrites bytes that the file already has, and its sync writes nothing but the line. If a
/// line extends the file, or is the first in space that was only reserved, the filesystem has to record that
/// as well: on ext4 a line of 1 KiB then costs 17 KiB on the medium and two waits, not 6 KiB and one.
const AHEAD_MIN_BYTES: u64 = 4 * 1024;
const AHEAD_MAX_BYTES: u64 = 256 * 1024;
const AHEAD_PART: u64 = 4;

/// An error of the journal.
#[derive(Debug, thiserror::Error)]
pub(in crate::meta) enum JournalError {
    /// The line could not be written and nothing of it is left.
    #[error("the journal could not be appended to: {0}")]
    Append(DiskError),
    /// The journal refuses writes until the next start.
    #[error("{0}")]
    Poisoned(String),
    /// The transaction is over the limits.
    #[error("a transaction of {facts} facts and {bytes} bytes is too large")]
    TooLarge { facts: usize, bytes: usize },
    /// The transaction could not be rendered.
    #[error("a transaction could not be rendered: {0}")]
    Render(#[from] serde_json::Error),
}

/// The end of the journal, where lines are appended.
pub(in crate::meta) struct Journal {
    file: Arc<dyn DiskFile>,
    /// The file's number.
    pub(super) number: u64,
    /// The length in bytes of the file's lines.
    length: u64,
    /// The offset up to which the file has bytes: zeroes, from `length` on.
    ///
    /// INVARIANT: never less than `length`, since zeroes are written from here on.
    ahead: u64,
    /// The last transaction and its line's sum.
    pub(super) seq: u64,
    pub(super) sum: Sum,
    /// The last transaction that is known to be durable.
    synced: u64,
    poisoned: Option<String>,
}

impl Journal {
    /// Resumes at the end of a file that ends with transaction `seq`, all of it durable.
    pub(in crate::meta) fn at_end(
        file: Arc<dyn DiskFile>,
        number: u64,
        length: u64,
        (seq, sum): (u64, Sum),
    ) -> Self {
        Self { file, number, length, ahead: length, seq, sum, synced: seq, poisoned: None }
    }

    /// Returns the length in bytes of the current file's lines.
    pub(in crate::meta) fn length(&self) -> u64 {
        self.length
    }

    /// Returns the last transaction's number.
    pub(in crate::meta) fn head(&self) -> u64 {
        self.seq
    }

    /// Returns the sum of the last line.
    pub(in crate::meta) fn sum(&self) -> &Sum {
        &self.sum
    }

    /// Returns why the journal refuses writes, if it does.
    pub(in crate::meta) fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Appends a transaction and returns its number. It is durable only after [`Self::sync`].
    pub(in crate::meta) fn append(
        &mut self,
        (at, time): (u64, StoreTime),
        facts: Vec<Fact>,
    ) -> Result<u64, JournalError> {
        if let Some(why) = &self.poisoned {
            return Err(JournalError::Poisoned(why.clone()));
        }
        let count = facts.len();
        let seq = self.seq + 1;
        let record = Record { seq, prev: self.sum.clone(), durable: self.synced, at, time, facts };
        let (line, sum) = encode(&record)?;
        if count > FACTS_MAX || line.len() > LINE_SIZE_MAX_BYTES {
            return Err(JournalError::TooLarge { facts: count, bytes: line.len() });
        }
        self.write(&line)?;
        self.seq = seq;
        self.sum = sum;
        Ok(seq)
    }

    fn write(&mut self, line: &[u8]) -> Result<(), JournalError> {
        let end = self.length + line.len() as u64;
        let written = self.go_ahead(end).and_then(|()| self.file.write_at(line, self.length));
        let Err(error) = written else {
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

    /// Ensures that the file has bytes up to `end`, and some more.
    fn go_ahead(&mut self, end: u64) -> Result<(), DiskError> {
        if end <= self.ahead {
            return Ok(());
        }
        let step = (self.length / AHEAD_PART).clamp(AHEAD_MIN_BYTES, AHEAD_MAX_BYTES);
        let until = (end + step).next_multiple_of(AHEAD_MIN_BYTES);
        match self.fill(until) {
            // Leave the last bytes of a full disk to deletes.
            Err(error) if error.is_full() => {
                self.give_back()?;
                self.file.reserve(self.length, end - self.length)?;
                self.ahead = end;
                Ok(())
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

    /// Cuts off everything after the last line. The cut need not be durable: zeroes after that line are no
    /// line.
    pub(super) fn give_back(&mut self) -> Result<(), DiskError> {
        self.file.truncate(self.length)?;
        self.ahead = self.length;
        Ok(())
    }

    /// Durably cuts off everything after the last line: after a clean stop, the next start reads the last
    /// line at the end of the file.
    pub(in crate::meta) fn end(&mut self) -> Result<(), DiskError> {
        if self.ahead == self.length {
            return Ok(());
        }
        self.give_back()?;
        self.file.sync()
    }

    /// Makes everything appended so far durable. After a failed sync the content of the medium is unknown,
    /// and a retry could not reveal it: the journal refuses writes until the next start.
    pub(in crate::meta) fn sync(&mut self) -> Result<(), JournalError> {
        if let Some(why) = &self.poisoned {
            return Err(JournalError::Poisoned(why.clone()));
        }
        if self.synced < self.seq {
            match self.file.sync() {
                Ok(()) => self.synced = self.seq,
                Err(error) => return Err(self.poison(format!("the journal could not be synced: {error}"))),
            }
        }
        Ok(())
    }

    /// Refuses all writes from now on.
    pub(in crate::meta) fn poison(&mut self, why: String) -> JournalError {
        log::error!("{why}; writes are refused until the next start");
        let why = self.poisoned.get_or_insert(why).clone();
        JournalError::Poisoned(why)
    }
}
