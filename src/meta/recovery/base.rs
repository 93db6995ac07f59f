//! What a recovery starts from: the newest intact checkpoint, or nothing.

use crate::disk::Disk;
use crate::meta::checkpoint::{self, CheckpointFile, Trailer};
use crate::meta::error::OpenError;
use crate::meta::index::Index;
use crate::meta::journal::{Header, Sum};
use crate::meta::progress::RecoveryProgress;

/// The state before the first transaction that is to be replayed.
pub(super) struct Base {
    checkpoint: Option<CheckpointFile>,
    /// The first transaction that is to be replayed.
    pub(super) begin: u64,
    /// The sum of the line before that one.
    pub(super) prev: Sum,
    /// The last transaction that is known to have been durable.
    pub(super) durable: u64,
    /// Whether a newer checkpoint was damaged.
    pub(super) damaged: bool,
}

/// Chooses the newest checkpoint that is as it was written. Damaged ones are set aside.
pub(super) fn choose(disk: &dyn Disk) -> Result<Base, OpenError> {
    let mut damaged = false;
    let mut durable = 0;
    for file in checkpoint::list(disk)? {
        if let Some(trailer) = checkpoint::verify(disk.open(&file.path())?.as_ref())? {
            let Trailer { begin, prev, end, .. } = trailer;
            let durable = durable.max(end);
            return Ok(Base { checkpoint: Some(file), begin, prev, durable, damaged });
        }
        let aside = checkpoint::set_aside(disk, &file)?;
        log::error!(
            "{} is damaged; it is kept as {}, and an older state is gone on from",
            file.path().display(),
            aside.display()
        );
        // It was complete once, and so was the journal up to where it began.
        durable = durable.max(file.begin - 1);
        damaged = true;
    }
    Ok(Base { checkpoint: None, begin: 1, prev: Sum::zero(), durable, damaged })
}

impl Base {
    /// Returns the state that a journal file goes on from.
    pub(super) fn before(header: &Header) -> Self {
        let prev = header.prev.clone();
        Self { checkpoint: None, begin: header.first, prev, durable: header.durable, damaged: false }
    }

    /// Fills an empty index with it.
    pub(super) fn load(
        &self,
        disk: &dyn Disk,
        index: &dyn Index,
        progress: &RecoveryProgress,
    ) -> Result<(), OpenError> {
        match &self.checkpoint {
            Some(file) => checkpoint::load(disk.open(&file.path())?.as_ref(), index, progress),
            None => Ok(()),
        }
    }

    /// Returns its length in bytes.
    pub(super) fn length(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |file| file.length)
    }

    /// Returns what it is called in log lines.
    pub(super) fn name(&self) -> String {
        match &self.checkpoint {
            Some(file) => file.path().display().to_string(),
            None => "nothing".to_owned(),
        }
    }
}
