//! The manifests that the immutable tags of a repository lead to through indexes.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard};

use smol::lock::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard};

use crate::base::lock;
use crate::meta::{PolicySet, PutManifestCommand};
use crate::spec::{ContentDigest, RepoName};

/// The most manifests that are kept as keys, in about 5 MiB.
const CHILDREN_MAX: usize = 400_000;

/// The most pushes that wait to be read.
const PUSHED_MAX: usize = 1 << 14;

/// What is known of the repository in which a manifest was deleted last.
#[derive(Debug, Default)]
pub(in crate::registry) struct ImmutableChildren {
    turn: AsyncMutex<()>,
    known: Mutex<Option<KnownRepo>>,
}

#[derive(Debug)]
struct KnownRepo {
    repo: RepoName,
    policy: PolicySet,
    /// `None` while indexes are read.
    children: Option<ChildKeys>,
    pushed: Vec<PushedIndex>,
}

/// An index that was pushed and is not read yet.
#[derive(Debug)]
pub(in crate::registry) struct PushedIndex {
    pub(in crate::registry) digest: ContentDigest,
    /// Whether an immutable tag names it. Otherwise only an index may lead to it.
    pub(in crate::registry) is_immutable: bool,
}

/// The indexes that immutable tags lead to, and all that they list, there or not.
#[derive(Debug, Default)]
pub(in crate::registry) struct ChildKeys {
    hasher: RandomState,
    // Equal keys by chance only keep something that could go.
    keys: HashSet<u64>,
}

impl ChildKeys {
    /// Adds a manifest. Returns false if it was known.
    pub(in crate::registry) fn insert(&mut self, digest: &ContentDigest) -> bool {
        self.keys.insert(self.hasher.hash_one(digest))
    }

    /// Tells whether there are more than can be kept.
    pub(in crate::registry) fn are_too_many(&self) -> bool {
        self.keys.len() > CHILDREN_MAX
    }

    /// Tells whether a manifest is among them.
    pub(in crate::registry) fn has(&self, digest: &ContentDigest) -> bool {
        self.keys.contains(&self.hasher.hash_one(digest))
    }
}

impl ImmutableChildren {
    /// Waits for the turn to delete a manifest.
    pub(in crate::registry) async fn turn(&self) -> AsyncMutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Takes what is known of a repository, to add what is still to be read, and notes from now on what is
    /// pushed there. `None` if all is to be read. What was decided before this must be visible before the
    /// first index is read.
    pub(in crate::registry) fn begin(
        &self,
        repo: &RepoName,
        policy: PolicySet,
    ) -> Option<(ChildKeys, Vec<PushedIndex>)> {
        let begun = KnownRepo { repo: repo.clone(), policy, children: None, pushed: Vec::new() };
        let before = self.known().replace(begun).filter(|known| known.repo == *repo)?;
        // The children are gone if the deletion that took them was given up.
        Some((before.children?, before.pushed))
    }

    /// Keeps what was read.
    pub(in crate::registry) fn finish(&self, children: ChildKeys) {
        if let Some(known) = self.known().as_mut() {
            known.children = Some(children);
        }
    }

    /// Tells whether an immutable tag leads to a manifest; `None` if something is still to be read.
    pub(in crate::registry) fn lead_to(&self, repo: &RepoName, digest: &ContentDigest) -> Option<bool> {
        let known = self.known();
        let known = known.as_ref().filter(|known| known.repo == *repo)?;
        let leads = known.children.as_ref()?.has(digest);
        (leads || known.pushed.is_empty()).then_some(leads)
    }

    /// Notes a push that was just decided.
    ///
    /// INVARIANT: no command is decided between another one and its note.
    pub(in crate::registry) fn note(&self, put: &PutManifestCommand) {
        let mut known = self.known();
        // An image lists no manifest, and the rules keep one that an immutable tag names.
        let Some(repo) = known.as_mut().filter(|known| known.repo == put.repo && !put.row.is_image()) else {
            return;
        };
        let digest = put.blob.digest();
        let is_immutable = put.tags.iter().any(|tag| repo.policy.is_immutable(tag));
        // While indexes are read, it may have been looked for before it was there.
        if is_immutable || repo.children.as_ref().is_none_or(|children| children.has(&digest)) {
            repo.pushed.push(PushedIndex { digest, is_immutable });
        }
        if repo.pushed.len() > PUSHED_MAX {
            *known = None;
        }
    }

    fn known(&self) -> MutexGuard<'_, Option<KnownRepo>> {
        lock(&self.known)
    }
}
