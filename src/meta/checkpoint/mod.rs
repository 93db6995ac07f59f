//! Checkpoints: the whole state at a rotation of the journal, so that a recovery need not replay from the
//! first transaction.
//!
//! The checkpointer walks the live index in small steps while the writer continues, so the rows of a
//! checkpoint are of different moments. That does no harm: recovery replays the journal from the rotation on
//! over them, facts are absolute, and so both end in the same state, provided that the journal reaches as far
//! as the walk has seen. A checkpoint is therefore complete only when its last line, the trailer, says how
//! far that is, and the trailer is written only when the journal is durable up to there.

mod files;
mod format;
mod read;
mod taker;
mod write;

pub(super) use files::{
    CHECKPOINT_FOLDER, CHECKPOINTS_KEPT, CheckpointFile, find, forget_older, list, remove, set_aside,
};
#[cfg(test)]
pub(super) use format::CheckpointRows;
pub(super) use format::Trailer;
pub(super) use read::{each_line, load, verify};
pub(in crate::meta) use taker::{
    Barrier, Checkpointer, DueCheckpoint, Retention, WriteFiles, without_checkpoint,
};
pub(super) use write::{WalkError, walk};
