//! What became of tags, the newest change first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::admin::ask::Ask;
use crate::admin::error::AdminError;
use crate::admin::log::ChangeKind;
use crate::admin::pages::ROWS_PER_STEP_MAX;
use crate::admin::sink::{AnswerSink, send_item};
use crate::admin::store::OpenStore;
use crate::meta::TagChange;
use crate::registry::{Origin, Registry};
use crate::spec::{ContentDigest, RepoName, Tag};

#[cfg(test)]
mod tests;

/// The most changes that one answer has.
pub(crate) const CHANGES_MAX: usize = 10_000;

/// Asks for the newest changes of tags, and for the number of all that match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryRequest {
    /// Only those of this repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) repo: Option<RepoName>,
    /// Only those of this tag of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<Tag>,
    /// Only those before this time, by the wall clock, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before_ms: Option<u64>,
    /// How many of them; at most [`CHANGES_MAX`].
    pub(crate) last: usize,
}

/// A change of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryEntry {
    /// Its place in the order of all changes of tags; those of one push have the same.
    pub(crate) order: u64,
    /// When it was decided, by the wall clock, in milliseconds since 1970; 0 if that is not known.
    pub(crate) at_ms: u64,
    /// What happened: `tag-set`, `tag-moved` or `tag-removed`.
    pub(crate) change: ChangeKind,
    /// The repository.
    pub(crate) repo: RepoName,
    /// The tag.
    pub(crate) tag: Tag,
    /// The manifest that it names from then on; none if it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<ContentDigest>,
    /// The manifest that it named before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) was: Option<ContentDigest>,
    /// Where it comes from, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<Origin>,
}

impl From<TagChange> for HistoryEntry {
    fn from(TagChange { repo, tag, order, row, .. }: TagChange) -> Self {
        let change = match (&row.digest, &row.was) {
            (Some(_), Some(_)) => ChangeKind::TagMoved,
            (Some(_), None) => ChangeKind::TagSet,
            (None, _) => ChangeKind::TagRemoved,
        };
        let by = row.by.as_deref().cloned();
        let (at_ms, digest, was) = (row.at.unwrap_or(0), row.digest, row.was);
        Self { order, at_ms, change, repo, tag, digest, was, by }
    }
}

impl Ask for HistoryRequest {
    type Item = HistoryEntry;
    type Report = u64;

    fn perform(&self, store: &OpenStore, sink: &mut dyn AnswerSink) -> Result<u64, AdminError> {
        history(&store.registry, self, sink)
    }
}

/// Sends the newest changes. All rows are read, and as many are kept as were asked for.
fn history(
    registry: &Registry,
    request: &HistoryRequest,
    sink: &mut dyn AnswerSink,
) -> Result<u64, AdminError> {
    let HistoryRequest { repo, tag, before_ms, last } = request;
    let most = (*last).min(CHANGES_MAX);
    let mut newest: BTreeMap<(u64, Vec<u8>), TagChange> = BTreeMap::new();
    let (mut count, mut after) = (0, None::<Vec<u8>>);
    loop {
        sink.check_wanted()?;
        let view = registry.view();
        let page = view.tag_changes(repo.as_ref(), tag.as_ref(), after.as_deref(), ROWS_PER_STEP_MAX)?;
        let at_end = page.len() < ROWS_PER_STEP_MAX;
        after = page.last().map(|change| change.key.clone());
        for change in page {
            if before_ms.is_some_and(|before| change.row.at.is_none_or(|at| at >= before)) {
                continue;
            }
            count += 1;
            newest.insert((change.order, change.key.clone()), change);
            if newest.len() > most {
                newest.pop_first();
            }
        }
        if at_end {
            break;
        }
    }
    for change in newest.into_values().rev() {
        send_item(sink, &HistoryEntry::from(change))?;
    }
    Ok(count)
}
