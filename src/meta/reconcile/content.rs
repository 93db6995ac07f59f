//! Content: what of it metadata may name.

use crate::blobs::{ContentStore, Verification};
use crate::meta::error::MetaOpenError;
use crate::meta::model::{BlobRow, Fact, Optional, Tree, UploadId};
use crate::meta::reconcile::reconciler::Reconciler;
use crate::meta::reconcile::report::Action;
use crate::spec::{ContentDigest, MANIFEST_SIZE_LIMIT_BYTES};

impl Reconciler<'_> {
    /// Drops the rows of content that is missing or has another length.
    pub(super) fn check_content(&mut self) -> Result<(), MetaOpenError> {
        self.each_row(Tree::Blobs, |this, fact| {
            let Fact::Blob { digest, row: Some(row), .. } = fact else { return Ok(()) };
            let why = match this.blobs.length(&digest) {
                Ok(Some(length)) if length == row.size => return Ok(()),
                Ok(Some(length)) => format!("its file has {length} bytes instead of {}", row.size),
                Ok(None) => "its file is missing".to_owned(),
                Err(error) => error.to_string(),
            };
            this.report.note(Action::DropContent, &format_args!("{digest}: {why}"));
            this.take(Fact::Blob { digest, row: None, content: None })
        })
    }

    /// Returns the length in bytes of content that metadata may name. Content without a row is adopted first.
    pub(super) fn usable(&mut self, digest: &ContentDigest) -> Result<Option<u64>, MetaOpenError> {
        if let Some(row) = self.view().blob(digest)? {
            return Ok(Some(row.size));
        }
        if self.refused.contains(digest) {
            return Ok(None);
        }
        match self.blobs.adopt(&UploadId::random().to_string(), *digest)? {
            Verification::Intact(blob) => {
                let size = blob.size();
                self.report.note(Action::AdoptContent, &format_args!("{digest}, {size} bytes"));
                self.take(Fact::Blob {
                    digest: *digest,
                    row: Some(BlobRow { size, optional: Optional::default() }),
                    content: None,
                })?;
                Ok(Some(size))
            }
            Verification::Damaged => {
                self.refused.insert(*digest);
                Ok(None)
            }
            Verification::Missing => Ok(None),
        }
    }

    /// Returns the verified bytes of content that metadata may name and that may be a manifest.
    pub(super) fn usable_bytes(&mut self, digest: &ContentDigest) -> Result<Option<Vec<u8>>, MetaOpenError> {
        match self.usable(digest)? {
            Some(size) if size <= MANIFEST_SIZE_LIMIT_BYTES => Ok(verified_bytes(self.blobs, digest, size)),
            _ => Ok(None),
        }
    }
}

/// Returns the bytes of small content of this length if they match their digest.
pub(super) fn verified_bytes(
    blobs: &dyn ContentStore,
    digest: &ContentDigest,
    length: u64,
) -> Option<Vec<u8>> {
    // Bytes that the medium no longer returns are lost, too.
    match blobs.read_verified(digest, length) {
        Ok(Verification::Intact(bytes)) => Some(bytes),
        _ => None,
    }
}
