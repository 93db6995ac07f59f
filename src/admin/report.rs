//! What a store tells about itself, as the command line shows it or prints it as JSON.

use serde::{Deserialize, Serialize};

use crate::maintenance::{CollectorStatus, ScrubStatus};
use crate::spec::{ContentDigest, RepoName, Tag};

/// How a store and its server are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StatusReport {
    /// The version of the pulk that answers.
    pub(crate) version: String,
    /// The server, if one runs.
    pub(crate) server: Option<ServerStatus>,
    /// Whether it does its work.
    pub(crate) ready: bool,
    /// What does not work, in plain words.
    pub(crate) reasons: Vec<String>,
    /// Pieces of content, manifests among them.
    pub(crate) blobs: u64,
    /// Their bytes: what is stored.
    pub(crate) blob_bytes: u64,
    /// What the repositories have.
    pub(crate) repositories: StoreUsage,
    /// Bytes that are not stored because repositories share content.
    pub(crate) saved_bytes: u64,
    /// Bytes of content that no repository has.
    pub(crate) unlinked_bytes: u64,
    /// Bytes of the index's files.
    #[serde(default)]
    pub(crate) index_bytes: u64,
    /// How the collector stands.
    pub(crate) collector: CollectorStatus,
    /// How the scrub stands.
    pub(crate) scrub: ScrubStatus,
    /// Upload sessions that have begun and not ended.
    pub(crate) uploads: u64,
    /// Bytes that are free on the disk.
    pub(crate) free_bytes: Option<u64>,
    /// Of these, the bytes that pushes leave free.
    pub(crate) reserve_bytes: u64,
}

/// A server that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerStatus {
    /// Its process.
    pub(crate) pid: u32,
    /// The address that it listens on.
    pub(crate) address: String,
    /// When it was ready, in milliseconds since 1970.
    pub(crate) since: u64,
}

/// What all repositories have together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreUsage {
    /// Repositories.
    pub(crate) repositories: u64,
    /// Tags.
    pub(crate) tags: u64,
    /// Manifests, counted in each repository that has them.
    pub(crate) manifests: u64,
    /// Blobs that are no manifests, likewise.
    pub(crate) blobs: u64,
    /// Bytes, counted in each repository that has them.
    pub(crate) bytes: u64,
    /// Bytes, counted once.
    pub(crate) distinct_bytes: u64,
}

/// What a repository has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RepositoryUsage {
    /// Its name.
    pub(crate) repository: RepoName,
    /// Its tags.
    pub(crate) tags: u64,
    /// Its manifests.
    pub(crate) manifests: u64,
    /// Its blobs that are no manifests.
    pub(crate) blobs: u64,
    /// Their bytes, each content once.
    pub(crate) bytes: u64,
    /// Bytes of content that no other repository has; left out where nobody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unique_bytes: Option<u64>,
}

/// A tag of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagEntry {
    /// The tag.
    pub(crate) tag: Tag,
    /// The manifest that it names.
    pub(crate) digest: ContentDigest,
    /// That manifest's media type.
    pub(crate) media_type: String,
    /// The bytes that a client pulls at most: those of the manifest, of the blobs it names, and of all that
    /// an index lists.
    pub(crate) bytes: u64,
}

/// What of a repository's content somebody uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagUsage {
    /// Who uses it.
    pub(crate) group: TagGroup,
    /// The manifest that the tags name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<ContentDigest>,
    /// Manifests.
    pub(crate) manifests: u64,
    /// Bytes of all that it needs.
    pub(crate) bytes: u64,
    /// Bytes of content that nothing else needs, in any repository.
    pub(crate) unique_bytes: u64,
}

/// Who uses some of a repository's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TagGroup {
    /// Tags that name one manifest, its children, and what refers to it.
    Tags(Vec<Tag>),
    /// Manifests that no tag leads to.
    Untagged,
    /// Blobs that no manifest names.
    Unreferenced,
}

/// What the groups of a repository's content have together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagUsageTotals {
    /// Bytes of the repository's content.
    pub(crate) bytes: u64,
    /// Bytes of it that no other repository has.
    pub(crate) unique_bytes: u64,
    /// Manifests that could not be read, so that what they name is counted as if nothing named it.
    pub(crate) unreadable: u64,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removed {
    /// Tags.
    pub(crate) tags: Vec<Tag>,
    /// Manifests: the one that was meant, and what was there only for it.
    pub(crate) manifests: Vec<RemovedManifest>,
    /// How many tags, where it was everything.
    pub(crate) tag_count: u64,
    /// How many manifests.
    pub(crate) manifest_count: u64,
    /// How many links of blobs.
    pub(crate) link_count: u64,
    /// Why something that lost its tag was not removed.
    pub(crate) kept: Option<String>,
    /// Indexes that list what was removed, and lack it now.
    pub(crate) lacking: Vec<ContentDigest>,
}

/// A manifest that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemovedManifest {
    /// Its digest.
    pub(crate) digest: ContentDigest,
    /// Why it went, such as `"no tag names it any more"`.
    pub(crate) why: String,
}
