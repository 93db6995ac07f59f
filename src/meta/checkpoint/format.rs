//! The lines of a checkpoint.

use serde::{Deserialize, Serialize};

use crate::meta::clock::StoreTime;
use crate::meta::journal::{LineBody, LineKind, Sum};
use crate::meta::model::Fact;

/// One line of a checkpoint's rows.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::meta) struct CheckpointRows {
    pub(super) facts: Vec<Fact>,
}

/// The last line of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::meta) struct Trailer {
    /// The version of the format that every line of the file has.
    pub(super) checkpoint: u32,
    /// The first transaction to replay over it.
    pub(in crate::meta) begin: u64,
    /// The sum of the journal line before transaction `begin`.
    pub(in crate::meta) prev: Sum,
    /// The last transaction whose changes the walk may have seen.
    pub(in crate::meta) end: u64,
    /// The store time.
    #[serde(default)]
    pub(in crate::meta) time: StoreTime,
    /// The number of rows.
    pub(super) rows: u64,
    /// The sum of all lines' sums.
    pub(super) lines: Sum,
}

impl LineBody for CheckpointRows {
    const KIND: LineKind = LineKind::Rows;
}

impl LineBody for Trailer {
    const KIND: LineKind = LineKind::Trailer;
}
