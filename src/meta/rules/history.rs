//! The history of tags: a row for each set, move and removal.

use std::sync::Arc;

use crate::meta::index::{IndexError, View};
use crate::meta::model::{Fact, HistoryRow, Optional, Origin};
use crate::meta::rules::decision::Stamp;

/// Adds to the facts of a transaction what its tags become by it. A push that leaves a tag as it is adds
/// nothing.
///
/// INVARIANT: the order is higher than that of every change before, so no row replaces another one.
pub(in crate::meta) fn with_history(
    view: View<'_>,
    now: Stamp,
    by: Option<&Arc<Origin>>,
    mut facts: Vec<Fact>,
) -> Result<Vec<Fact>, IndexError> {
    let mut history = Vec::new();
    for fact in &facts {
        let Fact::Tag { repo, tag, row, was } = fact else { continue };
        let digest = row.as_ref().map(|row| row.digest);
        // A fact names what a tag loses; without it, the tag is new, or is set to what it names.
        let was = match (was, digest) {
            (None, Some(digest)) if view.tag(repo, tag)?.is_some_and(|row| row.digest == digest) => continue,
            (was, _) => *was,
        };
        let row = HistoryRow {
            digest,
            was,
            noted: now.noted,
            at: now.wall_ms,
            by: by.cloned(),
            optional: Optional::default(),
        };
        let (repo, tag) = (repo.clone(), tag.clone());
        history.push(Fact::History { repo, tag, order: now.order, row: Some(row) });
    }
    facts.append(&mut history);
    Ok(facts)
}
