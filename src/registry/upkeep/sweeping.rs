//! Sweeps: rows first, then the files that lost their last row.

use crate::blobs::{StoredFile, UnfinishedUpload};
use crate::meta::{Command, Sweep};
use crate::registry::content::removal::Removal;
use crate::registry::error::RegistryError;
use crate::registry::open::cleaning::UNNAMED_MAX;
use crate::registry::upkeep::Upkeep;
use crate::spec::ContentDigest;

/// How many files are looked at before somebody who goes through all of them may pause.
pub(crate) const FILES_PER_STEP: usize = 64;

impl Upkeep {
    /// Has the writer remove what of this is still as it was found. It is durable when this returns; the
    /// index tells what is gone.
    pub(crate) fn sweep(&self, sweep: Sweep) -> Result<(), RegistryError> {
        self.inner.sweep(sweep)
    }

    /// Writes the store time down, durably, if that is long ago.
    pub(crate) fn note_time(&self) -> Result<(), RegistryError> {
        if !self.clock().is_long_unwritten() {
            return Ok(());
        }
        self.inner.submit_and_wait(Command::NoteTime)
    }

    /// Removes the files of content that no row names any more, durably, and says what became of each.
    pub(crate) fn remove_files(&self, content: &[ContentDigest]) -> Result<Vec<Removal>, RegistryError> {
        // Each is tried: what is left of a batch has no name, and no later sweep comes to it.
        let removals: Vec<_> = content.iter().map(|digest| self.inner.remove_file(digest)).collect();
        // A power cut brings back no more than the next start removes by itself.
        self.inner.blobs.sync_names(content).map_err(|error| self.inner.not_stored(error))?;
        removals.into_iter().collect()
    }

    /// Lists the content that no row names, or says that there is more of it than anything that is known of
    /// leaves behind. There may be much to look at: `step` is called now and then, to pause, or to end this.
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
            // INVARIANT: a file comes after its session, or the name in use, and never after their end.
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
