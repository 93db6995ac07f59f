//! A store opened on a full disk: read-only until a recovery finds space. On a read-only filesystem it stays
//! so.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::blobs::ContentStore;
use crate::disk::{Disk, DiskError, unless_damaged};
use crate::meta::error::MetaError;
use crate::meta::index::{IndexKind, ReplaceableIndex, RowTotals};
use crate::meta::journal::{Log, journal_path, list};
use crate::meta::recovery::RecoveryProgress;
use crate::meta::recovery::open::{OpenedMeta, RecoverySources, recovered};
use crate::meta::writer::message::{Message, WriterState};
use crate::meta::writer::reopening::{OnSyncFailure, Reopening};

/// The time before space is looked for again; it doubles with each recovery that fails for want of it.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Waits for the space that a recovery needs.
pub(in crate::meta) struct AwaitSpace {
    pub(in crate::meta) disk: Arc<dyn Disk>,
    pub(in crate::meta) index: Arc<ReplaceableIndex>,
    pub(in crate::meta) kind: IndexKind,
    /// Every transaction up to this one is known to have been acknowledged.
    pub(in crate::meta) durable: u64,
    /// The content to reconcile the metadata with after damage.
    pub(in crate::meta) content: Option<Arc<dyn ContentStore>>,
    pub(in crate::meta) shared: Arc<WriterState>,
    pub(in crate::meta) progress: RecoveryProgress,
}

impl AwaitSpace {
    /// Refuses commands until one finds space: returns the journal, and that command as the first message for
    /// the writer. Returns `None` if a stop comes first.
    pub(in crate::meta) fn until_space(
        self,
        messages: &Receiver<Message>,
    ) -> Option<(Box<dyn Log>, RowTotals, Message)> {
        let mut next: Option<Instant> = None;
        let mut retries = Reopening::new(OnSyncFailure::Reopen, RETRY_PAUSE);
        // INVARIANT: a store that was opened on a read-only filesystem has only shared use of it, and must
        // not begin to write.
        let may_write = !self.shared.is_read_only();
        let refusal = if may_write { MetaError::NoSpace } else { MetaError::ReadOnly };
        loop {
            match messages.recv().ok()? {
                Message::Stop => return None,
                message @ Message::Barrier(_) => message.fail(refusal.clone()),
                Message::NotePulls
                | Message::Repair
                | Message::ReadFrom(..)
                | Message::Swap(..)
                | Message::Checkpoint(_)
                | Message::StopUnverified
                | Message::Poison(_) => {}
                message @ (Message::Command(..) | Message::CommandIf(..) | Message::Continue(..)) => {
                    if may_write && next.is_none_or(|at| at <= Instant::now()) {
                        if let Some((journal, totals)) = self.recovered(&mut retries.tries) {
                            return Some((journal, totals, message));
                        }
                        next = Some(Instant::now() + retries.pause());
                    }
                    message.fail(refusal.clone());
                }
            }
        }
    }

    /// Tries a recovery if the disk seems to have space for it, and counts those that fail: each reads the
    /// whole journal, so that pauses grow.
    fn recovered(&self, tries: &mut u32) -> Option<(Box<dyn Log>, RowTotals)> {
        *tries = (*tries).max(1);
        match self.has_space() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                log::warn!("{error}");
                return None;
            }
        }
        let found = RecoverySources {
            durable: self.durable,
            content: self.content.as_deref(),
            progress: &self.progress,
        };
        match recovered(&self.disk, &self.kind, &found) {
            Ok(OpenedMeta { index, journal: Some(journal), totals, .. }) => {
                drop(self.index.replace(index));
                self.shared.set_without_journal(false);
                log::info!("there is space again: pushes are accepted");
                Some((journal, totals))
            }
            Ok(OpenedMeta { journal: None, .. }) => None,
            Err(error) => {
                *tries += 1;
                log::warn!("{error}; still not enough space to write");
                None
            }
        }
    }

    /// Tells whether the disk has space for another copy of the journal, so that the recovery is not repeated
    /// in vain.
    fn has_space(&self) -> Result<bool, DiskError> {
        let Some(free) = self.disk.free_bytes()? else { return Ok(true) };
        let mut needed = 0;
        for number in list(self.disk.as_ref())?.finished {
            let file = self.disk.open_to_salvage(&journal_path(number))?;
            needed += unless_damaged(file.length())?.unwrap_or(0);
        }
        Ok(free > needed)
    }
}
