//! What the journal is to its writer and its readers, wherever it is kept.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::disk::DiskError;
use crate::meta::clock::StoreTime;
use crate::meta::error::MetaOpenError;
use crate::meta::journal::file::line::{LINE_SIZE_MAX_BYTES, Record, Sum, encode};
use crate::meta::model::{FACTS_MAX, Fact, Optional, Origin};

/// An error of the journal.
#[derive(Debug, thiserror::Error)]
pub(in crate::meta) enum JournalError {
    /// The line could not be written and nothing of it is left.
    #[error("the journal could not be appended to: {0}")]
    Append(DiskError),
    /// The journal refuses writes until it is reopened.
    #[error("{0}")]
    Poisoned(String),
    /// The transaction is over the limits.
    #[error("a transaction of {facts} facts and {bytes} bytes is too large")]
    TooLarge { facts: usize, bytes: usize },
    /// The transaction could not be rendered.
    #[error("a transaction could not be rendered: {0}")]
    Render(#[from] serde_json::Error),
}

/// Where a store keeps its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    /// In the files of the folder `journal`.
    Files,
    /// In memory, gone with the process.
    Memory,
}

/// What a transaction says beside its facts.
#[derive(Debug, Clone, Default)]
pub(in crate::meta) struct LineNote {
    /// When it was decided, in milliseconds since 1970.
    pub(in crate::meta) at: u64,
    /// The store time then.
    pub(in crate::meta) time: StoreTime,
    /// Where it comes from, if that is known.
    pub(in crate::meta) by: Option<Arc<Origin>>,
    /// How far the content of lines is durable in files, where that has changed.
    pub(in crate::meta) filed: Option<u64>,
}

/// A place between two transactions: the number of the one before it, and the sum of its line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::meta) struct LogPosition {
    pub(in crate::meta) seq: u64,
    pub(in crate::meta) sum: Sum,
}

impl LogPosition {
    /// Returns the place before the very first transaction.
    pub(in crate::meta) fn start() -> Self {
        Self { seq: 0, sum: Sum::zero() }
    }

    /// Renders the transaction that follows, and returns its line and the place after it.
    pub(super) fn next_line(
        &self,
        durable: u64,
        note: LineNote,
        facts: Vec<Fact>,
    ) -> Result<(Vec<u8>, Self), JournalError> {
        let count = facts.len();
        let (seq, prev, LineNote { at, time, by, filed }) = (self.seq + 1, self.sum.clone(), note);
        let (line, sum) = encode(&Record {
            seq,
            prev,
            durable,
            at,
            time,
            by,
            filed,
            optional: Optional::default(),
            facts,
        })?;
        if count > FACTS_MAX || line.len() > LINE_SIZE_MAX_BYTES {
            return Err(JournalError::TooLarge { facts: count, bytes: line.len() });
        }
        Ok((line, Self { seq, sum }))
    }
}

/// An appendable log of transactions, owned by its one writer.
///
/// - What is durable: every transaction up to the head once [`Self::sync`] has succeeded, and never part of
///   one. An error of [`Self::append`] leaves nothing of its transaction.
/// - What a reader sees: every appended transaction, durable or not, in order and without gaps.
/// - After a failed sync it is unknown which of the transactions since the last sync are durable, and another
///   sync could not tell: the log is poisoned, and refuses every append and sync. It can still be read, and
///   it can be reopened.
pub(in crate::meta) trait Log: Send {
    /// Appends a transaction, all of its facts or none, and returns its number.
    fn append(&mut self, note: LineNote, facts: Vec<Fact>) -> Result<u64, JournalError>;

    /// Makes everything appended so far durable.
    fn sync(&mut self) -> Result<(), JournalError>;

    /// Returns the place after the last transaction.
    fn head(&self) -> &LogPosition;

    /// Returns the last transaction that is known to be durable.
    fn synced(&self) -> u64;

    /// Returns a reader of the transactions after a place in the log.
    fn read_from(&self, after: LogPosition) -> Box<dyn LogTail>;

    /// Returns how many bytes were appended since the last rotation; 0 for a log that needs none.
    fn length(&self) -> u64;

    /// Makes everything durable and begins a new part, before which a checkpoint may be taken. After an error
    /// the log continues in its old part, unless it is poisoned.
    fn rotate(&mut self) -> Result<(), JournalError>;

    /// Leaves the log as the next start expects it after a clean stop.
    fn end(&mut self) -> Result<(), DiskError>;

    /// Returns why the log refuses writes, if it does.
    fn poisoned(&self) -> Option<&str>;

    /// Refuses all writes from now on, until it is reopened.
    fn poison(&mut self, why: String) -> JournalError;

    /// Continues right after the last transaction that is known to be durable; those after it are gone. This
    /// is the one way on for a poisoned log. After an error it is as it was, and can be reopened once more.
    fn reopen(&mut self) -> Result<(), DiskError>;
}

/// Receives a transaction and the length of its line in bytes, and returns whether to continue.
pub(in crate::meta) type TransactionVisitor<'a> = dyn FnMut(&Record, u64) -> Result<bool, MetaOpenError> + 'a;

/// A reader of a log. It needs neither the log nor its writer, and keeps its place across rotations.
pub(in crate::meta) trait LogTail: Send {
    /// Returns about how many bytes there are to read.
    fn bytes_left(&self) -> Result<u64, MetaOpenError>;

    /// Visits the transactions up to `until`, until `visit` returns false, and returns the last one that was
    /// read. All of them must have been appended. Transactions that the log no longer keeps, or that do not
    /// follow each other, are an error.
    fn read(&mut self, until: u64, visit: &mut TransactionVisitor<'_>) -> Result<u64, MetaOpenError>;

    /// Returns the place after the last transaction that was read.
    fn place(&self) -> &LogPosition;

    /// Continues after another place.
    fn go_to(&mut self, place: LogPosition);

    /// Returns the place after a transaction, unless the log has no such transaction, or no longer.
    fn place_of(&self, seq: u64) -> Result<Option<LogPosition>, MetaOpenError>;

    /// Returns the first place higher than `after` at which a kept part of the log begins; for `None`, the
    /// place before the oldest transaction.
    fn next_begin(&self, after: Option<u64>) -> Result<Option<LogPosition>, MetaOpenError>;
}

/// The reason why a log refuses writes.
#[derive(Debug, Default)]
pub(super) struct Poison(Option<String>);

impl Poison {
    /// Keeps the first reason, and returns it.
    pub(super) fn set(&mut self, why: String) -> JournalError {
        log::error!("{why}; writes are refused");
        JournalError::Poisoned(self.0.get_or_insert(why).clone())
    }

    pub(super) fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub(super) fn check(&self) -> Result<(), JournalError> {
        self.0.as_ref().map_or(Ok(()), |why| Err(JournalError::Poisoned(why.clone())))
    }
}
