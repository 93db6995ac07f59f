//! The one writer: decide, journal, apply; then one sync for all who wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};

use crate::base::lock;
use crate::disk::Disk;
use crate::meta::checkpoint::DueCheckpoint;
use crate::meta::clock::Clock;
use crate::meta::error::MetaError;
use crate::meta::index::{Index, IndexError, IndexKind, ReplaceableIndex, RowTotals, View};
use crate::meta::journal::{Journal, JournalError};
use crate::meta::model::{Command, Fact, changes_of};
use crate::meta::recovery::{RecoveryProgress, rebuilt};
use crate::meta::rules::{DecideError, Decision, PolicyChecks, Protection, Stamp, decide};
use crate::meta::writer::message::{Answer, Message, WriterState};

/// The most commands before one sync, so that the first of them doesn't wait for too many others.
const BATCH_MAX: usize = 256;

/// How much longer the file must become before a rotation that failed is tried again.
const ROTATION_RETRY_BYTES: u64 = 256 * 1024;

/// Owns the journal; nobody else changes the index.
pub(in crate::meta) struct Writer {
    pub(in crate::meta) journal: Journal,
    pub(in crate::meta) index: Arc<ReplaceableIndex>,
    pub(in crate::meta) kind: IndexKind,
    /// How many indexes failed since the start.
    pub(in crate::meta) failed: u64,
    pub(in crate::meta) totals: RowTotals,
    pub(in crate::meta) checks: PolicyChecks,
    pub(in crate::meta) protection: Arc<dyn Protection>,
    pub(in crate::meta) clock: Arc<Clock>,
    pub(in crate::meta) shared: Arc<WriterState>,
    pub(in crate::meta) disk: Arc<dyn Disk>,
    pub(in crate::meta) progress: RecoveryProgress,
    pub(in crate::meta) rotation: Rotation,
}

/// When the journal goes on in a new file.
pub(in crate::meta) struct Rotation {
    /// The least length in bytes of a file before that.
    pub(in crate::meta) min_bytes: u64,
    /// The length that the file must have before a rotation that failed is tried again.
    pub(in crate::meta) not_before: u64,
    /// The newest checkpoint's length in bytes: writing the next one should cost no more than the journal
    /// did.
    pub(in crate::meta) checkpoint_length: Arc<AtomicU64>,
    /// Who takes a checkpoint then.
    pub(in crate::meta) rotated: Sender<DueCheckpoint>,
}

impl Writer {
    /// Works until it is told to stop or nobody can send any more, and gives the journal back. `first` is a
    /// message that came already.
    pub(in crate::meta) fn run(mut self, first: Option<Message>, messages: &Receiver<Message>) -> Self {
        let mut next = first;
        loop {
            let Some(first) = next.take().or_else(|| messages.recv().ok()) else { return self };
            if self.batch(first, messages) {
                return self;
            }
        }
    }

    /// Takes what waits, and answers it after one sync. Returns whether to stop.
    fn batch(&mut self, first: Message, messages: &Receiver<Message>) -> bool {
        let mut waiting: Vec<(Answer, Result<(), MetaError>)> = Vec::new();
        let mut next = Some(first);
        let mut stop = false;
        let mut wanted = None;
        let mut taken = 1;
        while let Some(message) = next.take() {
            match message {
                Message::Command(command, answer) => {
                    let done = self.carry_out(&command);
                    if command.rides_along() {
                        self.publish_totals();
                        answer(done);
                    } else {
                        waiting.push((answer, done));
                    }
                }
                Message::Barrier(answer) => waiting.push((answer, Ok(()))),
                Message::Repair => drop(self.repair()),
                Message::Checkpoint(waits) => wanted = Some(waits),
                Message::Poison(why) => {
                    let poisoned = self.journal.poison(why);
                    self.note(&poisoned);
                }
                Message::Stop => stop = true,
            }
            if !stop && taken < BATCH_MAX {
                next = messages.try_recv().ok();
                taken += 1;
            }
        }
        self.answer(&mut waiting);
        // A stop gives up the checkpoint that belongs to a rotation: the next start's first write has time
        // for both.
        match wanted.filter(|_| !stop) {
            Some(waits) => self.checkpoint_for(waits),
            None if !stop => self.rotate_if_long(),
            None => {}
        }
        // What rode along unsynced is part of a clean stop, too. A failure is noted in the journal itself.
        if stop && let Err(error) = self.journal.sync() {
            self.note(&error);
        }
        stop
    }

    /// INVARIANT: every answer, also to a command that changed nothing or was refused, goes out only when all
    /// that it read is durable.
    fn answer(&mut self, waiting: &mut Vec<(Answer, Result<(), MetaError>)>) {
        if waiting.is_empty() {
            return;
        }
        let synced = self.journal.sync().map_err(|error| self.note(&error));
        // Whoever has an answer sees what it did counted.
        self.publish_totals();
        for (answer, done) in waiting.drain(..) {
            answer(synced.clone().and(done));
        }
    }

    fn rotate_if_long(&mut self) {
        let checkpoint_length = self.rotation.checkpoint_length.load(Ordering::SeqCst);
        let length = self.rotation.min_bytes.max(checkpoint_length).max(self.rotation.not_before);
        let long = self.journal.length() >= length;
        if long && self.journal.poisoned().is_none() {
            self.rotate(None);
        }
    }

    /// Goes on in a new file, so that there can be a checkpoint.
    fn checkpoint_for(&mut self, waits: Sender<u64>) {
        // A line that says nothing: a checkpoint has its name by the first transaction behind it, and the
        // last one may have that name already.
        match self.write(Vec::new()) {
            Ok(()) => self.rotate(Some(waits)),
            Err(error) => log::info!("no checkpoint is taken: {error}"),
        }
    }

    fn rotate(&mut self, waits: Option<Sender<u64>>) {
        match self.journal.rotate(self.disk.as_ref()) {
            // Without anybody who takes checkpoints, the files are merely more of them.
            Ok(()) => {
                let begin = (self.journal.head() + 1, self.journal.sum().clone());
                drop(self.rotation.rotated.send(DueCheckpoint { begin, waits }));
            }
            Err(error) => {
                log::warn!("the journal goes on in its old file: {error}");
                self.note(&error);
                self.rotation.not_before = self.journal.length() + ROTATION_RETRY_BYTES;
            }
        }
    }

    fn publish_totals(&self) {
        *lock(&self.shared.totals) = self.totals;
        if self.checks.has_quotas() {
            *lock(&self.shared.usage) = self.checks.usage().clone();
        }
    }

    fn carry_out(&mut self, command: &Command) -> Result<(), MetaError> {
        let (mut repaired, mut goes_on) = (false, false);
        loop {
            match self.step(command, goes_on) {
                Ok(true) => goes_on = true,
                Ok(false) => return Ok(()),
                // Nothing of this step was written down: it is decided once more, on an index that works.
                Err(MetaError::Index(IndexError::Rebuilding)) if !repaired => {
                    repaired = true;
                    self.repair()?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Decides a command and writes down what comes of it. Returns whether there is more of it to do.
    fn step(&mut self, command: &Command, goes_on: bool) -> Result<bool, MetaError> {
        // INVARIANT: nobody can come to count on what is let go of here until it is gone or is kept.
        let done = match command {
            Command::Sweep(sweep) => self.decided(&Command::Sweep(self.protection.release(sweep)), goes_on),
            Command::DeleteUntagged { repo, digest } if self.protection.release_manifest(repo, digest) => {
                self.decided(command, goes_on)
            }
            Command::DeleteUntagged { .. } => Ok(false),
            _ => {
                let more = self.decided(command, goes_on)?;
                self.protection.note(command, View::new(self.index.as_ref()));
                return Ok(more);
            }
        };
        self.protection.end_sweep();
        done
    }

    fn decided(&mut self, command: &Command, goes_on: bool) -> Result<bool, MetaError> {
        // INVARIANT: a tag's order is higher than that of every tag that was set before, however often pulk
        // was started since and whatever the clock said.
        let (noted, began) = self.clock.store_time();
        let (wall_ms, order) = (self.clock.plausible_wall_ms(), self.totals.tag_order + 1);
        let now = Stamp { wall_ms, noted, began, order };
        let check = if goes_on { self.checks.check().going_on() } else { self.checks.check() };
        let decision = decide(View::new(self.index.as_ref()), now, check, command);
        let Decision { facts, again } = decision.map_err(|error| match error {
            DecideError::Refused(refusal) => MetaError::Refused(refusal),
            DecideError::Index(error) => MetaError::Index(error),
        })?;
        if !facts.is_empty() || matches!(command, Command::NoteTime) {
            self.write(facts)?;
        } else if let Some(why) = self.journal.poisoned() {
            return Err(MetaError::Poisoned(why.to_owned()));
        }
        Ok(again)
    }

    fn write(&mut self, facts: Vec<Fact>) -> Result<(), MetaError> {
        let changes = changes_of(&facts).map_err(|error| MetaError::Failed(error.to_string()))?;
        let mut totals = self.totals;
        totals.count(View::new(self.index.as_ref()), &facts)?;
        let usage = self.checks.counted(View::new(self.index.as_ref()), &facts)?;
        let (at, time) = self.clock.line();
        let open_ms = time.open_ms;
        let seq = self.journal.append((at, time), facts).map_err(|error| self.note(&error))?;
        self.clock.wrote(open_ms);
        match self.index.apply(seq, &changes) {
            Ok(()) => {
                self.totals = totals;
                self.checks.set_usage(usage);
            }
            // The journal is ahead of the index now; made anew, the index has this transaction, too.
            Err(error) => {
                self.index.fail(&error.to_string());
                self.repair()?;
            }
        }
        Ok(())
    }

    /// Makes the index anew from the journal as it stands, if it failed. Where that cannot be done either,
    /// nothing may be decided any more.
    fn repair(&mut self) -> Result<(), MetaError> {
        if !self.index.is_failed() {
            return Ok(());
        }
        self.failed += 1;
        let head = self.journal.head();
        match rebuilt(self.disk.as_ref(), &self.kind, self.failed, head, &self.progress) {
            Ok((index, totals)) => {
                self.totals = totals;
                self.index.replace(index, false);
                self.checks.recount(View::new(self.index.as_ref()))?;
                self.publish_totals();
                log::info!("the index was made anew from the journal, and everything goes on");
                Ok(())
            }
            Err(error) => {
                let why = format!("the index failed and could not be made anew: {error}");
                let poisoned = self.journal.poison(why);
                Err(self.note(&poisoned))
            }
        }
    }

    /// Turns a failure of the journal into the answer's, and lets others know when it is for good.
    fn note(&self, error: &JournalError) -> MetaError {
        match error {
            JournalError::Append(disk) if disk.is_full() => MetaError::NoSpace,
            JournalError::Poisoned(why) => {
                let mut poisoned = lock(&self.shared.poisoned);
                poisoned.get_or_insert_with(|| why.clone());
                MetaError::Poisoned(why.clone())
            }
            JournalError::Append(_) | JournalError::TooLarge { .. } | JournalError::Render(_) => {
                MetaError::Failed(error.to_string())
            }
        }
    }
}
