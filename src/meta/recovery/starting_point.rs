//! What a recovery starts from: the newest intact checkpoint, or nothing.

use crate::disk::Disk;
use crate::meta::checkpoint::{self, CheckpointFile, Trailer};
use crate::meta::clock::StoreTime;
use crate::meta::error::MetaOpenError;
use crate::meta::index::{Index, IndexError};
use crate::meta::journal::{Header, LogPosition, Sum};

/// The state before the first transaction to replay.
pub(super) struct StartingPoint {
    checkpoint: Option<CheckpointFile>,
    /// The first transaction to replay.
    pub(super) begin: u64,
    /// The sum of the line before transaction `begin`.
    pub(super) prev: Sum,
    /// The last transaction that is known to have been durable.
    pub(super) durable: u64,
    /// The store time.
    pub(super) time: StoreTime,
    /// Whether a newer checkpoint was damaged.
    pub(super) damaged: bool,
}

/// Returns the newest intact checkpoint, and the newer ones, which are damaged. Changes nothing.
pub(super) fn examine(
    disk: &dyn Disk,
    newest_first: &[CheckpointFile],
) -> Result<(StartingPoint, Vec<CheckpointFile>), MetaOpenError> {
    let mut damaged = Vec::new();
    let mut durable = 0;
    for file in newest_first {
        let path = file.path();
        if let Some(trailer) = checkpoint::verify(&path, disk.open_to_salvage(&path)?.as_ref())? {
            let Trailer { begin, prev, end, time, .. } = trailer;
            let (checkpoint, durable) = (Some(*file), durable.max(end));
            let base = StartingPoint { checkpoint, begin, prev, durable, time, damaged: !damaged.is_empty() };
            return Ok((base, damaged));
        }
        // The damaged checkpoint was complete once, and so was the journal up to its beginning.
        durable = durable.max(file.begin.saturating_sub(1));
        damaged.push(*file);
    }
    let (begin, prev, time) = (1, Sum::zero(), StoreTime::default());
    let base = StartingPoint { checkpoint: None, begin, prev, durable, time, damaged: !damaged.is_empty() };
    Ok((base, damaged))
}

impl StartingPoint {
    /// Returns the state that a journal file continues.
    pub(super) fn before(header: &Header) -> Self {
        let Header { first: begin, prev, durable, .. } = header.clone();
        let time = StoreTime::default();
        Self { checkpoint: None, begin, prev, durable, time, damaged: false }
    }

    /// Returns its place in the journal.
    pub(super) fn position(&self) -> LogPosition {
        LogPosition { seq: self.begin - 1, sum: self.prev.clone() }
    }

    /// Tells whether the journal after a checkpoint is lost; it was durable before the checkpoint was.
    pub(super) fn lacks_journal(&self, has_segments: bool) -> bool {
        let lacks = self.checkpoint.is_some() && !has_segments;
        if lacks {
            log::error!("the journal after {} is lost, and with it every change since then", self.name());
        }
        lacks
    }

    /// Loads this state into an empty index. `read` is called with the bytes of each line; its error ends the
    /// work.
    pub(super) fn load(
        &self,
        disk: &dyn Disk,
        index: &dyn Index,
        read: &mut dyn FnMut(u64) -> Result<(), IndexError>,
    ) -> Result<(), MetaOpenError> {
        match &self.checkpoint {
            Some(file) => {
                let path = file.path();
                checkpoint::load(&path, disk.open_to_salvage(&path)?.as_ref(), index, read)
            }
            None => Ok(()),
        }
    }

    /// Returns the checkpoint's length in bytes.
    pub(super) fn length(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |file| file.length)
    }

    /// Returns its name for log lines.
    pub(super) fn name(&self) -> String {
        match &self.checkpoint {
            Some(file) => file.path().display().to_string(),
            None => "nothing".to_owned(),
        }
    }
}
