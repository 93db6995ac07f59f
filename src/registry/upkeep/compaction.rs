//! Compaction of the index's files, and renewal of checkpoints.

use crate::meta::{CompactionOutcome, CompactionPacing};
use crate::registry::error::RegistryError;
use crate::registry::upkeep::Upkeep;

/// Checkpoints are renewed from `index_worthwhile_bytes` divided by this: 4 MiB by default.
const CHECKPOINT_WORTHWHILE_DIVISOR: u64 = 16;

impl Upkeep {
    /// Compacts the index: rebuilds its files if they are far larger than what is left in it. Calls `pause`
    /// between steps, which returns whether to continue.
    pub(crate) fn compact_index(
        &self,
        pause: &mut dyn FnMut() -> bool,
    ) -> Result<CompactionOutcome, RegistryError> {
        let space = &self.inner.space;
        let mut pacing = CompactionPacing {
            pause,
            has_room: &|bytes| space.has_room(bytes),
            worthwhile_bytes: self.inner.options.index_worthwhile_bytes,
        };
        let compacted = self.inner.meta.compact_index(&mut pacing)?;
        // Where metadata may be missing, old checkpoints may be all that is left of it.
        if let CompactionOutcome::Done { after_bytes, .. } = compacted
            && self.keeps_everything().is_none()
        {
            self.renew_checkpoints(after_bytes, pacing.pause);
        }
        Ok(compacted)
    }

    /// Renews the checkpoints: they also hold the removed data that made the compaction worthwhile. They are
    /// shorter than the index's files.
    fn renew_checkpoints(&self, index_bytes: u64, pause: &mut dyn FnMut() -> bool) {
        let worthwhile = self.inner.options.index_worthwhile_bytes / CHECKPOINT_WORTHWHILE_DIVISOR;
        let expected = if worthwhile == 0 { 0 } else { index_bytes };
        if let Err(error) = self.inner.meta.renew_checkpoints(expected, worthwhile, pause) {
            log::info!("old checkpoints stay until the journal is long enough: {error}");
        }
    }
}
