//! The one writer: decide, journal, apply; then one sync for all who wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::disk::Disk;
use crate::meta::checkpointer::Begin;
use crate::meta::command::Command;
use crate::meta::decide::{DecideError, Decision, decide};
use crate::meta::error::MetaError;
use crate::meta::fact::{Fact, changes_of};
use crate::meta::index::Index;
use crate::meta::journal::{Journal, JournalError};
use crate::meta::totals::Totals;
use crate::meta::view::View;

/// The most commands before one sync, so that the first of them doesn't wait for too many others.
const BATCH_MAX: usize = 256;

/// Called with a command's end.
pub type Answer = Box<dyn FnOnce(Result<(), MetaError>) + Send>;

/// What is sent to the writer.
pub(super) enum Message {
    Command(Box<Command>, Answer),
    /// Answer when everything before this is durable.
    Barrier(Answer),
    Stop,
}

/// What others may know of the writer's state.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) poisoned: Mutex<Option<String>>,
    pub(super) totals: Mutex<Totals>,
}

/// Owns the journal; nobody else changes the index.
pub(super) struct Writer {
    pub(super) journal: Journal,
    pub(super) index: Arc<dyn Index>,
    pub(super) totals: Totals,
    pub(super) shared: Arc<Shared>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) rotation: Rotation,
}

/// When the journal goes on in a new file.
pub(super) struct Rotation {
    /// The least length in bytes of a file before that.
    pub(super) min_bytes: u64,
    /// The newest checkpoint's length in bytes: writing the next one should cost no more than the journal did.
    pub(super) checkpoint_length: Arc<AtomicU64>,
    /// Who takes a checkpoint then.
    pub(super) rotated: Sender<Begin>,
}

impl Writer {
    /// Works until it is told to stop or nobody can send any more, and gives the journal back.
    pub(super) fn run(mut self, messages: &Receiver<Message>) -> Self {
        loop {
            let Ok(first) = messages.recv() else { return self };
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
                Message::Stop => stop = true,
            }
            if !stop && taken < BATCH_MAX {
                next = messages.try_recv().ok();
                taken += 1;
            }
        }
        self.answer(&mut waiting);
        // A stop would give up the checkpoint that belongs to a rotation. The next start's first write has
        // time for both.
        if !stop {
            self.rotate_if_long();
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
        let long = self.journal.length() >= self.rotation.min_bytes.max(checkpoint_length);
        if !long || self.journal.poisoned().is_some() {
            return;
        }
        match self.journal.rotate(self.disk.as_ref()) {
            // Without anybody who takes checkpoints, the files are merely more of them.
            Ok(()) => drop(self.rotation.rotated.send((self.journal.head() + 1, self.journal.sum().clone()))),
            Err(error) => {
                log::warn!("the journal goes on in its old file: {error}");
                self.note(&error);
            }
        }
    }

    fn publish_totals(&self) {
        *self.shared.totals.lock().unwrap_or_else(PoisonError::into_inner) = self.totals;
    }

    fn carry_out(&mut self, command: &Command) -> Result<(), MetaError> {
        loop {
            let now = milliseconds_since_1970();
            let decision = decide(View::new(self.index.as_ref()), now, command);
            let Decision { facts, again } = decision.map_err(|error| match error {
                DecideError::Refused(refusal) => MetaError::Refused(refusal),
                DecideError::Index(error) => MetaError::Index(error),
            })?;
            if !facts.is_empty() {
                self.write(now, facts)?;
            } else if let Some(why) = self.journal.poisoned() {
                return Err(MetaError::Poisoned(why.to_owned()));
            }
            if !again {
                return Ok(());
            }
        }
    }

    fn write(&mut self, now: u64, facts: Vec<Fact>) -> Result<(), MetaError> {
        let changes = changes_of(&facts).map_err(|error| MetaError::Failed(error.to_string()))?;
        let mut totals = self.totals;
        totals.count(View::new(self.index.as_ref()), &facts)?;
        let seq = self.journal.append(now, facts).map_err(|error| self.note(&error))?;
        if let Err(error) = self.index.apply(seq, &changes) {
            // The journal is ahead of the index now: nothing may be decided on this index any more.
            let poison = self.journal.poison(format!("the index could not be written: {error}"));
            return Err(self.note(&poison));
        }
        self.totals = totals;
        Ok(())
    }

    /// Turns a failure of the journal into the answer's, and lets others know when it is for good.
    fn note(&self, error: &JournalError) -> MetaError {
        match error {
            JournalError::Append(disk) if disk.is_full() => MetaError::NoSpace,
            JournalError::Poisoned(why) => {
                let mut poisoned = self.shared.poisoned.lock().unwrap_or_else(PoisonError::into_inner);
                poisoned.get_or_insert_with(|| why.clone());
                MetaError::Poisoned(why.clone())
            }
            JournalError::Append(_) | JournalError::TooLarge { .. } | JournalError::Render(_) => {
                MetaError::Failed(error.to_string())
            }
        }
    }
}

fn milliseconds_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
