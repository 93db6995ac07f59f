//! Files of content that were verified and have not changed since.

use std::time::SystemTime;

use quick_cache::sync::Cache;

use crate::disk::FileState;
use crate::spec::ContentDigest;

/// The most files that are remembered: about 200 KiB.
const REMEMBERED_MAX_FILES: usize = 1024;

/// Remembers verified files, so that the same bytes are not read again to verify them. The scrub finds what a
/// medium loses meanwhile.
#[derive(Debug)]
pub(in crate::registry) struct VerifiedFiles {
    files: Cache<ContentDigest, FileState>,
}

impl VerifiedFiles {
    pub(in crate::registry) fn new() -> Self {
        Self { files: Cache::new(REMEMBERED_MAX_FILES) }
    }

    /// Tells whether this file was verified and has not changed since.
    pub(in crate::registry) fn knows(&self, digest: &ContentDigest, state: Option<FileState>) -> bool {
        state.is_some() && self.files.get(digest) == state
    }

    /// Remembers a verified file. `before` is its state when the read began, so that a later change shows. A
    /// file so new that a change could keep its times is not remembered.
    pub(in crate::registry) fn remember(
        &self,
        digest: ContentDigest,
        before: Option<FileState>,
        began: SystemTime,
    ) {
        if let Some(state) = before.filter(|state| state.is_settled(began)) {
            self.files.insert(digest, state);
        }
    }
}
