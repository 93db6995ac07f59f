//! The lines of a checkpoint.

use serde::{Deserialize, Serialize};

use crate::meta::clock::StoreTime;
use crate::meta::journal::Sum;
use crate::meta::model::Fact;

/// The version of the checkpoints' format.
pub(super) const FORMAT: u32 = 1;

/// Some of a checkpoint's rows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CheckpointRows {
    pub(super) facts: Vec<Fact>,
}

/// The last line of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::meta) struct Trailer {
    pub(super) checkpoint: u32,
    /// The first transaction that is to be replayed over it.
    pub(in crate::meta) begin: u64,
    /// The sum of the line before that one.
    pub(in crate::meta) prev: Sum,
    /// The last transaction that the walk may have seen something of.
    pub(in crate::meta) end: u64,
    /// The store time.
    #[serde(default)]
    pub(in crate::meta) time: StoreTime,
    /// How many rows there are.
    pub(super) rows: u64,
    /// The sum of all lines' sums.
    pub(super) lines: Sum,
}
