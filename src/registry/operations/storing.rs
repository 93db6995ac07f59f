//! Storing content, unless it is there already.

use std::sync::Arc;

use crate::base::lock;
use crate::blobs::{BlobError, BlobSource, ContentUpload, DurableBlob};
use crate::registry::Inner;
use crate::registry::error::RegistryError;
use crate::registry::types::UploadId;
use crate::spec::ContentDigest;

/// The longest content that is read to find out whether it is there already. Of a longer upload the most part
/// is on the medium by the time it ends, and reading would cost more than what is left to write.
const COMPARED_MAX_BYTES: u64 = 16 * 1024 * 1024;

impl Inner {
    /// Publishes an upload. Content that is there already is not stored again, and short content rides in
    /// the line of its command: either upload is discarded.
    pub(in crate::registry) fn publish(
        &self,
        upload: &mut dyn ContentUpload,
        digest: ContentDigest,
    ) -> Result<BlobSource, BlobError> {
        let unfiled = self.blobs.unfiled();
        let stored = self.stored_before(digest, upload.offset());
        if stored.is_none() && upload.short().is_none() {
            return upload.publish(digest).map(BlobSource::from);
        }
        upload.check_digest(digest)?;
        let carried = || unfiled.carry(digest, &upload.short()?).map(BlobSource::Carried);
        match stored.or_else(carried) {
            Some(source) => {
                upload.discard();
                Ok(source)
            }
            None => upload.publish(digest).map(BlobSource::from),
        }
    }

    /// Stores the bytes of a manifest, as [`Self::publish`] does.
    pub(in crate::registry) fn store_manifest(
        &self,
        digest: ContentDigest,
        bytes: &Arc<[u8]>,
    ) -> Result<BlobSource, RegistryError> {
        let carried = || self.blobs.unfiled().carry(digest, bytes).map(BlobSource::Carried);
        if let Some(source) = self.stored_before(digest, bytes.len() as u64).or_else(carried) {
            return Ok(source);
        }
        let name = self.storing.take(UploadId::random().to_string());
        let stored = self.blobs.put(name.as_str(), digest, bytes);
        stored.map(BlobSource::from).map_err(|error| self.not_stored(error))
    }

    /// Returns content that a durable row names and whose bytes are still those of its digest. A push of
    /// content that is damaged or missing stores it again.
    ///
    /// INVARIANT: the caller holds the lock of the digest until its command has ended. The content is then
    /// neither removed nor set aside meanwhile, even if a sweep removes its row.
    fn stored_before(&self, digest: ContentDigest, size: u64) -> Option<BlobSource> {
        let row = self.meta.view().blob(&digest).ok().flatten()?;
        if size > COMPARED_MAX_BYTES || row.size != size {
            return None;
        }
        let is_intact = self.blobs.is_intact(&digest, size);
        // INVARIANT: the row says nothing of bytes that a push stores again, in a file or in a line, and
        // bytes that are read need not be durable. Content is noted before it is stored again, and asked for
        // after it was read.
        let mut stored_again = lock(&self.damage_reports.stored_again);
        if !is_intact {
            stored_again.insert(digest);
        }
        let is_stored = !stored_again.contains(&digest);
        is_stored.then(|| BlobSource::Durable(DurableBlob::of_durable_row(digest, size)))
    }
}
