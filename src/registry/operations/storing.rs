//! Storing content, unless it is there already.

use crate::base::lock;
use crate::blobs::{BlobError, ContentUpload, DurableBlob};
use crate::registry::Inner;
use crate::spec::ContentDigest;

/// The longest content that is read to find out whether it is there already. Of a longer upload the most part
/// is on the medium by the time it ends, and reading would cost more than what is left to write.
const COMPARED_MAX_BYTES: u64 = 16 * 1024 * 1024;

impl Inner {
    /// Publishes an upload. Content that is there already is not stored again: its upload is discarded.
    pub(in crate::registry) fn publish(
        &self,
        upload: &mut dyn ContentUpload,
        digest: ContentDigest,
    ) -> Result<DurableBlob, BlobError> {
        let Some(stored) = self.stored_before(digest, upload.offset()) else { return upload.publish(digest) };
        upload.check_digest(digest)?;
        upload.discard();
        Ok(stored)
    }

    /// Returns content that a durable row names and whose bytes are still those of its digest. A push of
    /// content that is damaged or missing stores it again.
    ///
    /// INVARIANT: the caller holds the lock of the digest until its command has ended. The content is then
    /// neither removed nor set aside meanwhile, even if a sweep removes its row.
    pub(in crate::registry) fn stored_before(&self, digest: ContentDigest, size: u64) -> Option<DurableBlob> {
        let row = self.meta.view().blob(&digest).ok().flatten()?;
        if size > COMPARED_MAX_BYTES || row.size != size {
            return None;
        }
        let is_intact = self.blobs.is_intact(&digest, size);
        // INVARIANT: the row says nothing of a file that a push stores in its place, and bytes that are read
        // need not be durable. Content is noted before it gets such a file, and asked for after it was read.
        let mut stored_again = lock(&self.damage_reports.stored_again);
        if !is_intact {
            stored_again.insert(digest);
        }
        (!stored_again.contains(&digest)).then(|| DurableBlob::of_durable_row(digest, size))
    }
}
