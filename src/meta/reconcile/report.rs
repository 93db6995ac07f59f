//! The actions of reconciling, in log lines.

use std::collections::BTreeMap;
use std::fmt;

/// The most actions of a kind that are named one by one.
const NAMED_MAX: u64 = 20;

/// An action that makes metadata and content agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Content was written again, so that metadata can name it.
    AdoptContent,
    /// The row of content was dropped, since its file is missing or damaged.
    DropContent,
    /// A blob's link to a repository was dropped.
    DropLink,
    /// A blob's link to a repository was restored.
    RestoreLink,
    /// A manifest was dropped.
    DropManifest,
    /// A manifest was restored.
    RestoreManifest,
    /// A tag was dropped.
    DropTag,
    /// The index's record of a manifest's tags was corrected.
    CorrectTag,
    /// A referrer was dropped.
    DropReferrer,
    /// A referrer was restored.
    RestoreReferrer,
    /// An empty repository was dropped.
    DropRepository,
    /// A repository was restored.
    RestoreRepository,
    /// A manifest stays although something that it references is lost.
    MissReference,
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::AdoptContent => "content written again",
            Self::DropContent => "content dropped",
            Self::DropLink => "link dropped",
            Self::RestoreLink => "link restored",
            Self::DropManifest => "manifest dropped",
            Self::RestoreManifest => "manifest restored",
            Self::DropTag => "tag dropped",
            Self::CorrectTag => "tag corrected",
            Self::DropReferrer => "referrer dropped",
            Self::RestoreReferrer => "referrer restored",
            Self::DropRepository => "repository dropped",
            Self::RestoreRepository => "repository restored",
            Self::MissReference => "reference to lost content",
        })
    }
}

/// Counts actions, and logs the first `NAMED_MAX` of each kind.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    counts: BTreeMap<Action, u64>,
}

impl Report {
    /// Records an action; `what` names its object and the reason.
    pub(super) fn note(&mut self, action: Action, what: &fmt::Arguments<'_>) {
        let count = self.counts.entry(action).or_default();
        *count += 1;
        if *count <= NAMED_MAX {
            log::warn!("reconciling: {action}: {what}");
        }
    }

    /// Logs how many actions of each kind were not named.
    pub(super) fn finish(&self) {
        for (action, count) in &self.counts {
            if let Some(more) = count.checked_sub(NAMED_MAX).filter(|more| *more > 0) {
                log::warn!("reconciling: {action}: {more} more");
            }
        }
        if self.counts.is_empty() {
            log::info!("reconciling: the remaining metadata agrees with the content");
        }
    }

    /// Adds the counts of another report.
    pub(in crate::meta) fn add(&mut self, other: &Self) {
        for (action, count) in &other.counts {
            *self.counts.entry(*action).or_default() += count;
        }
    }

    /// Returns each action with its count.
    pub fn counts(&self) -> impl Iterator<Item = (Action, u64)> {
        self.counts.iter().map(|(action, count)| (*action, *count))
    }
}
