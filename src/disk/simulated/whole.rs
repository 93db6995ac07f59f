//! A sync of the whole medium.

use std::collections::BTreeSet;

use super::super::names::FolderId;
use super::medium::{FileId, Medium};

impl Medium {
    /// Makes everything durable that no failure has lost.
    pub(super) fn sync_filesystem(&mut self) {
        let files: Vec<FileId> = self.files.keys().copied().collect();
        files.into_iter().for_each(|file| self.sync(file, false));
        let folders: BTreeSet<FolderId> = self.pending.keys().map(|(folder, _)| *folder).collect();
        folders.into_iter().for_each(|folder| self.sync_folder(folder, false));
    }
}
