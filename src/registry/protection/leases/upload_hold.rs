//! The hold of one unfinished upload.

use std::sync::Arc;
use std::time::Instant;

use super::Leases;
use super::open_uploads::Renewed;
use crate::spec::RepoName;

/// An upload that is open, until this is dropped.
#[derive(Debug)]
pub(in crate::registry) struct UploadHold {
    leases: Arc<Leases>,
    repo: u64,
    number: u64,
}

impl Leases {
    /// Holds for an upload what its repository gets from now on; for one of an earlier run, all that the
    /// repository has. What it held has a lease when the hold is dropped.
    pub(in crate::registry) fn hold_for_upload(
        self: &Arc<Self>,
        repo: &RepoName,
        is_new: bool,
    ) -> UploadHold {
        let repo = self.all_key(repo);
        let number = self.state().uploads.begin(repo, is_new, Instant::now());
        UploadHold { leases: Arc::clone(self), repo, number }
    }
}

impl Drop for UploadHold {
    fn drop(&mut self) {
        let (mut state, now) = (self.leases.state(), Instant::now());
        let keys = match state.uploads.end(self.repo, self.number, now) {
            Some(Renewed::Keys(keys)) => keys,
            Some(Renewed::Everything) => vec![self.repo],
            None => return,
        };
        for key in keys {
            state.leased.insert(key, now);
            state.young.insert(key, now);
        }
    }
}
