//! The inputs and results of the registry's operations.

use std::sync::Arc;

pub use crate::meta::{Condition, UploadId};
use crate::spec::{ContentDigest, ContentRange, Digest, MediaType, Referrer, Tag};

/// A manifest as it was pushed.
#[derive(Debug, Clone)]
pub struct ManifestContent {
    /// The digest, in the algorithm that the manifest was requested or pushed by.
    pub digest: ContentDigest,
    /// The media type that the manifest was pushed with.
    pub media_type: MediaType,
    /// The exact bytes.
    pub bytes: Arc<[u8]>,
}

/// What the index knows of a manifest.
#[derive(Debug, Clone)]
pub struct ManifestInfo {
    /// The digest, in the algorithm that the manifest was requested or pushed by.
    pub digest: ContentDigest,
    /// The media type that the manifest was pushed with.
    pub media_type: MediaType,
    /// The length in bytes.
    pub size: u64,
}

/// Where a manifest is pushed to (the specification's end-7a and end-7b).
#[derive(Debug, Clone)]
pub enum PutTarget {
    /// `PUT …/manifests/<tag>`.
    Tag(Tag),
    /// `PUT …/manifests/<digest>?tag=…`.
    Digest {
        /// The digest that the bytes must have.
        digest: Digest,
        /// The tags to set with it.
        tags: Vec<Tag>,
    },
}

/// A manifest to store.
#[derive(Debug, Clone)]
pub struct PutManifest {
    /// The tag or digest that it is pushed to.
    pub target: PutTarget,
    /// The request's Content-Type, if it had one.
    pub content_type: Option<MediaType>,
    /// The exact bytes.
    pub bytes: Arc<[u8]>,
    /// What must hold of the target; with several tags, of each.
    pub condition: Condition,
}

/// A manifest to store, whose bytes have not come yet.
#[derive(Debug)]
pub struct PushManifest<B> {
    /// The tag or digest that it is pushed to.
    pub target: PutTarget,
    /// The request's Content-Type, if it had one.
    pub content_type: Option<MediaType>,
    /// What must hold of the target; with several tags, of each.
    pub condition: Condition,
    /// The bytes.
    pub body: B,
    /// The Content-Length, if one was sent.
    pub length: Option<u64>,
}

/// A manifest that was stored.
#[derive(Debug, Clone)]
pub struct PutManifestOutcome {
    /// Its digest, in the algorithm that the client named, else SHA-256.
    pub digest: ContentDigest,
    /// The subject it refers to, for the `OCI-Subject` header.
    pub subject: Option<Digest>,
    /// The tags that were set by `?tag=`, for the `OCI-Tag` header.
    pub tags: Vec<Tag>,
}

/// A request's part of an upload: a `PATCH`, or the end of a `PUT`.
#[derive(Debug)]
pub struct Chunk<B> {
    /// The bytes. After a read error, the bytes before it are kept.
    pub body: B,
    /// The Content-Length, if one was sent.
    pub length: Option<u64>,
    /// The Content-Range, if one was sent.
    pub range: Option<ContentRange>,
}

/// The part of a list that a client requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Begin after this name, whether or not it exists.
    pub last: Option<String>,
    /// The most items to return.
    pub limit: usize,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The names, in the order of their bytes.
    pub items: Vec<T>,
    /// Whether more follow.
    pub more: bool,
}

/// The referrers that a client requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferrersPage {
    /// Only referrers of one of these artifact types; all when `None`.
    pub artifact_types: Option<Vec<String>>,
    /// Begin after this referrer.
    pub last: Option<ContentDigest>,
}

/// Referrers of one subject.
#[derive(Debug, Clone)]
pub struct Referrers {
    /// Their descriptors, in the order of their digests.
    pub items: Vec<Referrer>,
    /// The last one of this part, when more follow.
    pub next: Option<ContentDigest>,
}

/// What a registry on a read-only filesystem says.
pub(in crate::registry) const READ_ONLY: &str =
    "the registry's filesystem is read-only: pushes and deletes are refused; pulls still work";

/// Whether the registry can do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether the registry should get requests. It should with a full disk, where everything but pushes
    /// works.
    pub ready: bool,
    /// What does not work, in plain words.
    pub reasons: Vec<String>,
}

/// Totals of the store and of the work done, for monitoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Blobs in the store, manifests among them.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Bytes of content that only the journal has.
    pub unfiled_bytes: u64,
    /// Upload sessions that have begun and not ended.
    pub uploads: u64,
    /// Bytes of the index's files.
    pub index_bytes: u64,
    /// Files and folders synced since the start.
    pub syncs: u64,
    /// The total time of those syncs, in nanoseconds.
    pub sync_nanoseconds: u64,
    /// Bytes that are free on the disk, or `None` where there is no limit.
    pub free_bytes: Option<u64>,
    /// How many files can still be created on the disk, or `None` where there is no limit.
    pub free_files: Option<u64>,
    /// Whether the filesystem is read-only.
    pub read_only: bool,
    /// Whether writes are refused since a failed sync, until the store is reopened.
    pub writes_refused: bool,
    /// The tries to reopen it that have failed since.
    pub reopen_tries: u64,
    /// How often the store was reopened since the start.
    pub reopened: u64,
    /// Tags that lead to damaged or missing content, or `None` until that is known.
    pub damaged_images: Option<u64>,
    /// The totals of the scrub.
    pub scrub: ScrubTotals,
}

/// Totals of the scrub, for monitoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrubTotals {
    /// Bytes of content that were read and verified since the start.
    pub bytes: u64,
    /// Pieces of content that were found damaged or missing since the start.
    pub damaged: u64,
    /// When the last full pass ended, in seconds since 1970; 0 before the first one.
    pub last_full_pass: u64,
}
