//! Metadata as the registry sees it: commands in, typed reads out.

mod failure;
mod filing;
mod follow;
mod read_only;
mod reads;

pub use follow::read_closed_journal;

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::base::lock;
use crate::blobs::{ContentStore, Filer};
use crate::disk::Disk;
use crate::meta::checkpoint::{self, Barrier, Checkpointer, DueCheckpoint, Retention, without_checkpoint};
use crate::meta::clock::Clock;
use crate::meta::error::{MetaError, MetaOpenError};
use crate::meta::index::{
    CompactionOutcome, CompactionPacing, INDEX_FOLDER, Index, IndexError, IndexKind, ReplaceableIndex,
    RowTotals, View,
};
use crate::meta::journal::{LogKind, LogPosition, named_since};
use crate::meta::model::{AttributedCommand, Policies};
use crate::meta::recovery::{
    CleanMarker, OpenedMeta, RecoveryProgress, Start, clean_marker, keeps_damaged, make_folders, open,
    sync_tree,
};
use crate::meta::rules::{PolicyChecks, Protection, SweepNothing};
use crate::meta::writer::{
    Answer, Compaction, Guard, Message, OnSyncFailure, REOPEN_PAUSE, Reopening, Rotation, Writer,
    WriterSetup, WriterState,
};
use crate::spec::{ContentDigest, RepoName};

/// The least length in bytes of a journal file before the journal rotates to another.
const JOURNAL_MIN_BYTES: u64 = 16 * 1024 * 1024;

/// The most bytes of journal files that are kept as history.
pub const HISTORY_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Options for opening metadata.
#[derive(Debug, Clone)]
pub struct MetaOptions {
    /// Where the index is kept.
    pub index: IndexKind,
    /// Where the journal is kept.
    pub log: LogKind,
    /// The least length in bytes of a journal file before the journal rotates to another.
    pub journal_min_bytes: u64,
    /// The most bytes of journal files that are kept although no recovery needs them.
    pub history_max_bytes: u64,
    /// The bytes of the disk that deferrable work leaves free.
    pub reserve_bytes: u64,
    /// Reports the progress of a recovery.
    pub progress: RecoveryProgress,
    /// The content to reconcile the metadata with after damage.
    pub content: Option<Arc<dyn ContentStore>>,
    /// Whether the disk takes no writes: then nothing is written, and every command is refused.
    pub read_only: bool,
    /// Whether to rebuild the index even after a clean stop.
    pub distrust_index: bool,
    /// The policies: what may not change, and how much fits.
    pub policies: Policies,
    /// Knows what may not be swept.
    pub protection: Arc<dyn Protection>,
    /// Tells the time.
    pub clock: Arc<Clock>,
    /// How long after a start nothing is removed, so that the wall clock need not be trusted sooner.
    pub rest: Duration,
    /// What happens after a failed sync.
    pub on_sync_failure: OnSyncFailure,
    /// The pause after the first try to reopen the store that failed.
    pub reopen_pause: Duration,
}

impl MetaOptions {
    /// Returns the defaults for a store that ends with the process.
    pub fn in_memory() -> Self {
        Self { log: LogKind::Memory, ..Self::new(IndexKind::Map) }
    }

    /// Returns the defaults for an index.
    pub fn new(index: IndexKind) -> Self {
        Self {
            index,
            log: LogKind::Files,
            journal_min_bytes: JOURNAL_MIN_BYTES,
            history_max_bytes: HISTORY_MAX_BYTES,
            reserve_bytes: 0,
            progress: RecoveryProgress::default(),
            content: None,
            read_only: false,
            distrust_index: false,
            policies: Policies::default(),
            protection: Arc::new(SweepNothing),
            clock: Arc::default(),
            rest: Duration::ZERO,
            on_sync_failure: OnSyncFailure::default(),
            reopen_pause: REOPEN_PAUSE,
        }
    }

    fn retention(&self) -> Retention {
        Retention { history_max_bytes: self.history_max_bytes, reserve_bytes: self.reserve_bytes }
    }
}

/// The metadata of a store: an index to read, and one writer that changes it.
pub struct Meta {
    disk: Arc<dyn Disk>,
    index: Arc<ReplaceableIndex>,
    kind: IndexKind,
    log: LogKind,
    progress: RecoveryProgress,
    writer: Sender<Message>,
    /// Returns `None` if it never had a journal to write to.
    thread: Mutex<Option<JoinHandle<Option<Writer>>>>,
    checkpointer: Checkpointer,
    /// Writes the files of content that only the journal has.
    filer: Option<Filer>,
    shared: Arc<WriterState>,
    policies: Policies,
    clock: Arc<Clock>,
    start: Start,
    keeps_damaged: bool,
}

impl std::fmt::Debug for Meta {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Meta").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Meta {
    /// Opens the metadata on a disk, and creates it if the disk has none.
    ///
    /// After anything but a clean stop, rebuilds the index from the journal.
    pub fn open(disk: Arc<dyn Disk>, options: MetaOptions) -> Result<Self, MetaOpenError> {
        options.progress.resume();
        if options.read_only {
            return Self::open_read_only(disk, options);
        }
        let marker = clean_marker::read(disk.as_ref())?;
        let durable = marker.as_ref().map_or(0, |marker| marker.seq);
        let marked = marker.as_ref().map(|marker| marker.time.clone());
        let trusted = marker.filter(|_| !options.distrust_index);
        let found = open::RecoverySources {
            durable,
            content: options.content.as_deref(),
            progress: &options.progress,
        };
        let opening = match options.log {
            LogKind::Files => Some(open::prepare(&disk, &options.index, trusted, &found)?),
            LogKind::Memory => None,
        };
        // From here on, the next start must not trust the earlier clean stop.
        clean_marker::remove(disk.as_ref())?;
        // This sync makes the removal of the marker durable.
        make_folders(disk.as_ref())?;
        // Listing removes unfinished checkpoints.
        checkpoint::list(disk.as_ref())?;
        let mut opened = match opening {
            Some(opening) => open::open(&disk, &options.index, opening, &found)?,
            None => open::in_memory(),
        };
        // What the clean stop knew of time is true also where its index is not taken.
        if let Some(marked) = &marked {
            opened.time.learn(marked);
        }
        options.clock.resume(&opened.time, options.rest);
        if opened.may_lack_rows(durable) {
            options.clock.note_unclean_start();
        }
        Self::run(disk, options, durable, opened)
    }

    /// Starts the writer and the checkpointer of opened metadata.
    pub(super) fn run(
        disk: Arc<dyn Disk>,
        options: MetaOptions,
        durable: u64,
        opened: OpenedMeta,
    ) -> Result<Self, MetaOpenError> {
        let keep = options.retention();
        let (filer, write_files) = filing::begin(options.content.as_ref(), options.read_only, &opened)?;
        let MetaOptions { index: kind, log, progress, policies, clock, .. } = options;
        let OpenedMeta { index, journal, totals, start, .. } = opened;
        let keeps_damaged = start == Start::Salvaged || keeps_damaged(disk.as_ref())?;
        let ((sender, messages), (rotated, rotations)) = (channel(), channel());
        let index = Arc::new(ReplaceableIndex::new(index, repair(sender.clone())));
        let shared = Arc::new(WriterState::new(totals, journal.is_none(), options.read_only));
        let (before, noted) = ((barrier(sender.clone()), write_files), Arc::clone(&clock));
        let rows = Arc::clone(&index) as Arc<dyn Index>;
        let checkpointer = Checkpointer::start(Arc::clone(&disk), rows, before, rotations, keep, noted)?;
        let checks = match &journal {
            Some(_) => PolicyChecks::over_or_uncounted(policies.clone(), View::new(index.as_ref())),
            None => PolicyChecks::default(),
        };
        *lock(&shared.usage) = checks.usage().clone();
        journal.iter().for_each(|_| take_missing_checkpoint(disk.as_ref(), &rotated));
        let (min_bytes, checkpoint_length) = (options.journal_min_bytes, checkpointer.newest_length());
        let work = WriterSetup {
            checks,
            policies: policies.clone(),
            protection: options.protection,
            clock: Arc::clone(&clock),
            disk: Arc::clone(&disk),
            index: Arc::clone(&index),
            kind: kind.clone(),
            durable,
            content: options.content,
            shared: Arc::clone(&shared),
            progress: progress.clone(),
            is_verified: start != Start::Clean,
            rotation: Rotation { min_bytes, not_before: 0, checkpoint_length, rotated },
            reopening: Reopening::new(options.on_sync_failure, options.reopen_pause),
        };
        let thread = Mutex::new(Some(work.spawn(journal.map(|journal| (journal, totals)), messages)?));
        Ok(Self {
            disk,
            index,
            kind,
            log,
            progress,
            writer: sender,
            thread,
            checkpointer,
            filer,
            shared,
            policies,
            clock,
            start,
            keeps_damaged,
        })
    }

    /// Returns how this start found the metadata.
    pub fn start(&self) -> Start {
        self.start
    }

    /// Tells whether damaged files of the journal or checkpoints are kept, or were found by this start: then
    /// something may be missing from the metadata that the content still has.
    pub fn keeps_damaged(&self) -> bool {
        self.keeps_damaged
    }

    /// Returns the clock that ages are measured by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    #[cfg(test)]
    pub(super) fn index(&self) -> &dyn Index {
        self.index.as_ref()
    }

    /// Returns a reader of the journal from a place on.
    #[cfg(test)]
    pub(super) fn read_from(&self, place: LogPosition) -> Box<dyn crate::meta::journal::LogTail> {
        let (answer, answered) = channel();
        self.send(Message::ReadFrom(place, answer));
        answered.recv().unwrap()
    }

    /// Makes the index fail, as an error of its storage would.
    #[cfg(test)]
    pub(super) fn break_index(&self) {
        self.index.fail("the test says so");
    }

    /// Sends a command to the writer; `answer` is called on the writer's thread, soon and once.
    pub fn submit(&self, command: impl Into<AttributedCommand>, answer: Answer) {
        // Commands that already wait are carried out after the rebuild; a new one fails at once instead of
        // waiting.
        if self.index.is_failed() {
            return answer(Err(IndexError::Rebuilding.into()));
        }
        self.send(Message::Command(Box::new(command.into()), answer));
    }

    /// Calls `answer` once everything that was decided before is durable and visible.
    pub fn settle(&self, answer: Answer) {
        self.send(Message::Barrier(answer));
    }

    /// Has the writer write notes of pulls, without a sync.
    pub fn note_pulls(&self) {
        self.send(Message::NotePulls);
    }

    /// Sends a command that the writer refuses with [`Refusal::Overtaken`](crate::meta::Refusal::Overtaken)
    /// unless `guard` is true when its turn comes.
    pub fn submit_if(&self, guard: Guard, command: impl Into<AttributedCommand>, answer: Answer) {
        if self.index.is_failed() {
            return answer(Err(IndexError::Rebuilding.into()));
        }
        self.send(Message::CommandIf(guard, Box::new(command.into()), answer));
    }

    fn send(&self, message: Message) {
        if let Err(unsent) = self.writer.send(message) {
            unsent.0.fail(MetaError::Stopped);
        }
    }

    /// Returns a line that describes the progress of the index rebuild, while the index cannot be read.
    pub fn rebuilding(&self) -> Option<String> {
        let waiting = || IndexError::Rebuilding.to_string();
        self.index.is_failed().then(|| self.progress.line().unwrap_or_else(waiting))
    }

    /// Ends a verification of the index, or a rebuild of it, at its next step; the next start does it again.
    /// Everything is refused from then on, since nothing may be decided on an index that is not verified.
    pub fn end_verification(&self) {
        self.progress.interrupt();
        self.send(Message::StopUnverified);
    }

    /// Returns the bytes that a repository's policy counts, and the most that it allows: of the policy with
    /// the least room, if any has a quota. A push in progress may not be counted yet.
    pub fn quota(&self, repo: &RepoName) -> Option<(u64, u64)> {
        let usage = lock(&self.shared.usage);
        usage.quotas(&self.policies, repo).min_by_key(|(used, most)| most.saturating_sub(*used))
    }

    /// Replaces the index by a new one if its files are far too large for its rows, and first the checkpoints
    /// that are as much too long. Blocks only its caller.
    pub fn compact_index(&self, pacing: &mut CompactionPacing<'_>) -> Result<CompactionOutcome, IndexError> {
        let (disk, index) = (self.disk.as_ref(), self.index.as_ref());
        Compaction { disk, index, kind: &self.kind, writer: &self.writer }.run(pacing)
    }

    /// Replaces checkpoints of at least `worthwhile_bytes` that are far longer than `expected_bytes`.
    #[cfg(test)]
    pub(super) fn renew_checkpoints(
        &self,
        expected_bytes: u64,
        worthwhile_bytes: u64,
        pause: &mut dyn FnMut() -> bool,
    ) -> Result<(), crate::disk::DiskError> {
        crate::meta::writer::renew(self.disk.as_ref(), &self.writer, expected_bytes, worthwhile_bytes, pause)
    }

    /// Visits each link and each manifest that was added to a repository since `since_ms`, in milliseconds
    /// since 1970, as far as the journal's history reaches.
    pub fn named_since(
        &self,
        since_ms: u64,
        visit: impl FnMut(&RepoName, &ContentDigest),
    ) -> Result<(), MetaOpenError> {
        named_since(self.disk.as_ref(), since_ms, visit)
    }

    /// Returns the bytes of the index's files; 0 while the index is in memory or being rebuilt.
    pub fn index_bytes(&self) -> u64 {
        self.index.size_bytes().unwrap_or(0)
    }

    /// Returns how much is stored.
    pub fn totals(&self) -> RowTotals {
        *lock(&self.shared.totals)
    }

    /// Stops the writer after its pending commands, and leaves the store so that the next start can trust the
    /// index. A second call does nothing.
    pub fn close(&self) -> Result<(), MetaOpenError> {
        let taken = lock(&self.thread).take();
        let Some(thread) = taken else { return Ok(()) };
        self.checkpointer.interrupt();
        self.send(Message::Stop);
        let stopped = thread.join().map_err(|_| MetaOpenError::Thread("it ended in a panic".to_owned()));
        // The writer's end drops the sender of rotations, which ends the checkpointer.
        let end = stopped.map(|writer| writer.map(|writer| (writer.journal, writer.totals)));
        self.checkpointer.join();
        let end = end?;
        let closed = self.index.close();
        let Some((mut journal, totals)) = end else { return Ok(closed?) };
        // Either reason explains why the index could not be closed, too.
        if let Some(why) = journal.poisoned() {
            return Err(MetaOpenError::Poisoned(why.to_owned()));
        }
        if self.disk.is_read_only() {
            return Err(MetaOpenError::Poisoned(MetaError::ReadOnly.to_string()));
        }
        closed?;
        // INVARIANT: no start reads the journal after a clean stop. What its lines carry has files.
        self.filer.iter().try_for_each(Filer::finish)?;
        // The next start resumes where the file ends, or else rebuilds the index.
        journal.end()?;
        self.mark_clean(journal.head(), totals)
    }

    fn mark_clean(&self, head: &LogPosition, totals: RowTotals) -> Result<(), MetaOpenError> {
        let IndexKind::Sled(_) = &self.kind else { return Ok(()) };
        let Some(generation) = self.index.generation() else {
            log::info!("the index is in memory: the next start rebuilds it");
            return Ok(());
        };
        // 1. The journal is durable: the writer synced it last. 2. So is every file of the index.
        sync_tree(&self.disk, Path::new(INDEX_FOLDER))?;
        // 3. And the folder that holds it. 4. Only now may the marker say so.
        self.disk.sync_folder(Path::new(""))?;
        let time = self.clock.known();
        let clean = CleanMarker { seq: head.seq, line: head.sum.clone(), totals, time, generation };
        clean_marker::write(self.disk.as_ref(), &clean)?;
        Ok(())
    }
}

impl Drop for Meta {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            log::error!("{error}");
        }
    }
}

/// Takes a checkpoint if the newest one is missing: the next rotation may be far off, and each start after a
/// crash would replay more than necessary.
fn take_missing_checkpoint(disk: &dyn Disk, rotated: &Sender<DueCheckpoint>) {
    match without_checkpoint(disk) {
        Ok(Some(begin)) => drop(rotated.send(DueCheckpoint { begin, waits: None })),
        Ok(None) => {}
        Err(error) => log::warn!("{error}"),
    }
}

/// Returns a function that has the writer rebuild an index that failed.
fn repair(writer: Sender<Message>) -> Box<dyn Fn() + Send + Sync> {
    let writer = Mutex::new(writer);
    Box::new(move || drop(lock(&writer).send(Message::Repair)))
}

/// Returns a function that waits until the journal is durable as far as the index is now.
fn barrier(writer: Sender<Message>) -> Box<Barrier> {
    Box::new(move || {
        let (sender, answered) = channel();
        let answer = Box::new(move |done| drop(sender.send(done)));
        // Drop the error of a failed send: it holds the message and its answer, and a wait for that answer
        // would never end.
        drop(writer.send(Message::Barrier(answer)));
        matches!(answered.recv(), Ok(Ok(())))
    })
}
