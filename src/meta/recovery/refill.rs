//! Filling an index from checkpoint and journal without writing anything to the disk.

use crate::disk::Disk;
use crate::meta::clock::StoreTime;
use crate::meta::error::MetaOpenError;
use crate::meta::index::{Index, RowTotals, View};
use crate::meta::journal::list;
use crate::meta::model::RowChange;
use crate::meta::recovery::progress::RecoveryProgress;
use crate::meta::recovery::recover::bytes_to_read;
use crate::meta::recovery::replay::LOAD_CHANGES_MAX;
use crate::meta::recovery::survey::{LinePlace, for_each_line, survey};
use crate::meta::recovery::{segments, starting_point};

/// The state that an index was filled with.
pub(in crate::meta) struct Refilled {
    /// The last transaction.
    pub(in crate::meta) seq: u64,
    /// The totals of the index's rows.
    pub(in crate::meta) totals: RowTotals,
    /// The store time.
    pub(in crate::meta) time: StoreTime,
    /// Whether a part of the journal is missing.
    pub(in crate::meta) damaged: bool,
}

/// Fills an empty index from the newest intact checkpoint and the journal. Every transaction up to `durable`
/// is known to have been written.
pub(in crate::meta) fn refill(
    disk: &dyn Disk,
    index: &dyn Index,
    durable: u64,
    progress: &RecoveryProgress,
) -> Result<Refilled, MetaOpenError> {
    let files = list(disk)?;
    let base = starting_point::choose(disk)?;
    let segments = segments::since(disk, &files, &base)?;
    progress.begin(bytes_to_read(disk, &base, &segments)?);
    let survey = survey(disk, &segments, &base, durable, progress)?;
    base.load(disk, index, progress)?;
    let mut pending: Vec<RowChange> = Vec::new();
    let mut time = base.time.clone();
    for segment in &segments {
        for_each_line(disk, segment, base.begin, progress, |line, found| {
            let place = LinePlace { file: segment.number, line: line.number };
            let Some((record, _)) = found.filter(|_| survey.cut().is_none_or(|cut| place < cut)) else {
                return Ok(());
            };
            time.learn(&record.time);
            for fact in &record.facts {
                fact.changes(&mut pending).map_err(|error| MetaOpenError::Damaged(error.to_string()))?;
            }
            if pending.len() >= LOAD_CHANGES_MAX {
                index.load(&std::mem::take(&mut pending))?;
            }
            Ok(())
        })?;
    }
    index.load(&pending)?;
    index.finish_load()?;
    let seq = base.begin - 1 + survey.valid;
    index.apply(seq, &[])?;
    progress.end();
    let damaged = survey.damaged || base.damaged;
    Ok(Refilled { seq, totals: RowTotals::of(View::new(index))?, time, damaged })
}
