//! Compacting the index after rows were removed.

use crate::maintenance::collector::error::CollectError;
use crate::maintenance::collector::pace::Pace;
use crate::meta::CompactionOutcome;
use crate::registry::Upkeep;

/// Compacts the index if its files are far too large. A failure does not end the pass: the index stays in its
/// old files.
pub(super) fn compact(upkeep: &Upkeep, pace: &mut Pace<'_>) -> Result<(), CollectError> {
    let mut paced = Ok(());
    let mut pause = || {
        paced = pace.step();
        paced.is_ok()
    };
    match upkeep.compact_index(&mut pause) {
        Ok(CompactionOutcome::Done { before_bytes, after_bytes }) => {
            log::info!("compacted the index: {after_bytes} bytes instead of {before_bytes}");
        }
        Ok(CompactionOutcome::NoSpace) => {
            log::warn!("the index is far too large for its rows, and there is no space to compact it");
        }
        Ok(CompactionOutcome::Failed(why)) => {
            log::warn!("the index is far too large for its rows, and could not be compacted: {why}");
        }
        Ok(CompactionOutcome::NotNeeded | CompactionOutcome::Stopped) => {}
        Err(error) => log::info!("the size of the index could not be determined: {error}"),
    }
    paced
}
