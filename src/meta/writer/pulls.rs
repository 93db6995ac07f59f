//! Notes of pulls: they ride along with what is synced anyway.

use std::sync::Arc;

use crate::meta::error::MetaError;
use crate::meta::index::View;
use crate::meta::model::{Origin, Pull};
use crate::meta::rules::{Stamp, pull_facts};
use crate::meta::writer::thread::Writer;

/// How many pulls one transaction notes: two rows each, of less than 5 KiB.
const PULLS_PER_LINE_MAX: usize = 64;

impl Writer {
    /// Writes the rows that note what was pulled, without a sync. What cannot be written is lost: something
    /// then seems to have been pulled a day earlier than it was.
    pub(super) fn note_pulls(&mut self) {
        while self.journal.poisoned().is_none() {
            let pulls = self.protection.take_pulls();
            if pulls.is_empty() {
                return;
            }
            for pulls in pulls.chunks(PULLS_PER_LINE_MAX) {
                if let Err(error) = self.write_pulls(pulls) {
                    log::debug!("pulls are not noted: {error}");
                    return;
                }
            }
        }
    }

    fn write_pulls(&mut self, pulls: &[Pull]) -> Result<(), MetaError> {
        let (noted, began) = self.clock.store_time();
        let now = Stamp { wall_ms: None, noted, began, order: self.totals.tag_order };
        let facts = pull_facts(View::new(&self.rows()), now, pulls).map_err(MetaError::Index)?;
        if facts.is_empty() {
            return Ok(());
        }
        self.write(facts, Some(&Arc::new(Origin::of_pulls())))
    }
}
