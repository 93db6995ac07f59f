//! A new index, built from the newest intact checkpoint and the log after it.

use std::sync::Arc;

use crate::disk::Disk;
use crate::meta::checkpoint;
use crate::meta::error::MetaOpenError;
use crate::meta::index::{Index, IndexError, guarded};
use crate::meta::journal::{LogPosition, LogTail};
use crate::meta::model::changes_of;
use crate::meta::recovery::replay::unreadable;
use crate::meta::recovery::starting_point::{self, StartingPoint};

/// A new index that is not in use yet. Dropped before [`Self::finish`], it takes its files with it.
pub(in crate::meta) struct Build {
    index: Arc<dyn Index>,
    is_finished: bool,
    base: StartingPoint,
    tail: Box<dyn LogTail>,
}

impl Build {
    /// Begins with the empty index that `make` makes, which gets the number of bytes that [`Self::fill`]
    /// reads. `read_from` opens the log.
    pub(in crate::meta) fn begin(
        disk: &dyn Disk,
        read_from: impl FnOnce(LogPosition) -> Result<Box<dyn LogTail>, IndexError>,
        make: impl FnOnce(u64) -> Result<Arc<dyn Index>, IndexError>,
    ) -> Result<Self, MetaOpenError> {
        // A damaged checkpoint does no harm here: the journal since the one before it is kept.
        let (base, _) = starting_point::examine(disk, &checkpoint::find(disk)?.finished)?;
        let tail = read_from(base.position())?;
        let index = make(base.length() + tail.bytes_left()?)?;
        Ok(Self { index, is_finished: false, base, tail })
    }

    /// Returns the generation of the index.
    pub(in crate::meta) fn generation(&self) -> u64 {
        self.index.generation().unwrap_or(0)
    }

    /// Loads the checkpoint and the transactions up to `head`, in sorted batches. `read` is called with the
    /// bytes that were read between the steps; its error ends the build.
    ///
    /// INVARIANT: `head` is no less than what the checkpoint's walk has seen, and was appended.
    pub(in crate::meta) fn fill(
        &mut self,
        disk: &dyn Disk,
        head: u64,
        read: &mut dyn FnMut(u64) -> Result<(), IndexError>,
    ) -> Result<(), MetaOpenError> {
        let index = &self.index;
        self.base.load(disk, index.as_ref(), read)?;
        self.tail.read(head, &mut |record, bytes| {
            index.load(&changes_of(&record.facts).map_err(unreadable)?)?;
            read(bytes)?;
            Ok(true)
        })?;
        guarded(|| {
            index.finish_load(&mut || read(0))?;
            index.apply(head, &[])
        })?;
        Ok(())
    }

    /// Applies what was appended since, up to `head`. Returns false if there was more than `max_bytes` of it.
    pub(in crate::meta) fn catch_up(&mut self, head: u64, max_bytes: u64) -> Result<bool, MetaOpenError> {
        let index = &self.index;
        let mut done_bytes = 0;
        let last = self.tail.read(head, &mut |record, bytes| {
            let changes = changes_of(&record.facts).map_err(unreadable)?;
            guarded(|| index.apply(record.seq, &changes))?;
            done_bytes += bytes;
            Ok(done_bytes < max_bytes)
        })?;
        Ok(last == head)
    }

    /// Returns the index, to be used.
    pub(in crate::meta) fn finish(mut self) -> Arc<dyn Index> {
        self.is_finished = true;
        Arc::clone(&self.index)
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        if !self.is_finished {
            self.index.discard();
        }
    }
}
