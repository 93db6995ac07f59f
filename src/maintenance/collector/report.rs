//! What a pass found and did.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::registry::DamageState;

/// What a verdict is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Thing {
    /// A tag; what it names is another thing.
    Tag,
    /// A manifest of a repository.
    Manifest,
    /// A blob's presence in a repository.
    Link,
    /// Content in the store, whatever repositories have it.
    Content,
    /// A file that no row names.
    File,
    /// A repository with nothing in it.
    Repository,
}

impl fmt::Display for Thing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Tag => "tag",
            Self::Manifest => "manifest",
            Self::Link => "blob",
            Self::Content => "content",
            Self::File => "file",
            Self::Repository => "repository",
        })
    }
}

/// Whether one thing is kept or removed, and why. A pass hands each to its callback at once and stores none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What it is about.
    pub what: Thing,
    /// The repository; none for content and files, which belong to no single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// The tag, for a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The digest; none for a repository. For a tag, that of the manifest that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its length in bytes. That of a link is freed only when no other repository has the content.
    pub bytes: u64,
    /// Whether it stays.
    pub stays: bool,
    /// Why, in plain words: "layer of app@sha256:… tagged v3".
    pub why: String,
}

/// How many things, and how many bytes they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What became of the things of one kind. In a dry run, `removed` is what would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Count {
    /// Those that were examined.
    pub examined: Tally,
    /// Those that were removed.
    pub removed: Tally,
    /// Those that nothing needs, and that a lease, the grace time or a concurrent push kept.
    pub held: Tally,
}

impl Count {
    /// Returns this count plus what was removed since; everything left is examined and counted again.
    pub(super) fn and_removed(mut self, since: &Self) -> Self {
        self.examined.count += since.removed.count - self.removed.count;
        self.examined.bytes += since.removed.bytes - self.removed.bytes;
        self.removed = since.removed;
        self
    }
}

/// What a pass found and did, as `pulk gc --json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CollectReport {
    /// Whether it was a dry run, which removes nothing.
    pub dry_run: bool,
    /// Whether the pass completed.
    pub complete: bool,
    /// When it began, in milliseconds since 1970.
    pub began_ms: u64,
    /// How long it took, in milliseconds, pauses included.
    pub duration_ms: u64,
    /// How many repositories were examined.
    pub repositories: u64,
    /// Empty repositories that were removed.
    pub repositories_removed: u64,
    /// Tags.
    pub tags: Count,
    /// Manifests of repositories.
    pub manifests: Count,
    /// Blobs' presence in repositories.
    pub links: Count,
    /// Content. What is removed here is the space that was freed, or is about to be.
    pub content: Count,
    /// Files that no row names: content, and leftovers of uploads.
    pub files: Count,
    /// Untagged manifests that are kept, with all that only they need.
    pub untagged: Tally,
    /// The line of configuration that would free what is untagged, when there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untagged_advice: Option<String>,
    /// What could not be read, so that its repository was skipped; the first entries only.
    pub unreadable: Vec<String>,
    /// What was postponed or refused, and why; the first entries only.
    pub notes: Vec<String>,
    /// What is damaged, at the end of the pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<DamageState>,
}

/// The most entries of [`CollectReport::unreadable`] and of [`CollectReport::notes`].
pub const NOTES_MAX: usize = 100;

/// The collector's status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CollectorStatus {
    /// Whether it works in the background.
    pub enabled: bool,
    /// What it is doing now, in plain words; none while it rests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
    /// Passes since the start.
    pub passes: u64,
    /// Bytes of content removed since the start.
    pub removed_bytes: u64,
    /// The last pass that was no dry run, if there was one since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<CollectReport>,
    /// Why nothing is swept at the moment, such as the lease after a start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// Why ages leave out the time that pulk was stopped before this start, where a policy asks for ages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ages: Option<String>,
    /// In how many seconds the next pass begins, where one is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_seconds: Option<u64>,
}
