//! The one writer: decide and journal; then one sync for a whole batch, and the changes become visible.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};

use crate::base::lock;
use crate::blobs::UnfiledContent;
use crate::disk::Disk;
use crate::meta::checkpoint::DueCheckpoint;
use crate::meta::clock::Clock;
use crate::meta::error::MetaError;
use crate::meta::index::{Index, IndexError, IndexKind, ReplaceableIndex, RowTotals, View};
use crate::meta::journal::{JournalError, LineNote, Log};
use crate::meta::model::{AttributedCommand, CarriedBytes, Command, Fact, Origin, changes_of};
use crate::meta::recovery::{Build, RecoveryProgress, rebuilt};
use crate::meta::rules::{
    CommandProgress, DecideError, Decision, PolicyChecks, Protection, Refusal, Stamp, decide, with_history,
};
use crate::meta::writer::message::{Answer, Guard, Message, Swapped, WriteFailure, WriterState};
use crate::meta::writer::pending::{DecidedRows, PendingRows};
use crate::meta::writer::reopening::Reopening;
use crate::spec::ContentDigest;

/// The most messages in a batch before its sync, so that the first of them doesn't wait for too many others.
const BATCH_MAX: usize = 256;

/// The number of bytes that the file must grow by before a failed rotation is retried.
const ROTATION_RETRY_BYTES: u64 = 256 * 1024;

/// How many bytes of the journal are read at most while the index is swapped: commands wait meanwhile.
const SWAP_BYTES_MAX: u64 = 256 * 1024;

/// Owns the journal. Only the writer changes the index.
pub(in crate::meta) struct Writer {
    pub(in crate::meta) journal: Box<dyn Log>,
    /// What readers see.
    ///
    /// INVARIANT: it has no row that is not durable.
    pub(in crate::meta) index: Arc<ReplaceableIndex>,
    /// What is decided on top of it.
    pub(in crate::meta) pending: PendingRows,
    pub(in crate::meta) kind: IndexKind,
    pub(in crate::meta) totals: RowTotals,
    pub(in crate::meta) checks: PolicyChecks,
    pub(in crate::meta) protection: Arc<dyn Protection>,
    pub(in crate::meta) clock: Arc<Clock>,
    pub(in crate::meta) shared: Arc<WriterState>,
    pub(in crate::meta) disk: Arc<dyn Disk>,
    pub(in crate::meta) progress: RecoveryProgress,
    pub(in crate::meta) rotation: Rotation,
    /// Commands that take more steps, in later batches.
    pub(in crate::meta) unfinished: VecDeque<Message>,
    /// Messages that came before the next one from the channel.
    pub(in crate::meta) queued: VecDeque<Message>,
    pub(in crate::meta) reopening: Reopening,
    /// The content that only the journal has.
    pub(in crate::meta) unfiled: Option<Arc<UnfiledContent>>,
    /// How far the journal says that the content of its lines is filed.
    pub(in crate::meta) filed: u64,
}

/// When the journal rotates to a new file.
pub(in crate::meta) struct Rotation {
    /// The least length in bytes of a file before it is rotated.
    pub(in crate::meta) min_bytes: u64,
    /// The length that the file must reach before a failed rotation is retried.
    pub(in crate::meta) not_before: u64,
    /// The newest checkpoint's length in bytes: writing the next one should cost no more than the journal
    /// did.
    pub(in crate::meta) checkpoint_length: Arc<AtomicU64>,
    /// Reports rotations to the checkpointer.
    pub(in crate::meta) rotated: Sender<DueCheckpoint>,
}

impl Writer {
    /// Runs until a stop message arrives or every sender is dropped.
    pub(in crate::meta) fn run(&mut self, messages: &Receiver<Message>) {
        while let Some(first) = self.next_message(messages) {
            if self.batch(first, messages) {
                break;
            }
        }
        // Each step that was carried out has left a correct state.
        self.unfinished.drain(..).for_each(|message| message.fail(MetaError::Stopped));
    }

    /// Returns the first message of a batch. A batch has one step of one unfinished command at most, so that
    /// the others wait for no more than that.
    fn next_message(&mut self, messages: &Receiver<Message>) -> Option<Message> {
        let waiting = self.queued.pop_front().or_else(|| self.unfinished.pop_front());
        waiting.or_else(|| self.receive(messages))
    }

    /// Carries out the waiting messages, and answers them after one sync. Returns whether to stop.
    fn batch(&mut self, first: Message, messages: &Receiver<Message>) -> bool {
        let mut waiting: Vec<(Answer, Result<(), MetaError>)> = Vec::new();
        let mut next = Some(first);
        let mut stop = false;
        let mut wanted = None;
        let mut taken = 1;
        while let Some(message) = next.take() {
            match message {
                Message::Command(command, answer) if command.command.rides_along() => {
                    let done = self.carry_out(&command, &CommandProgress::Begins).map(drop);
                    self.publish_uploads();
                    answer(done);
                }
                Message::Command(command, answer) => {
                    waiting.extend(self.carry_on((None, command, answer), &CommandProgress::Begins));
                }
                Message::CommandIf(guard, command, answer) => {
                    waiting.extend(self.carry_on((Some(guard), command, answer), &CommandProgress::Begins));
                }
                Message::Continue(guard, command, answer, progress) => {
                    waiting.extend(self.carry_on((guard, command, answer), &progress));
                }
                Message::Barrier(answer) => waiting.push((answer, Ok(()))),
                Message::NotePulls => self.note_pulls(),
                Message::Repair => drop(self.repair()),
                Message::ReadFrom(position, answer) => drop(answer.send(self.journal.read_from(position))),
                Message::Swap(build, answer) => drop(answer.send(self.swap(build))),
                Message::Checkpoint(waits) => wanted = Some(waits),
                Message::Poison(why) => {
                    let poisoned = self.journal.poison(why);
                    self.note(&poisoned);
                }
                Message::StopUnverified => {}
                Message::Stop => stop = true,
            }
            if !stop && taken < BATCH_MAX && !self.pending.is_full() {
                next = self.queued.pop_front().or_else(|| messages.try_recv().ok());
                taken += 1;
            }
        }
        self.answer(&mut waiting);
        // A stop skips the rotation and its checkpoint: the next start's first write has time for both.
        match wanted.filter(|_| !stop) {
            Some(waits) => self.checkpoint_for(waits),
            None if !stop => self.rotate_if_long(),
            None => {}
        }
        // A clean stop includes commands that were answered without a sync. The journal itself notes a
        // failure.
        if stop {
            self.note_pulls();
            drop(self.commit());
        }
        stop
    }

    /// INVARIANT: every answer, even to a command that changed nothing or was refused, goes out only when
    /// everything that the command read is durable.
    fn answer(&mut self, waiting: &mut Vec<(Answer, Result<(), MetaError>)>) {
        if waiting.is_empty() && self.unfinished.is_empty() {
            return;
        }
        let committed = self.commit();
        for (answer, done) in waiting.drain(..) {
            answer(committed.clone().and(done));
        }
    }

    /// Makes everything that was decided durable, and then visible to readers and in the totals. After a
    /// failed sync it never becomes visible.
    fn commit(&mut self) -> Result<(), MetaError> {
        if !self.pending.is_empty() {
            self.note_pulls();
        }
        if let Err(error) = self.journal.sync() {
            self.pending.clear();
            return Err(self.note(&error));
        }
        self.note_durable();
        if let Err(error) = self.pending.move_to(self.index.as_ref()) {
            // The rebuilt index includes everything that is in the journal.
            self.index.fail(&error.to_string());
            self.repair()?;
        }
        self.publish_totals();
        self.shared.durable.advance(self.journal.synced());
        Ok(())
    }

    /// Lets the files be written of what the durable lines carry.
    fn note_durable(&self) {
        if let Some(unfiled) = &self.unfiled {
            unfiled.durable_up_to(self.journal.synced());
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

    /// Rotates to a new file, so that a checkpoint can be taken.
    fn checkpoint_for(&mut self, waits: Sender<u64>) {
        // Append a line without facts: a checkpoint is named after the first transaction that follows it, and
        // the newest checkpoint may already have that name.
        match self.write(Vec::new(), None) {
            Ok(()) => self.rotate(Some(waits)),
            Err(error) => log::info!("no checkpoint is taken: {error}"),
        }
    }

    fn rotate(&mut self, waits: Option<Sender<u64>>) {
        // INVARIANT: the index has everything up to the rotation before the checkpoint reads it.
        if let Err(error) = self.commit() {
            log::warn!("the journal was not rotated: {error}");
            return;
        }
        match self.journal.rotate() {
            // Without a checkpointer, rotation only leaves more files.
            Ok(()) => {
                self.rotation.not_before = 0;
                let head = self.journal.head();
                let begin = (head.seq + 1, head.sum.clone());
                drop(self.rotation.rotated.send(DueCheckpoint { begin, waits }));
            }
            Err(error) => {
                log::warn!("the journal was not rotated and continues in its old file: {error}");
                self.note(&error);
                self.rotation.not_before = self.journal.length() + ROTATION_RETRY_BYTES;
            }
        }
    }

    fn publish_uploads(&self) {
        lock(&self.shared.totals).uploads = self.totals.uploads;
    }

    pub(super) fn publish_totals(&self) {
        *lock(&self.shared.totals) = self.totals;
        if self.checks.has_quotas() {
            *lock(&self.shared.usage) = self.checks.usage().clone();
        }
    }

    /// Carries out one step of a command. Returns the answer and the result, unless a later batch has to
    /// carry out another step.
    fn carry_on(
        &mut self,
        (guard, command, answer): (Option<Guard>, Box<AttributedCommand>, Answer),
        progress: &CommandProgress,
    ) -> Option<(Answer, Result<(), MetaError>)> {
        if guard.as_ref().is_some_and(|guard| !guard()) {
            return Some((answer, Err(MetaError::Refused(Refusal::Overtaken))));
        }
        match self.carry_out(&command, progress) {
            Ok(Some(progress)) => {
                self.unfinished.push_back(Message::Continue(guard, command, answer, progress));
                None
            }
            done => Some((answer, done.map(drop))),
        }
    }

    /// Carries out one step of a command, and returns how far it is if it needs another one.
    fn carry_out(
        &mut self,
        command: &AttributedCommand,
        progress: &CommandProgress,
    ) -> Result<Option<CommandProgress>, MetaError> {
        let mut repaired = false;
        loop {
            match self.step(command, progress) {
                // This step wrote nothing: decide it again, on a working index.
                Err(MetaError::Index(IndexError::Rebuilding)) if !repaired => {
                    repaired = true;
                    self.repair()?;
                }
                done => return done,
            }
        }
    }

    /// Decides a command and journals the outcome. Returns how far it is if it needs another step.
    fn step(
        &mut self,
        attributed: &AttributedCommand,
        progress: &CommandProgress,
    ) -> Result<Option<CommandProgress>, MetaError> {
        let AttributedCommand { command, by } = attributed;
        // INVARIANT: no client can come to rely on what is released here until it is removed or kept.
        let done = match command {
            Command::Sweep(sweep) => {
                let released = Command::Sweep(self.protection.release(sweep));
                self.decided(&released, by.as_ref(), progress)
            }
            Command::DeleteUntagged { repo, digest } if self.protection.release_manifest(repo, digest) => {
                self.decided(command, by.as_ref(), progress)
            }
            Command::DeleteUntagged { .. } => Ok(None),
            _ => {
                let more = self.decided(command, by.as_ref(), progress)?;
                self.protection.note(command, View::new(&self.rows()));
                return Ok(more);
            }
        };
        // INVARIANT: no reader learns whether something exists from its release until its removal is durable.
        let committed = self.commit();
        self.protection.end_sweep();
        committed.and(done)
    }

    /// Returns the rows as everything that was decided leaves them.
    pub(super) fn rows(&self) -> DecidedRows<'_> {
        DecidedRows { durable: self.index.as_ref(), pending: &self.pending }
    }

    fn decided(
        &mut self,
        command: &Command,
        by: Option<&Arc<Origin>>,
        progress: &CommandProgress,
    ) -> Result<Option<CommandProgress>, MetaError> {
        // INVARIANT: the order of a change of a tag is higher than that of every change before, across
        // restarts of pulk and whatever the clock said.
        let (noted, began) = self.clock.store_time();
        let (wall_ms, order) = (self.clock.plausible_wall_ms(), self.totals.tag_order + 1);
        let now = Stamp { wall_ms, noted, began, order };
        let check = self.checks.check().at(progress);
        let decision = decide(View::new(&self.rows()), now, check, command);
        let Decision { facts, again } = decision.map_err(|error| match error {
            DecideError::Refused(refusal) => MetaError::Refused(refusal),
            DecideError::Index(error) => MetaError::Index(error),
        })?;
        let facts = with_history(View::new(&self.rows()), now, by, facts)?;
        if !facts.is_empty() || matches!(command, Command::NoteTime) {
            self.write(facts, by)?;
        } else if let Some(why) = self.journal.poisoned() {
            return Err(MetaError::Poisoned(why.to_owned()));
        }
        Ok(again)
    }

    pub(super) fn write(&mut self, mut facts: Vec<Fact>, by: Option<&Arc<Origin>>) -> Result<(), MetaError> {
        let carried = carry(&mut facts, self.unfiled.as_deref());
        let changes = changes_of(&facts).map_err(|error| MetaError::Failed(error.to_string()))?;
        let mut totals = self.totals;
        totals.count(&self.rows(), &facts, &changes)?;
        let usage = self.checks.counted(View::new(&self.rows()), &facts)?;
        let (at, time) = self.clock.line();
        let open_ms = time.open_ms;
        let filed = self.unfiled.as_ref().map(|unfiled| unfiled.filed_up_to());
        let filed = filed.filter(|filed| *filed > self.filed);
        let note = LineNote { at, time, by: by.cloned(), filed };
        let seq = self.journal.append(note, facts).map_err(|error| self.note(&error))?;
        // INVARIANT: before the row is visible to any reader.
        if let Some(unfiled) = &self.unfiled {
            carried.iter().for_each(|(digest, bytes)| unfiled.enter(*digest, bytes, seq));
        }
        self.filed = filed.unwrap_or(self.filed);
        self.clock.wrote(open_ms);
        self.pending.add(seq, changes);
        self.totals = totals;
        self.checks.set_usage(usage);
        Ok(())
    }

    /// Rebuilds the index from the current journal if the index failed. If the rebuild fails, poisons the
    /// journal: without an index, the writer must not decide any command.
    pub(super) fn repair(&mut self) -> Result<(), MetaError> {
        if !self.index.is_failed() {
            return Ok(());
        }
        // The rebuilt index shows everything up to here. After a failed sync, the rest never becomes visible.
        let synced = self.journal.sync().map_err(|error| self.note(&error));
        self.note_durable();
        self.pending.clear();
        let (generation, log) = (self.index.next_generation(), self.journal.as_ref());
        match rebuilt(self.disk.as_ref(), &self.kind, generation, log, &self.progress) {
            Ok((index, totals)) => {
                self.totals = totals;
                drop(self.index.replace(index));
                self.checks.recount(View::new(self.index.as_ref()))?;
                self.publish_totals();
                log::info!("rebuilt the index from the journal");
                synced
            }
            Err(error) => {
                let why = format!("the index failed and could not be rebuilt: {error}");
                let poisoned = self.journal.poison(why);
                Err(self.note(&poisoned))
            }
        }
    }

    /// Puts a new index in place of the one in use, unless too much was appended since it was filled.
    ///
    /// INVARIANT: nothing is pending, appended or applied meanwhile, so both have the same rows.
    fn swap(&mut self, mut build: Build) -> Swapped {
        if let Err(error) = self.commit() {
            log::debug!("the new index ends where the old one does: {error}");
        }
        if self.index.generation().is_none_or(|generation| generation >= build.generation()) {
            // It was rebuilt meanwhile.
            return Swapped::Failed(IndexError::Closed.into());
        }
        match build.catch_up(self.journal.synced(), SWAP_BYTES_MAX) {
            Ok(true) => Swapped::Done(self.index.replace(build.finish())),
            Ok(false) => Swapped::TooFarBehind(build),
            Err(error) => Swapped::Failed(error),
        }
    }

    /// Converts a journal error for the answer, and publishes it if it is permanent.
    fn note(&self, error: &JournalError) -> MetaError {
        match error {
            JournalError::Append(disk) if disk.is_full() => MetaError::NoSpace,
            JournalError::Append(disk) if disk.is_read_only() => MetaError::ReadOnly,
            JournalError::Poisoned(why) => {
                let mut failure = lock(&self.shared.failure);
                failure.get_or_insert_with(|| WriteFailure { why: why.clone(), ..WriteFailure::default() });
                MetaError::Poisoned(why.clone())
            }
            JournalError::Append(_) | JournalError::TooLarge { .. } | JournalError::Render(_) => {
                MetaError::Failed(error.to_string())
            }
        }
    }
}

/// Has the facts that make a row of content carry it if it has no file yet, and returns what they carry.
fn carry(facts: &mut [Fact], unfiled: Option<&UnfiledContent>) -> Vec<(ContentDigest, Arc<[u8]>)> {
    let mut carried = Vec::new();
    for fact in facts {
        let Fact::Blob { digest, row: Some(_), content } = fact else { continue };
        if content.is_none() {
            *content = unfiled.and_then(|unfiled| unfiled.bytes_of(digest)).map(CarriedBytes);
        }
        carried.extend(content.as_ref().map(|CarriedBytes(bytes)| (*digest, Arc::clone(bytes))));
    }
    carried
}
