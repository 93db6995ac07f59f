//! The messages to the writer, and the part of its state that others may read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::meta::error::{MetaError, MetaOpenError};
use crate::meta::index::{Index, QuotaUsage, RowTotals};
use crate::meta::journal::{DurableEnd, LogPosition, LogTail};
use crate::meta::model::AttributedCommand;
use crate::meta::recovery::Build;
use crate::meta::rules::CommandProgress;

/// Called with a command's result.
pub type Answer = Box<dyn FnOnce(Result<(), MetaError>) + Send>;

/// Tells on the writer's thread, between two commands, whether a command may still be decided.
pub type Guard = Box<dyn Fn() -> bool + Send>;

/// A message to the writer.
pub(in crate::meta) enum Message {
    Command(Box<AttributedCommand>, Answer),
    /// Carry out a command if its guard allows it then.
    CommandIf(Guard, Box<AttributedCommand>, Answer),
    /// Carry out the next step of a command that takes many, if its guard still allows it.
    Continue(Option<Guard>, Box<AttributedCommand>, Answer, CommandProgress),
    /// Answer when everything before this is durable.
    Barrier(Answer),
    /// Write the notes of pulls, without a sync: there are many.
    NotePulls,
    /// Rebuild the index, which failed.
    Repair,
    /// Return a reader of the journal from there on.
    ReadFrom(LogPosition, Sender<Box<dyn LogTail>>),
    /// Put a new index in place of the one in use.
    Swap(Build, Sender<Swapped>),
    /// Take a checkpoint before one is due. The sender is dropped when none is taken.
    Checkpoint(Sender<u64>),
    /// Refuse everything from now on.
    Poison(String),
    /// Stop if the index is not verified yet: a stop is coming, and must not wait for that.
    StopUnverified,
    Stop,
}

/// What the writer answers to a new index.
pub(in crate::meta) enum Swapped {
    /// The new index is in use. The old one comes back, so that its end costs the writer no time.
    Done(Option<Arc<dyn Index>>),
    /// More was appended than the writer applies at once.
    TooFarBehind(Build),
    /// The new index cannot be used.
    Failed(MetaOpenError),
}

impl Message {
    /// Answers a message that will not be carried out, if it has an answer.
    pub(in crate::meta) fn fail(self, error: MetaError) {
        match self {
            Self::Command(_, answer)
            | Self::CommandIf(_, _, answer)
            | Self::Continue(_, _, answer, _)
            | Self::Barrier(answer) => answer(Err(error)),
            Self::NotePulls
            | Self::Repair
            | Self::ReadFrom(..)
            | Self::Swap(..)
            | Self::Checkpoint(_)
            | Self::Poison(_)
            | Self::StopUnverified
            | Self::Stop => {}
        }
    }
}

/// Why writes are refused, and what is done about it.
#[derive(Debug, Default)]
pub(in crate::meta) struct WriteFailure {
    pub(in crate::meta) why: String,
    /// How often the store was tried to be reopened.
    pub(in crate::meta) tries: u32,
    /// When the next try is due.
    pub(in crate::meta) next: Option<Instant>,
    /// Why the last try failed.
    pub(in crate::meta) tried: Option<String>,
}

/// The part of the writer's state that others may read.
#[derive(Debug, Default)]
pub(in crate::meta) struct WriterState {
    /// Why writes are refused.
    pub(in crate::meta) failure: Mutex<Option<WriteFailure>>,
    /// How often the store was reopened.
    pub(in crate::meta) reopened: AtomicU64,
    pub(in crate::meta) totals: Mutex<RowTotals>,
    pub(in crate::meta) usage: Mutex<QuotaUsage>,
    /// How far the journal is durable and visible.
    pub(in crate::meta) durable: Arc<DurableEnd>,
    without_journal: AtomicBool,
    read_only: bool,
}

impl WriterState {
    pub(in crate::meta) fn new(totals: RowTotals, without_journal: bool, read_only: bool) -> Self {
        let without_journal = AtomicBool::new(without_journal && !read_only);
        Self { totals: Mutex::new(totals), without_journal, read_only, ..Self::default() }
    }

    pub(in crate::meta) fn is_read_only(&self) -> bool {
        self.read_only
    }

    pub(in crate::meta) fn is_without_journal(&self) -> bool {
        self.without_journal.load(Ordering::SeqCst)
    }

    pub(in crate::meta) fn set_without_journal(&self, without: bool) {
        self.without_journal.store(without, Ordering::SeqCst);
    }
}
