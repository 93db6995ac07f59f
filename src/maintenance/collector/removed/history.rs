//! The history of tags, as far back as it is kept.

use std::collections::VecDeque;

use crate::base::millis;
use crate::maintenance::collector::error::CollectError;
use crate::maintenance::collector::pass::{Batch, Pass, ROWS_PER_STEP};
use crate::meta::{Sweep, TagChange};
use crate::registry::RegistryError;
use crate::spec::{RepoName, Tag};

/// How many changes of one tag are kept; the oldest go first.
pub(crate) const CHANGES_PER_TAG_MAX: usize = 1000;

/// A row of the history.
type ChangeName = (RepoName, Tag, u64);

impl Pass<'_> {
    /// Removes the changes of tags that are older than they are kept, and the oldest of too many.
    pub(in crate::maintenance::collector) fn history(&mut self) -> Result<(), CollectError> {
        if self.options.dry_run {
            return Ok(());
        }
        let keep = millis(self.upkeep.options().history_keep);
        // The changes of one tag, the oldest first.
        let mut of_tag: VecDeque<ChangeName> = VecDeque::new();
        let (mut batch, mut last) = (Batch::new(), None::<Vec<u8>>);
        loop {
            let rows = self.upkeep.view().tag_changes(None, None, last.as_deref(), ROWS_PER_STEP);
            let rows = rows.map_err(RegistryError::from)?;
            let at_end = rows.len() < ROWS_PER_STEP;
            last = rows.last().map(|change| change.key.clone());
            for TagChange { repo, tag, order, row, .. } in rows {
                if of_tag.front().is_some_and(|(of, name, _)| (of, name) != (&repo, &tag)) {
                    of_tag.clear();
                }
                let mut goes = None;
                if self.ages.of(row.noted) >= keep {
                    goes = Some((repo, tag, order));
                } else {
                    of_tag.push_back((repo, tag, order));
                    if of_tag.len() > CHANGES_PER_TAG_MAX {
                        goes = of_tag.pop_front();
                    }
                }
                if let Some(rows) = goes.and_then(|change| batch.add(change)) {
                    self.sweep(Sweep::History { rows })?;
                }
            }
            self.step()?;
            if at_end {
                break;
            }
        }
        let rows = batch.rest();
        if rows.is_empty() { Ok(()) } else { self.sweep(Sweep::History { rows }) }
    }
}
