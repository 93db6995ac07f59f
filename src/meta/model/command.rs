//! The commands that change metadata.

use std::sync::Arc;

use crate::blobs::BlobSource;
use crate::meta::model::ManifestRow;
use crate::meta::model::origin::Origin;
use crate::meta::model::row::{TagRow, UploadRow};
use crate::meta::model::upload_id::UploadId;
use crate::spec::{ContentDigest, Digest, RepoName, Tag};

/// A condition on what the target named before (RFC 9110, section 13.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Condition {
    /// No condition.
    #[default]
    Always,
    /// `If-Match: *`: the target must exist.
    Exists,
    /// `If-None-Match: *`: the target must not exist.
    Absent,
    /// `If-Match: "<digest>", …`: the target must name one of these.
    Matches(Vec<Digest>),
    /// `If-None-Match: "<digest>", …`: the target must name none of these.
    MatchesNone(Vec<Digest>),
}

/// A request to the writer. It carries time, ids and every other input that is not in the index.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "pushes are the most frequent, and each command moves in a box"
)]
pub enum Command {
    /// Store a manifest, and set tags to it.
    PutManifest(PutManifestCommand),
    /// Remove a manifest and the tags that name it.
    DeleteManifest {
        /// The repository.
        repo: RepoName,
        /// The manifest.
        digest: ContentDigest,
    },
    /// Remove a manifest unless a tag names it.
    DeleteUntagged {
        /// The repository.
        repo: RepoName,
        /// The manifest.
        digest: ContentDigest,
    },
    /// Remove a tag.
    DeleteTag {
        /// The repository.
        repo: RepoName,
        /// The tag.
        tag: Tag,
    },
    /// Make a blob present in a repository, and end the upload that brought it.
    Link {
        /// The repository.
        repo: RepoName,
        /// The blob.
        blob: BlobSource,
        /// The upload session.
        upload: UploadId,
    },
    /// Make a blob that one repository has present in another.
    Mount {
        /// The repository that gets it.
        repo: RepoName,
        /// The repository that has it.
        from: RepoName,
        /// The blob.
        digest: ContentDigest,
    },
    /// Remove a blob from a repository.
    Unlink {
        /// The repository.
        repo: RepoName,
        /// The blob.
        digest: ContentDigest,
    },
    /// Mark content that repositories have as damaged or missing: none of them has it until it is pushed
    /// again; then all of them have it again.
    Condemn {
        /// The content.
        digest: ContentDigest,
    },
    /// Begin an upload session.
    BeginUpload {
        /// Its id.
        id: UploadId,
        /// Its row.
        row: UploadRow,
    },
    /// Note how much of an upload is durable.
    AdvanceUpload {
        /// Its id.
        id: UploadId,
        /// Its row.
        row: UploadRow,
    },
    /// Remove unneeded content.
    Sweep(Sweep),
    /// Write a line that holds only the store time.
    NoteTime,
    /// End an upload session without a result.
    EndUpload {
        /// Its id.
        id: UploadId,
    },
}

/// The most candidates that one sweep may have: few, since pushes wait while the writer looks at them.
pub const SWEEP_CANDIDATES_MAX: usize = 64;

/// Candidates for removal, if they are still as they were found and no client relies on them: at most
/// [`SWEEP_CANDIDATES_MAX`] of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sweep {
    /// Tags, each with the row that it had.
    Tags {
        /// The repository.
        repo: RepoName,
        /// The tags.
        tags: Vec<(Tag, TagRow)>,
    },
    /// Manifests that no tag leads to.
    Manifests {
        /// The repository.
        repo: RepoName,
        /// The manifests.
        manifests: Vec<ContentDigest>,
    },
    /// Images, each whole or not at all.
    Images {
        /// The repository.
        repo: RepoName,
        /// The images.
        images: Vec<SweptImage>,
    },
    /// Blobs' presence in a repository whose manifests do not reference them.
    Links {
        /// The repository.
        repo: RepoName,
        /// The blobs.
        links: Vec<ContentDigest>,
    },
    /// The row of a repository, if it is empty.
    Repository {
        /// The repository.
        repo: RepoName,
    },
    /// Content that no repository has.
    Content {
        /// The content.
        content: Vec<ContentDigest>,
    },
    /// Changes of tags that the history no longer keeps.
    History {
        /// The changes: the repository, the tag and the order of each.
        rows: Vec<(RepoName, Tag, u64)>,
    },
}

/// What goes together: manifests that need each other, with all of their tags, and the tags of signatures
/// that belong to them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SweptImage {
    /// The tags, each with the row that it had.
    pub tags: Vec<(Tag, TagRow)>,
    /// The manifests, each before what it lists.
    pub manifests: Vec<ContentDigest>,
}

impl SweptImage {
    /// Returns of how many tags and manifests it consists.
    pub fn parts(&self) -> usize {
        self.tags.len() + self.manifests.len()
    }
}

/// The most parts of an image that go together. A larger one goes in several sweeps, each of which leaves a
/// correct state.
pub const IMAGE_PARTS_MAX: usize = 256;

/// The manifest to store.
#[derive(Debug, Clone)]
pub struct PutManifestCommand {
    /// The repository.
    pub repo: RepoName,
    /// The manifest's bytes in the store.
    pub blob: BlobSource,
    /// The manifest's row.
    pub row: ManifestRow,
    /// The blobs that the repository must have.
    pub blobs: Arc<[Digest]>,
    /// The manifests or blobs that the repository must have, for an index.
    pub children: Arc<[Digest]>,
    /// All that it references, whether or not the repository must have it: what it has is kept from now on.
    pub references: Arc<[Digest]>,
    /// The tags to set.
    pub tags: Vec<Tag>,
    /// What must hold of each of the tags, or of the digest if `tags` is empty.
    pub condition: Condition,
}

/// A command, and where it comes from.
#[derive(Debug, Clone)]
pub struct AttributedCommand {
    /// What to do.
    pub command: Command,
    /// Where it comes from, if that is known.
    pub by: Option<Arc<Origin>>,
}

impl From<Command> for AttributedCommand {
    fn from(command: Command) -> Self {
        Self { command, by: None }
    }
}

impl Command {
    /// Attributes it to an origin.
    pub fn by(self, origin: Option<Arc<Origin>>) -> AttributedCommand {
        AttributedCommand { command: self, by: origin }
    }

    /// Tells whether the answer may go out before the command is durable: a begun upload need not survive,
    /// and an upload's progress is promised to no client.
    pub fn rides_along(&self) -> bool {
        matches!(self, Self::BeginUpload { .. } | Self::AdvanceUpload { .. })
    }
}
