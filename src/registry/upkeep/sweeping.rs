//! Sweeps: rows first, then the files that lost their last row.

use crate::blobs::{StoredFile, UnfinishedUpload};
use crate::meta::{Command, Origin, Sweep};
use crate::registry::error::RegistryError;
use crate::registry::upkeep::Upkeep;
use crate::registry::upkeep::removal::Removal;
use crate::spec::ContentDigest;

/// How many files a scan examines between two pauses.
pub(crate) const FILES_PER_STEP: usize = 64;

/// How many files without a name a pass examines; those that remain are left to the passes after it. Bounds
/// the memory of a pass.
const UNNAMED_PER_PASS_MAX: usize = 32 * 1024;

impl Upkeep {
    /// Has the writer remove those rows of a sweep that have not changed since they were found. The removal
    /// is durable when this returns; the index shows which rows are gone.
    pub(crate) fn sweep(&self, sweep: Sweep, by: Origin) -> Result<(), RegistryError> {
        self.inner.sweep(sweep, Some(by))
    }

    /// Tells whether pulls wait to be noted.
    pub(crate) fn has_pending_pulls(&self) -> bool {
        self.inner.leases.pulls().any()
    }

    /// Writes the store time, durably, if it was last written long ago and there is space for it. Without it,
    /// a power cut makes things younger, and they are kept longer. The notes of pulls ride along.
    pub(crate) fn note_time(&self) -> Result<(), RegistryError> {
        if !self.clock().is_long_unwritten() {
            return Ok(());
        }
        match self.inner.submit_and_wait(Command::NoteTime.into()) {
            Err(RegistryError::NoSpace) => {
                log::warn!("the disk is full: a power cut would lose a day of ages");
                Ok(())
            }
            done => done,
        }
    }

    /// Removes the files of content that no row names any more, and returns the outcome for each. The removal
    /// is not made durable: later passes find what a power cut brings back.
    pub(crate) fn remove_files(&self, content: &[ContentDigest]) -> Result<Vec<Removal>, RegistryError> {
        // Try each one: the rest of a batch has no row, and no later sweep reaches it.
        let removals: Vec<_> = content.iter().map(|digest| self.inner.remove_file(digest)).collect();
        removals.into_iter().collect()
    }

    /// Lists the content that no row names, in the order of the digests, up to [`UNNAMED_PER_PASS_MAX`]
    /// files. Calls `step` every [`FILES_PER_STEP`] files, to pause, or to end the scan with an error.
    pub(crate) fn unnamed<E: From<RegistryError>>(
        &self,
        mut step: impl FnMut() -> Result<(), E>,
    ) -> Result<Vec<(ContentDigest, u64)>, E> {
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
                && unnamed.len() < UNNAMED_PER_PASS_MAX
                && self.view().blob(&digest)?.is_none()
            {
                unnamed.push((digest, length));
            }
            Ok(())
        });
        ended?;
        looked?;
        Ok(unnamed)
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
