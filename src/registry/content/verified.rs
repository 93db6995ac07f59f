//! Which files of content were read and found right, and have not changed since.

use std::time::SystemTime;

use quick_cache::sync::Cache;

use crate::disk::FileState;
use crate::spec::ContentDigest;

/// How many files are remembered: some 200 KiB.
const REMEMBERED_MAX_FILES: usize = 1024;

/// Remembers the files that were verified, so that the same bytes are not read for that again. What a medium
/// loses meanwhile is for the scrub to find.
#[derive(Debug)]
pub(in crate::registry) struct VerifiedFiles {
    files: Cache<ContentDigest, FileState>,
}

impl VerifiedFiles {
    pub(in crate::registry) fn new() -> Self {
        Self { files: Cache::new(REMEMBERED_MAX_FILES) }
    }

    /// Tells whether this file was verified and is as it was then.
    pub(in crate::registry) fn knows(&self, digest: &ContentDigest, state: Option<FileState>) -> bool {
        state.is_some() && self.files.get(digest) == state
    }

    /// Remembers a file that was verified. `before` is what it was when the reading began, so that what
    /// changed it since then shows, unless that could have left its times as they are.
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
