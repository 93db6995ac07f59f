//! The journal: the truth about metadata, one checksummed line a transaction, only ever appended.

mod line;
mod reader;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskError, DiskFile};
use crate::meta::fact::{FACTS_MAX, Fact};

pub(super) use line::{Header, LINE_SIZE_MAX_BYTES, Record, Sum, decode, encode};
pub(super) use reader::{LineReader, RawLine};

/// The folder of the journal's files.
pub(super) const JOURNAL_FOLDER: &str = "journal";

/// Space is reserved ahead in steps of this, so that a sync finds its blocks there.
const RESERVE_STEP_BYTES: u64 = 1024 * 1024;

/// What the journal can fail with.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    /// The line could not be written and nothing of it is left.
    #[error("the journal could not be appended to: {0}")]
    Append(DiskError),
    /// Nothing can be written any more until the next start.
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
pub(super) struct Journal {
    file: Arc<dyn DiskFile>,
    length: u64,
    reserved: u64,
    /// The last transaction and its line's sum.
    seq: u64,
    sum: Sum,
    /// The last transaction that is known to be durable.
    synced: u64,
    poisoned: Option<String>,
}

impl Journal {
    /// Goes on at the end of a file that ends with transaction `seq`, all of it durable.
    pub(super) fn at_end(file: Arc<dyn DiskFile>, length: u64, seq: u64, sum: Sum) -> Self {
        Self { file, length, reserved: length, seq, sum, synced: seq, poisoned: None }
    }

    /// Returns the last transaction's number.
    pub(super) fn head(&self) -> u64 {
        self.seq
    }

    /// Returns the sum of the last line.
    pub(super) fn sum(&self) -> &Sum {
        &self.sum
    }

    /// Returns why nothing can be written any more, if so.
    pub(super) fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Appends a transaction and returns its number. It is durable only after [`Self::sync`].
    pub(super) fn append(&mut self, at: u64, facts: Vec<Fact>) -> Result<u64, JournalError> {
        if let Some(why) = &self.poisoned {
            return Err(JournalError::Poisoned(why.clone()));
        }
        let count = facts.len();
        let seq = self.seq + 1;
        let record = Record { seq, prev: self.sum.clone(), durable: self.synced, at, facts };
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
        let written = self.reserve(end).and_then(|()| self.file.write_at(line, self.length));
        let Err(error) = written else {
            self.length = end;
            return Ok(());
        };
        // A part of the line may be there. Without it the file ends with a whole line again.
        if let Err(cut) = self.file.truncate(self.length) {
            return Err(self.poison(format!("a half-written line could not be removed: {cut}")));
        }
        self.reserved = self.length;
        Err(JournalError::Append(error))
    }

    fn reserve(&mut self, end: u64) -> Result<(), DiskError> {
        if end <= self.reserved {
            return Ok(());
        }
        let until = (end / RESERVE_STEP_BYTES + 1) * RESERVE_STEP_BYTES;
        self.file.reserve(self.length, until - self.length)?;
        self.reserved = until;
        Ok(())
    }

    /// Makes everything appended so far durable. After a failure nothing is known about what the medium
    /// holds, and a second try would tell nothing either: the journal takes no more until the next start.
    pub(super) fn sync(&mut self) -> Result<(), JournalError> {
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

    /// Refuses everything from now on.
    pub(super) fn poison(&mut self, why: String) -> JournalError {
        log::error!("{why}; writes are refused until the next start");
        let why = self.poisoned.get_or_insert(why).clone();
        JournalError::Poisoned(why)
    }
}

/// Writes a new journal file whole and makes it durable under its name: header, then the lines that `lines`
/// gives.
pub(super) struct NewFile<'a> {
    disk: &'a dyn Disk,
    file: Arc<dyn DiskFile>,
    number: u64,
    length: u64,
    pending: Vec<u8>,
    seq: u64,
    sum: Sum,
}

const WRITE_SIZE_BYTES: usize = 256 * 1024;

impl<'a> NewFile<'a> {
    /// Begins a file that goes on behind transaction `before`, whose line's sum is `prev`, and that will hold
    /// the transactions up to `durable` when it is published.
    pub(super) fn create(
        disk: &'a dyn Disk,
        number: u64,
        (before, prev): (u64, Sum),
        durable: u64,
    ) -> Result<Self, DiskError> {
        let file = disk.create(&unfinished_path(number))?;
        let (pending, _) = encode(&Header::new(before + 1, prev.clone(), durable))
            .map_err(|error| DiskError::new("render the header of", &journal_path(number), error))?;
        Ok(Self { disk, file, number, length: 0, pending, seq: before, sum: prev })
    }

    /// Returns the last transaction's number and its line's sum.
    pub(super) fn head(&self) -> (u64, Sum) {
        (self.seq, self.sum.clone())
    }

    /// Adds a line, without its line feed, as it stands; `seq` and `sum` are its own.
    pub(super) fn push(&mut self, line: &[u8], seq: u64, sum: Sum) -> Result<(), DiskError> {
        self.pending.extend_from_slice(line);
        self.pending.push(b'\n');
        self.seq = seq;
        self.sum = sum;
        if self.pending.len() >= WRITE_SIZE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), DiskError> {
        self.file.write_at(&self.pending, self.length)?;
        self.length += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Publishes the file and returns the journal that goes on at its end.
    pub(super) fn publish(mut self) -> Result<Journal, DiskError> {
        self.write()?;
        // 1. The lines are durable.
        self.file.sync()?;
        // 2. The name is visible. 3. The name is durable.
        self.disk.rename(&unfinished_path(self.number), &journal_path(self.number))?;
        self.disk.sync_folder(Path::new(JOURNAL_FOLDER))?;
        Ok(Journal::at_end(self.file, self.length, self.seq, self.sum))
    }
}

const FINISHED: &str = "log";
const UNFINISHED: &str = "new";
const DAMAGED: &str = "damaged";

/// Returns the path of a journal file.
pub(super) fn journal_path(number: u64) -> PathBuf {
    path(number, FINISHED)
}

/// Returns the path that a damaged journal file is kept under.
pub(super) fn damaged_path(number: u64) -> PathBuf {
    path(number, DAMAGED)
}

fn unfinished_path(number: u64) -> PathBuf {
    path(number, UNFINISHED)
}

fn path(number: u64, ending: &str) -> PathBuf {
    Path::new(JOURNAL_FOLDER).join(format!("{number:012}.{ending}"))
}

/// The journal's files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// The numbers of the finished ones, in order.
    pub(super) finished: Vec<u64>,
    /// Those that a crash left unfinished: nothing in them was ever acknowledged.
    pub(super) unfinished: Vec<PathBuf>,
    /// The highest number in use, whatever for.
    pub(super) highest: u64,
}

/// Lists the journal's files.
pub(super) fn list(disk: &dyn Disk) -> Result<Files, DiskError> {
    let folder = Path::new(JOURNAL_FOLDER);
    let mut files = Files::default();
    for entry in disk.list(folder)? {
        let Some((number, ending)) = entry.name.split_once('.') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        files.highest = files.highest.max(number);
        match ending {
            FINISHED => files.finished.push(number),
            UNFINISHED => files.unfinished.push(folder.join(&entry.name)),
            _ => {}
        }
    }
    files.finished.sort_unstable();
    Ok(files)
}
