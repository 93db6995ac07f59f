//! A rule of a policy that keeps tags.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::meta::model::tag_pattern::TagPattern;
use crate::spec::Tag;

/// In which order `last` counts images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepOrder {
    /// By when the newest of its tags was set.
    #[default]
    Pushed,
    /// By the highest version among its tags.
    Semver,
}

impl fmt::Display for KeepOrder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Pushed => "pushed",
            Self::Semver => "semver",
        })
    }
}

/// A rule that keeps tags: those for which all of it holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepRule {
    /// The tags that it is for; all if there are none.
    pub tags: Vec<TagPattern>,
    /// How many images it keeps among those that these tags name.
    pub last: Option<usize>,
    /// In which order it counts them.
    pub order: KeepOrder,
    /// It keeps what was set within this time.
    pub pushed_within: Option<Duration>,
    /// It keeps what was pulled, or set, within this time.
    pub pulled_within: Option<Duration>,
}

impl KeepRule {
    /// Returns the rule that keeps this many of the images that were pushed last.
    pub fn newest(count: usize) -> Self {
        Self { last: Some(count), ..Self::default() }
    }

    /// Returns the rule that keeps the tags that a pattern matches.
    pub fn tagged(pattern: TagPattern) -> Self {
        Self { tags: vec![pattern], ..Self::default() }
    }

    /// Tells whether it is for a tag.
    pub fn is_for(&self, tag: &Tag) -> bool {
        self.tags.is_empty() || self.tags.iter().any(|pattern| pattern.matches(tag))
    }

    /// Tells whether it names a tag, and does not only match it.
    pub fn names(&self, tag: &str) -> bool {
        self.tags.iter().any(|pattern| pattern.as_str() == tag)
    }

    /// Tells whether it depends on the age of anything.
    pub fn asks_for_ages(&self) -> bool {
        self.pushed_within.is_some() || self.pulled_within.is_some()
    }
}
