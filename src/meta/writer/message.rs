//! The messages to the writer, and the part of its state that others may read.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use crate::meta::error::MetaError;
use crate::meta::index::{QuotaUsage, RowTotals};
use crate::meta::model::Command;

/// Called with a command's result.
pub type Answer = Box<dyn FnOnce(Result<(), MetaError>) + Send>;

/// A message to the writer.
pub(in crate::meta) enum Message {
    Command(Box<Command>, Answer),
    /// Answer when everything before this is durable.
    Barrier(Answer),
    /// Rebuild the index, which failed.
    Repair,
    /// Take a checkpoint before one is due. The sender is dropped when none is taken.
    Checkpoint(Sender<u64>),
    /// Refuse everything from now on.
    Poison(String),
    Stop,
}

/// The part of the writer's state that others may read.
#[derive(Debug, Default)]
pub(in crate::meta) struct WriterState {
    pub(in crate::meta) poisoned: Mutex<Option<String>>,
    pub(in crate::meta) totals: Mutex<RowTotals>,
    pub(in crate::meta) usage: Mutex<QuotaUsage>,
    without_journal: AtomicBool,
}

impl WriterState {
    pub(in crate::meta) fn new(totals: RowTotals, without_journal: bool) -> Self {
        let without_journal = AtomicBool::new(without_journal);
        Self { totals: Mutex::new(totals), without_journal, ..Self::default() }
    }

    pub(in crate::meta) fn is_without_journal(&self) -> bool {
        self.without_journal.load(Ordering::SeqCst)
    }

    pub(in crate::meta) fn set_without_journal(&self, without: bool) {
        self.without_journal.store(without, Ordering::SeqCst);
    }
}
