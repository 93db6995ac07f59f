//! Content that is damaged or missing: how it is reported, and taken out of use.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use smol::block_on;

use crate::base::lock;
use crate::blobs::{BlobError, ContentStore, Quarantined};
use crate::disk::{Disk, ReadFile};
use crate::meta::Command;
use crate::registry::content::damage::damage_origin;
use crate::registry::error::RegistryError;
use crate::registry::{Inner, Registry};
use crate::spec::ContentDigest;

/// What became of content that was found damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condemned {
    /// It is out of use.
    Yes,
    /// It was stored again meanwhile, or no row names it any more.
    No,
    /// It is being stored at the moment: retry later.
    Later,
}

impl Registry {
    /// Returns the channel that wakes a scrub and reports content that readers found damaged or missing. Only
    /// the first call gets it.
    pub(crate) fn scrub_waker(&self) -> Option<Receiver<Option<ContentDigest>>> {
        lock(&self.inner.damage_reports.receiver).take()
    }

    /// Reports content to the scrub, as a reader that found it damaged would.
    #[cfg(test)]
    pub(crate) fn report_damage(&self, digest: &ContentDigest) {
        let _ = self.inner.damage_reports.sender.try_send(Some(*digest));
    }

    /// Wakes the scrub.
    pub(crate) fn wake_scrub(&self) {
        // If the channel is full, the scrub is awake.
        let _ = self.inner.damage_reports.sender.try_send(None);
    }

    /// Returns the store's content.
    pub(crate) fn content(&self) -> &dyn ContentStore {
        self.inner.blobs.as_ref()
    }

    /// Returns the disk of the store.
    pub(crate) fn disk(&self) -> &dyn Disk {
        self.inner.disk.as_ref()
    }

    /// Lists damaged content that was set aside.
    pub(crate) fn quarantined(&self) -> Result<Vec<Quarantined>, RegistryError> {
        self.inner.blobs.quarantined().map_err(|error| RegistryError::Internal(error.to_string()))
    }

    /// Removes damaged content that was set aside. Returns whether it is gone: it stays while it is being
    /// taken out of use.
    pub(crate) fn remove_quarantined(&self, file: &Quarantined) -> Result<bool, RegistryError> {
        // INVARIANT: a start after a crash condemns what is set aside and still named. Until the row is gone,
        // or the content is stored again, the file has to stay.
        if self.view().blob(&file.digest)?.is_some() && self.content().length(&file.digest)?.is_none() {
            return Ok(false);
        }
        match self.content().remove_quarantined(&file.name) {
            Ok(()) => Ok(true),
            Err(BlobError::Disk(error)) if error.is_not_found() => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes content out of use that was found damaged or missing. `file` is the file that was read, or
    /// `None` if it was missing. Repositories lose the content until it is pushed again. Blocks.
    pub(crate) fn condemn(
        &self,
        digest: ContentDigest,
        file: Option<&dyn ReadFile>,
    ) -> Result<Condemned, RegistryError> {
        // INVARIANT: the lock keeps stores from giving a file that name, so what is moved is what was read.
        let Some(_lock) = self.inner.locks.try_remove(&digest) else { return Ok(Condemned::Later) };
        if self.inner.meta.view().blob(&digest)?.is_none() {
            return Ok(Condemned::No);
        }
        let there = self.inner.blobs.open(&digest)?;
        match (there, file) {
            (None, None) => {}
            (Some(there), Some(file)) if same(there.as_ref(), file) => {
                let inner = &self.inner;
                let path = inner.blobs.quarantine(&digest).map_err(|error| inner.not_stored(error))?;
                log::error!("{digest} is damaged: moved to {path} and no longer served");
            }
            _ => return Ok(Condemned::No),
        }
        self.inner.scrubbed.damaged.fetch_add(1, Ordering::Relaxed);
        block_on(self.on_behalf_of(damage_origin()).command(Command::Condemn { digest }))?;
        Ok(Condemned::Yes)
    }
}

/// Tells whether two open files are the same file.
fn same(one: &dyn ReadFile, other: &dyn ReadFile) -> bool {
    matches!((one.identity(), other.identity()), (Ok(one), Ok(other)) if one == other)
}

impl Inner {
    /// Reports content that the index has, and that is missing or damaged on the disk.
    pub(in crate::registry) fn damaged(&self, digest: &ContentDigest, what: &str) -> RegistryError {
        log::error!("{digest} {what}");
        self.report_damage(digest);
        RegistryError::Internal(format!("{digest} {what}"))
    }

    /// Reports content to the scrub.
    pub(in crate::registry) fn report_damage(&self, digest: &ContentDigest) {
        // If the channel is full, the scrub reaches this content in its pass.
        let _ = self.damage_reports.sender.try_send(Some(*digest));
    }
}
