//! What immutable tags lead to, as the last deletion found it.

use std::collections::HashSet;

use smol::lock::Mutex;

use crate::spec::{ContentDigest, RepoName};

/// How many digests are kept for the next deletion, 16 bytes each.
const KEPT_DIGESTS_MAX: usize = 1 << 18;

/// What the immutable tags lead to of the repository in which something was deleted last. While it is found,
/// further deletions in such repositories wait.
#[derive(Debug, Default)]
pub(in crate::registry) struct ImmutableContent(pub(in crate::registry) Mutex<Option<ImmutableReach>>);

/// What the immutable tags of a repository lead to, without the manifests that they name.
#[derive(Debug)]
pub(in crate::registry) struct ImmutableReach {
    pub(in crate::registry) repo: RepoName,
    /// The count of pushes that were visible when the first tag was read: this is complete until it changes.
    pub(in crate::registry) pushes: u64,
    /// The keys of all that is referenced, there or not. Equal keys by chance keep something that could go.
    pub(in crate::registry) referenced: HashSet<u64>,
    /// A manifest that cannot be read: it may reference anything.
    pub(in crate::registry) unreadable: Option<ContentDigest>,
}

impl ImmutableReach {
    /// Returns it if it is complete and small enough to be kept.
    pub(in crate::registry) fn kept(self) -> Option<Self> {
        (self.unreadable.is_none() && self.referenced.len() <= KEPT_DIGESTS_MAX).then_some(self)
    }
}
