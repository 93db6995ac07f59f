//! What a store of content offers, whatever it is kept in.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::blobs::error::BlobError;
use crate::blobs::unfiled::{CarriedBlob, UnfiledContent};
use crate::disk::ReadFile;
use crate::spec::{Algorithm, ContentDigest};

/// Content whose bytes and name are durable. Metadata may name nothing else. Publishing makes one, or a
/// durable row of the index: a file that merely exists under the right name may never have been synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurableBlob {
    digest: ContentDigest,
    size: u64,
}

impl DurableBlob {
    /// States that this content is durable. Only an implementation of [`ContentStore`] may.
    pub(in crate::blobs) fn new(digest: ContentDigest, size: u64) -> Self {
        Self { digest, size }
    }

    /// States that a durable row of the index names this content, and that nothing removes the content before
    /// the next row that names it is durable.
    pub fn of_durable_row(digest: ContentDigest, size: u64) -> Self {
        Self::new(digest, size)
    }

    /// Returns the digest.
    pub fn digest(&self) -> ContentDigest {
        self.digest
    }

    /// Returns the length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// What metadata may name: content that is durable, or that becomes durable with the line that names it.
#[derive(Debug, Clone)]
pub enum BlobSource {
    /// Its file is durable.
    Durable(DurableBlob),
    /// It rides in the line.
    Carried(CarriedBlob),
}

impl BlobSource {
    /// Returns the digest.
    pub fn digest(&self) -> ContentDigest {
        match self {
            Self::Durable(blob) => blob.digest(),
            Self::Carried(blob) => blob.digest(),
        }
    }

    /// Returns the length in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Durable(blob) => blob.size(),
            Self::Carried(blob) => blob.bytes().len() as u64,
        }
    }

    /// Returns the bytes that the line has to carry, whether or not there is a row: there may be no file.
    pub fn carried(&self) -> Option<&Arc<[u8]>> {
        match self {
            Self::Durable(_) => None,
            Self::Carried(blob) => Some(blob.bytes()),
        }
    }
}

impl From<DurableBlob> for BlobSource {
    fn from(blob: DurableBlob) -> Self {
        Self::Durable(blob)
    }
}

/// An unfinished upload as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// Its name.
    pub name: String,
    /// Its length in bytes, of which fewer may be durable.
    pub length: u64,
}

/// Where a durable upload is resumed.
#[derive(Debug, Clone, Copy)]
pub struct ResumePoint<'a> {
    /// What it is hashed with.
    pub algorithm: Algorithm,
    /// How many bytes are durable.
    pub offset: u64,
    /// The state of the hash at that offset, from [`ContentUpload::resume_point`]. Without it the bytes are
    /// read and hashed again.
    pub hash_state: Option<&'a [u8]>,
}

/// Something in the store's place for content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredFile {
    /// Content under its digest, with its length in bytes.
    Content(ContentDigest, u64),
    /// A file that is not pulk's, by its path.
    Foreign(String),
}

/// Damaged content that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The name of its file.
    pub name: String,
    /// The digest that its bytes should have.
    pub digest: ContentDigest,
    /// Its length in bytes.
    pub length: u64,
}

/// A store of content by digest, and of unfinished uploads by name.
///
/// Content is immutable. It is published in one way: its bytes are made durable, then its name. What reads
/// content is the same for every store and stands beside this trait: [`read_verified`](dyn ContentStore),
/// `verify`, `adopt` and others.
pub trait ContentStore: Send + Sync + 'static {
    /// Begins an upload that is hashed with `algorithm` as its bytes come. Nothing is written before the
    /// first byte.
    fn begin(&self, name: &str, algorithm: Algorithm) -> Box<dyn ContentUpload>;

    /// Resumes an upload of an earlier run. Bytes after the durable offset are cut off. A crash may have left
    /// an upload that had become content already: content never changes, so the upload continues elsewhere.
    fn resume(&self, name: &str, point: ResumePoint<'_>) -> Result<Box<dyn ContentUpload>, BlobError>;

    /// Lists the unfinished uploads, in the order of their names.
    fn uploads(&self) -> Result<Vec<UnfinishedUpload>, BlobError>;

    /// Removes an unfinished upload, if it exists. Not durable: what a crash brings back is removed at the
    /// next start.
    fn remove_upload(&self, name: &str);

    /// Publishes content from memory; the caller has verified that `bytes` have this digest. `name` is a name
    /// of an upload that nothing else uses.
    fn put(&self, name: &str, digest: ContentDigest, bytes: &[u8]) -> Result<DurableBlob, BlobError>;

    /// Returns the content that is durable in the journal alone. Every operation of the store has it as
    /// content.
    fn unfiled(&self) -> &Arc<UnfiledContent>;

    /// Writes the files of all content that a durable line carries, durably. After an error, it stays
    /// unfiled.
    fn write_files(&self) -> Result<(), BlobError>;

    /// Opens content, or returns `None` where there is none. It stays readable after it was removed.
    fn open(&self, digest: &ContentDigest) -> Result<Option<Arc<dyn ReadFile>>, BlobError>;

    /// Removes content that nothing names and nothing can come to name meanwhile. Not durable: a power cut
    /// may bring it back.
    fn remove(&self, digest: &ContentDigest) -> Result<(), BlobError>;

    /// Sets damaged content aside, durably, and returns where it is now. The rows that name it must be
    /// removed after this, not before: the collector removes content that no row names. Nothing may store
    /// this content meanwhile.
    fn quarantine(&self, digest: &ContentDigest) -> Result<String, BlobError>;

    /// Lists what was set aside, in the order of the digests.
    fn quarantined(&self) -> Result<Vec<Quarantined>, BlobError>;

    /// Removes something that was set aside, by its name. Not durable: a power cut may bring it back.
    fn remove_quarantined(&self, name: &str) -> Result<(), BlobError>;

    /// Visits everything in the place for content, in the order of the digests, until `visit` breaks.
    fn list(&self, visit: &mut dyn FnMut(StoredFile) -> ControlFlow<()>) -> Result<(), BlobError>;
}

impl fmt::Debug for dyn ContentStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ContentStore")
    }
}

/// An upload that is being received.
pub trait ContentUpload: Send + fmt::Debug {
    /// Returns how many bytes were received.
    fn offset(&self) -> u64;

    /// Tells whether making it durable failed. A second try could succeed although bytes never reached the
    /// medium, so the upload must not be resumed.
    fn is_lost(&self) -> bool;

    /// Returns how much more space the store needs for the next `bytes` of the `coming` ones.
    fn space_for(&self, bytes: u64, coming: u64) -> u64;

    /// Appends bytes. `coming` is how many bytes are known to come, with these; space is reserved for some of
    /// them. After an error the upload is as it was.
    fn append(&mut self, bytes: &[u8], coming: u64) -> Result<(), BlobError>;

    /// Returns space that was reserved for bytes that did not come, or that a failed write took.
    fn release_reserved(&mut self) -> Result<(), BlobError>;

    /// Makes the upload durable up to its offset, if at least `step` bytes were received since the last time.
    /// Returns whether it did. After an error the upload is lost.
    fn make_durable(&mut self, step: u64) -> Result<bool, BlobError>;

    /// Returns where the upload could be resumed if it were durable now, and the state of the hash there,
    /// where it can be saved. Bytes after it may be lost or garbled at a power cut even if they were made
    /// durable. It is never after a mark.
    fn resume_point(&self) -> (u64, Option<Vec<u8>>);

    /// Reads back everything that was received.
    fn read_back(&mut self) -> Result<Vec<u8>, BlobError>;

    /// Marks how many bytes were received, unless there is a mark: what comes from now on is provisional.
    fn mark(&mut self);

    /// Discards what was received after the mark, if there is one, and removes the mark. The file keeps its
    /// length until [`Self::release_reserved`].
    fn rewind(&mut self);

    /// Closes the file of an idle upload, unless it has bytes that are not durable: the system reports that
    /// it lost them only to a handle that was open then.
    fn pause(&mut self);

    /// Tells whether the upload's file is open.
    fn is_open(&self) -> bool;

    /// Returns everything that was received, if it is short enough to be carried and has no file yet.
    fn short(&self) -> Option<Arc<[u8]>>;

    /// Removes the file of an upload whose content is not needed. The upload has ended.
    fn discard(&mut self);

    /// Fails if what was received has another digest.
    fn check_digest(&mut self, digest: ContentDigest) -> Result<(), BlobError>;

    /// Publishes what was received, if it has this digest. The upload has ended then, and also when it has
    /// another digest or could not be made durable; after any other error it is as it was.
    fn publish(&mut self, digest: ContentDigest) -> Result<DurableBlob, BlobError>;
}
