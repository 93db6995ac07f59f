//! Removing the files of content that no row names.

use crate::blobs::BlobError;
use crate::meta::Sweep;
use crate::registry::Inner;
use crate::registry::error::RegistryError;
use crate::registry::protection::digest_locks::RemoveGuard;
use crate::spec::ContentDigest;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is gone.
    Removed,
    /// It is needed again, or being stored again at this moment.
    Kept,
}

impl Inner {
    /// Removes the file of content durably, if no row names it and no store of it is running.
    pub(in crate::registry) fn remove_file(&self, digest: &ContentDigest) -> Result<Removal, RegistryError> {
        let Some(removing) = self.locks.try_remove(digest) else { return Ok(Removal::Kept) };
        self.remove_locked(digest, &removing)
    }

    fn remove_locked(&self, digest: &ContentDigest, _: &RemoveGuard) -> Result<Removal, RegistryError> {
        // INVARIANT: a store that began since the row was removed has written its row by now, and no store
        // begins before the lock is free. If the writer refuses commands, whether the row is durable may be
        // unknown.
        if self.meta.poisoned().is_some() || self.meta.view().blob(digest)?.is_some() {
            return Ok(Removal::Kept);
        }
        match self.blobs.remove(digest) {
            Ok(()) => Ok(Removal::Removed),
            Err(BlobError::Disk(error)) if error.is_not_found() => Ok(Removal::Removed),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the file of content whose command was refused.
    pub(in crate::registry) fn remove_if_unnamed(&self, digest: &ContentDigest) {
        if self.meta.poisoned().is_some() {
            // Whether the row is durable is unknown.
            return;
        }
        match self.remove_when_durable(digest) {
            Ok(Removal::Removed) => {}
            Ok(Removal::Kept) => log::debug!("the file of {digest} is still needed, or locked"),
            Err(error) => log::debug!("the file of {digest} stays until the next collection: {error}"),
        }
    }

    /// Removes the file of content whose row a sweep may just have removed. Stores of the content do not wait
    /// while that removal becomes durable.
    fn remove_when_durable(&self, digest: &ContentDigest) -> Result<Removal, RegistryError> {
        let Some(since) = self.locks.now(digest) else { return Ok(Removal::Kept) };
        if self.meta.view().blob(digest)?.is_some() {
            return Ok(Removal::Kept);
        }
        // An empty sweep is answered as any command after a sweep is: once that sweep is durable.
        self.sweep(Sweep::Content { content: Vec::new() }, None)?;
        // INVARIANT: only a store can have had a row written for the content since, and that row may have
        // been removed again, not durably.
        match self.locks.try_remove_since(digest, since) {
            Some(removing) => self.remove_locked(digest, &removing),
            None => Ok(Removal::Kept),
        }
    }
}
