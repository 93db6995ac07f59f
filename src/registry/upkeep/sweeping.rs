//! Sweeps: rows first, then the files that lost their last row.

use crate::blobs::{StoredFile, UnfinishedUpload};
use crate::meta::{Command, Sweep};
use crate::registry::content::removal::Removal;
use crate::registry::error::RegistryError;
use crate::registry::open::cleaning::UNNAMED_MAX;
use crate::registry::upkeep::Upkeep;
use crate::spec::ContentDigest;

/// How many files a scan examines between two pauses.
pub(crate) const FILES_PER_STEP: usize = 64;

impl Upkeep {
    /// Has the writer remove those rows of a sweep that have not changed since they were found. The removal
    /// is durable when this returns; the index shows which rows are gone.
    pub(crate) fn sweep(&self, sweep: Sweep) -> Result<(), RegistryError> {
        self.inner.sweep(sweep)
    }

    /// Writes the store time, durably, if it was last written long ago and there is space for it. Without it,
    /// a power cut makes things younger, and they are kept longer.
    pub(crate) fn note_time(&self) -> Result<(), RegistryError> {
        if !self.clock().is_long_unwritten() {
            return Ok(());
        }
        match self.inner.submit_and_wait(Command::NoteTime) {
            Err(RegistryError::NoSpace) => {
                log::warn!("the disk is full: a power cut would lose a day of ages");
                Ok(())
            }
            done => done,
        }
    }

    /// Removes the files of content that no row names any more, durably, and returns the outcome for each.
    pub(crate) fn remove_files(&self, content: &[ContentDigest]) -> Result<Vec<Removal>, RegistryError> {
        // Try each one: the rest of a batch has no row, and no later sweep reaches it.
        let removals: Vec<_> = content.iter().map(|digest| self.inner.remove_file(digest)).collect();
        // Sync after each batch: a power cut then brings back no more than the next start removes by itself.
        self.inner.blobs.sync_names(content).map_err(|error| self.inner.not_stored(error))?;
        removals.into_iter().collect()
    }

    /// Lists the content that no row names, or returns `None` if it exceeds `UNNAMED_MAX`, more than any
    /// known cause leaves. Calls `step` every [`FILES_PER_STEP`] files, to pause, or to end the scan with an
    /// error.
    pub(crate) fn unnamed<E: From<RegistryError>>(
        &self,
        mut step: impl FnMut() -> Result<(), E>,
    ) -> Result<Option<Vec<(ContentDigest, u64)>>, E> {
        let mut unnamed = Vec::new();
        let (mut seen, mut ended) = (0_usize, Ok(()));
        let looked = self.inner.blobs.each_file(|file| {
            seen += 1;
            if seen.is_multiple_of(FILES_PER_STEP) {
                ended = step();
                if ended.is_err() {
                    return Err(RegistryError::Unavailable("the search was ended".to_owned()));
                }
            }
            if let StoredFile::Content(digest, length) = file
                && unnamed.len() <= UNNAMED_MAX
                && self.view().blob(&digest)?.is_none()
            {
                unnamed.push((digest, length));
            }
            Ok(())
        });
        ended?;
        looked?;
        Ok((unnamed.len() <= UNNAMED_MAX).then_some(unnamed))
    }

    /// Removes the files of uploads whose session has ended, and returns how many there were.
    pub(crate) fn remove_ended_uploads(&self) -> Result<u64, RegistryError> {
        let mut removed = 0;
        for UnfinishedUpload { name, .. } in self.inner.blobs.uploads()? {
            // INVARIANT: a file is created after its session or its name in use begins, and never after their
            // end.
            if !self.inner.sessions.has(&name) && !self.inner.storing.has(&name) {
                self.inner.blobs.remove_upload(&name);
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Gives up the uploads that were idle for too long.
    pub(crate) fn expire_uploads(&self) {
        self.inner.expire_uploads();
    }
}
