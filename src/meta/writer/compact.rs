//! Replacing an index whose files are far too large for its rows by a new one, while it is in use.
//!
//! Checkpoints that are far too long are renewed first. The new index is built beside the old one and catches
//! up with what is appended meanwhile. The writer applies the last of it and swaps.

use std::ops::ControlFlow;
use std::sync::mpsc::{Sender, channel};

use crate::disk::Disk;
use crate::meta::error::MetaOpenError;
use crate::meta::index::{
    CompactionOutcome, CompactionPacing, Index, IndexError, IndexKind, ROOM_MIN_BYTES, ReplaceableIndex,
    needed_if_too_large,
};
use crate::meta::recovery::Build;
use crate::meta::writer::message::{Message, Swapped};
use crate::meta::writer::renew::renew;

/// Checkpoints are renewed from `worthwhile_bytes` divided by this: 4 MiB by default.
const CHECKPOINT_WORTHWHILE_DIVISOR: u64 = 16;

/// How often the writer may have appended too much before the swap is given up.
const SWAP_TRIES_MAX: u32 = 100;

/// What a compaction works with.
pub(in crate::meta) struct Compaction<'a> {
    pub(in crate::meta) disk: &'a dyn Disk,
    pub(in crate::meta) index: &'a ReplaceableIndex,
    pub(in crate::meta) kind: &'a IndexKind,
    pub(in crate::meta) writer: &'a Sender<Message>,
}

impl Compaction<'_> {
    /// Replaces the index if it is far too large. After any failure the old one stays in use.
    pub(in crate::meta) fn run(
        &self,
        pacing: &mut CompactionPacing<'_>,
    ) -> Result<CompactionOutcome, IndexError> {
        if self.index.generation().is_none() {
            return Ok(CompactionOutcome::NotNeeded);
        }
        let before_bytes = self.index.size_bytes()?;
        let needed = match needed_if_too_large(self.index, before_bytes, pacing)? {
            ControlFlow::Continue(needed) => needed,
            ControlFlow::Break(outcome) => return Ok(outcome),
        };
        if pacing.may_renew_checkpoints {
            // What made the index too large is in the checkpoints, too. They are shorter than its files.
            let worthwhile = pacing.worthwhile_bytes / CHECKPOINT_WORTHWHILE_DIVISOR;
            let expected = if worthwhile == 0 { 0 } else { needed };
            if let Err(error) = renew(self.disk, self.writer, expected, worthwhile, pacing.pause) {
                log::info!("old checkpoints stay until the journal is long enough: {error}");
            }
        }
        match self.replace(needed, pacing) {
            Ok(after_bytes) => Ok(CompactionOutcome::Done { before_bytes, after_bytes }),
            Err(MetaOpenError::Index(IndexError::Closed)) => Ok(CompactionOutcome::Stopped),
            Err(error) if error.is_full() => Ok(CompactionOutcome::NoSpace),
            Err(error) => Ok(CompactionOutcome::Failed(error.to_string())),
        }
    }

    /// Returns the bytes that the new index takes.
    fn replace(&self, needed: u64, pacing: &mut CompactionPacing<'_>) -> Result<u64, MetaOpenError> {
        let has_room = pacing.has_room;
        let room_for = |bytes| if has_room(bytes) { Ok(()) } else { Err(IndexError::NoSpace) };
        let mut step = |_| if (pacing.pause)() { room_for(ROOM_MIN_BYTES) } else { Err(IndexError::Closed) };
        let read_from = |place| self.ask(|answer| Message::ReadFrom(place, answer));
        let mut build = Build::begin(self.disk, read_from, |bytes_to_read| {
            // What is written before it is sorted is no longer than what is read.
            room_for(needed.saturating_add(bytes_to_read).saturating_add(ROOM_MIN_BYTES))?;
            self.kind.make(self.index.next_generation())
        })?;
        build.fill(self.disk, self.index.applied()?, &mut step)?;
        for _ in 0..SWAP_TRIES_MAX {
            // No pause between the lines: it has to be faster than the writer.
            build.catch_up(self.index.applied()?, u64::MAX)?;
            step(0)?;
            build = match self.ask(|answer| Message::Swap(build, answer))? {
                Swapped::Done(old) => {
                    drop(old);
                    return Ok(self.index.size_bytes()?);
                }
                Swapped::TooFarBehind(build) => build,
                Swapped::Failed(error) => return Err(error),
            };
        }
        Err(IndexError::Storage("the journal grows faster than it can be read".to_owned()).into())
    }

    /// Sends the writer a message, and waits for its answer.
    fn ask<T>(&self, message: impl FnOnce(Sender<T>) -> Message) -> Result<T, IndexError> {
        let (answer, answered) = channel();
        // Without a writer the message goes, and the answer with it.
        drop(self.writer.send(message(answer)));
        answered.recv().map_err(|_| IndexError::Closed)
    }
}
