//! Checkpoints: the whole state at a rotation of the journal, so that a recovery need not begin at the very
//! first transaction.
//!
//! A checkpoint is taken by walking the live index in small steps while the writer goes on, so its rows are
//! of different moments. That does no harm: the journal from the rotation on is replayed over them, facts are
//! absolute, and so both end in the same state, provided that the journal reaches as far as the walk has
//! seen. A checkpoint is therefore complete only when its last line, the trailer, says how far that is, and
//! the trailer is written only when the journal is durable up to there.

mod files;
mod read;
mod taker;
mod write;

use serde::{Deserialize, Serialize};

use crate::meta::clock::StoreTime;
use crate::meta::journal::Sum;
use crate::meta::model::Fact;

pub(super) use files::{
    CHECKPOINT_FOLDER, CHECKPOINTS_KEPT, CheckpointFile, find, forget_older, list, set_aside,
};
pub(super) use read::{each_line, load, verify};
pub(in crate::meta) use taker::{Checkpointer, DueCheckpoint, Retention, renew, without_checkpoint};
pub(super) use write::{WalkError, walk};

/// The version of the checkpoints' format.
const FORMAT: u32 = 1;

/// Some of a checkpoint's rows.
#[derive(Debug, Serialize, Deserialize)]
struct CheckpointRows {
    facts: Vec<Fact>,
}

/// The last line of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trailer {
    checkpoint: u32,
    /// The first transaction that is to be replayed over it.
    pub(super) begin: u64,
    /// The sum of the line before that one.
    pub(super) prev: Sum,
    /// The last transaction that the walk may have seen something of.
    pub(super) end: u64,
    /// The store time.
    #[serde(default)]
    pub(super) time: StoreTime,
    /// How many rows there are.
    rows: u64,
    /// The sum of all lines' sums.
    lines: Sum,
}
