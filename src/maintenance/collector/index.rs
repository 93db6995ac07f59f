//! What is left of the index when what it was about has gone.

use crate::maintenance::collector::error::CollectError;
use crate::maintenance::collector::pace::Pace;
use crate::meta::Compacted;
use crate::registry::Upkeep;

/// Makes the index's files smaller if they are far too large. What that fails with is no reason to end a
/// pass: the index goes on in its old files.
pub(super) fn compact(upkeep: &Upkeep, pace: &mut Pace<'_>) -> Result<(), CollectError> {
    let mut rung = Ok(());
    let mut pause = || {
        rung = pace.step();
        rung.is_ok()
    };
    match upkeep.compact_index(&mut pause) {
        Ok(Compacted::Done { before_bytes, after_bytes }) => {
            log::info!(
                "the index was made anew from its rows: {after_bytes} bytes instead of {before_bytes}"
            );
        }
        Ok(Compacted::NoSpace) => {
            log::warn!("the index is far too large for what is in it, and there is no space to make it anew");
        }
        Ok(Compacted::Failed(why)) => {
            log::warn!("the index is far too large for what is in it, and could not be made anew: {why}");
        }
        Ok(Compacted::NotNeeded | Compacted::Stopped) => {}
        Err(error) => log::info!("the index was not looked at: {error}"),
    }
    rung
}
