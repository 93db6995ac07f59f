//! Starting the writer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

use crate::blobs::ContentStore;
use crate::disk::Disk;
use crate::meta::clock::Clock;
use crate::meta::error::MetaOpenError;
use crate::meta::index::{IndexKind, ReplaceableIndex, RowTotals, View};
use crate::meta::journal::Log;
use crate::meta::model::Policies;
use crate::meta::recovery::RecoveryProgress;
use crate::meta::rules::{PolicyChecks, Protection};
use crate::meta::writer::await_space::AwaitSpace;
use crate::meta::writer::message::{Message, WriterState};
use crate::meta::writer::pending::PendingRows;
use crate::meta::writer::reopening::Reopening;
use crate::meta::writer::thread::{Rotation, Writer};

/// Everything that the writer's thread needs.
pub(in crate::meta) struct WriterSetup {
    pub(in crate::meta) checks: PolicyChecks,
    pub(in crate::meta) policies: Policies,
    pub(in crate::meta) protection: Arc<dyn Protection>,
    pub(in crate::meta) clock: Arc<Clock>,
    pub(in crate::meta) disk: Arc<dyn Disk>,
    pub(in crate::meta) index: Arc<ReplaceableIndex>,
    pub(in crate::meta) kind: IndexKind,
    pub(in crate::meta) durable: u64,
    pub(in crate::meta) content: Option<Arc<dyn ContentStore>>,
    pub(in crate::meta) shared: Arc<WriterState>,
    pub(in crate::meta) progress: RecoveryProgress,
    pub(in crate::meta) rotation: Rotation,
    /// Whether the index was built by this start, and not left by a clean stop.
    pub(in crate::meta) is_verified: bool,
    pub(in crate::meta) reopening: Reopening,
}

impl WriterSetup {
    /// Starts the writer's thread, which runs until a stop. Without a journal, it first waits for space.
    pub(in crate::meta) fn spawn(
        self,
        opened: Option<(Box<dyn Log>, RowTotals)>,
        messages: Receiver<Message>,
    ) -> Result<JoinHandle<Option<Writer>>, MetaOpenError> {
        let builder = std::thread::Builder::new().name("pulk-writer".to_owned());
        let spawned = builder.spawn(move || self.run(opened, &messages));
        spawned.map_err(|error| MetaOpenError::Thread(error.to_string()))
    }

    fn run(self, opened: Option<(Box<dyn Log>, RowTotals)>, messages: &Receiver<Message>) -> Option<Writer> {
        let Self {
            mut checks,
            policies,
            protection,
            clock,
            disk,
            index,
            kind,
            durable,
            content,
            shared,
            progress,
            rotation,
            is_verified,
            reopening,
        } = self;
        let unfiled = content.as_ref().map(|content| Arc::clone(content.unfiled()));
        let (journal, totals, first) = match opened {
            Some((journal, totals)) => (journal, totals, None),
            None => {
                let waiting = AwaitSpace {
                    disk: Arc::clone(&disk),
                    index: Arc::clone(&index),
                    kind: kind.clone(),
                    durable,
                    content,
                    shared: Arc::clone(&shared),
                    progress: progress.clone(),
                };
                let (journal, totals, first) = waiting.until_space(messages)?;
                checks = PolicyChecks::over_or_uncounted(policies, View::new(index.as_ref()));
                (journal, totals, Some(first))
            }
        };
        shared.durable.advance(journal.synced());
        let mut writer = Writer {
            journal,
            index,
            pending: PendingRows::default(),
            kind,
            totals,
            checks,
            protection,
            clock,
            shared,
            disk,
            progress,
            rotation,
            unfinished: VecDeque::new(),
            queued: first.into_iter().collect(),
            reopening,
            unfiled,
            filed: 0,
        };
        if is_verified || writer.verify_index(messages).is_continue() {
            writer.run(messages);
        }
        Some(writer)
    }
}
