//! What goes into the registry's operations and what comes out of them.

use std::sync::Arc;

pub use crate::meta::{Condition, UploadId};
use crate::spec::{ContentDigest, ContentRange, Digest, MediaType, Referrer, Tag};

/// A manifest as it was pushed.
#[derive(Debug, Clone)]
pub struct ManifestContent {
    /// The digest, in the algorithm that it was asked for or pushed by.
    pub digest: ContentDigest,
    /// The media type that it was pushed with.
    pub media_type: MediaType,
    /// The exact bytes.
    pub bytes: Arc<[u8]>,
}

/// What the index knows of a manifest.
#[derive(Debug, Clone)]
pub struct ManifestInfo {
    /// The digest, in the algorithm that it was asked for or pushed by.
    pub digest: ContentDigest,
    /// The media type that it was pushed with.
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
    /// Where to.
    pub target: PutTarget,
    /// The request's Content-Type, if it had one.
    pub content_type: Option<MediaType>,
    /// The exact bytes.
    pub bytes: Arc<[u8]>,
    /// What must hold of the target; with several tags, of each.
    pub condition: Condition,
}

/// A manifest to store, whose bytes are still to come.
#[derive(Debug)]
pub struct PushManifest<B> {
    /// Where to.
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
    /// The bytes; an error while reading them keeps what came before it.
    pub body: B,
    /// The Content-Length, if one was sent.
    pub length: Option<u64>,
    /// The Content-Range, if one was sent.
    pub range: Option<ContentRange>,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Begin behind this name, whether or not it exists.
    pub last: Option<String>,
    /// How many at most.
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

/// Which referrers are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferrersPage {
    /// Only those of one of these artifact types; all when `None`.
    pub artifact_types: Option<Vec<String>>,
    /// Begin behind this one.
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

/// Whether the registry can do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether it should be asked at all. With a full disk it should: everything but pushes goes on.
    pub ready: bool,
    /// What does not work, in plain words.
    pub reasons: Vec<String>,
}

/// What is stored and what was done, for whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Blobs in the store, manifests among them.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Upload sessions that have begun and not ended.
    pub uploads: u64,
    /// Bytes of the index's files.
    pub index_bytes: u64,
    /// Files and folders synced since the start.
    pub syncs: u64,
    /// How long those took together, in nanoseconds.
    pub sync_nanoseconds: u64,
    /// Bytes that are free on the disk, or `None` where there is no limit.
    pub free_bytes: Option<u64>,
    /// What the scrub did.
    pub scrub: ScrubTotals,
}

/// What a scrub did, for whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrubTotals {
    /// Bytes of content that were read and verified since the start.
    pub bytes: u64,
    /// Pieces of content that were found damaged or missing since the start.
    pub damaged: u64,
    /// When the last full pass ended, in seconds since 1970; 0 when there was none.
    pub last_full_pass: u64,
}
