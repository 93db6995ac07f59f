//! Compaction of the index's files, and renewal of checkpoints.

use crate::meta::{CompactionOutcome, CompactionPacing};
use crate::registry::error::RegistryError;
use crate::registry::upkeep::Upkeep;

impl Upkeep {
    /// Compacts the index: replaces its files, and the checkpoints, if they are far larger than what is left
    /// in them. Calls `pause` between steps, which returns whether to continue.
    pub(crate) fn compact_index(
        &self,
        pause: &mut dyn FnMut() -> bool,
    ) -> Result<CompactionOutcome, RegistryError> {
        let space = &self.inner.space;
        let mut pacing = CompactionPacing {
            pause,
            has_room: &|bytes| space.has_room(bytes),
            worthwhile_bytes: self.inner.options.index_worthwhile_bytes,
            // Where metadata may be missing, old checkpoints may be all that is left of it.
            may_renew_checkpoints: self.keeps_everything().is_none(),
        };
        Ok(self.inner.meta.compact_index(&mut pacing)?)
    }
}
