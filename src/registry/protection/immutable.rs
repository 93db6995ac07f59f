//! What the immutable tags of a repository lead to, complete while clients push to it.
//!
//! Everything that an immutable tag names, and everything that is referenced from there, is protected,
//! whether the repository has it or not. A deletion follows the manifests of its repository; the writer adds
//! what is pushed meanwhile and later. So nothing is read twice, and a deletion that was checked is judged
//! once more in the writer, by the keys alone.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard};

use smol::lock::{Mutex as AsyncMutex, MutexGuardArc};

use crate::base::lock;
use crate::meta::{Policies, PutManifestCommand, View};
use crate::registry::protection::key_filter::KeyFilter;
use crate::spec::{ContentDigest, Digest, RepoName, Tag};

/// The most manifests that are known to have been followed, 9 bytes each. Further images are followed once
/// more for each manifest that references them; with further indexes, nothing can be deleted.
const FOLLOWED_MAX: usize = 1 << 17;

/// The most pushes that are noted while manifests are followed.
const PUSHED_MAX: usize = 1 << 14;

/// How many digests are added at once: the writer may wait for it.
const ADDED_AT_ONCE_MAX: usize = 1024;

/// What the immutable tags of the repository lead to in which something was deleted last.
#[derive(Debug, Default)]
pub(in crate::registry) struct ImmutableContent {
    turn: Arc<AsyncMutex<()>>,
    reach: Mutex<Option<ImmutableReach>>,
}

/// The right to follow manifests, and to delete something. One deletion at a time has it, with the work that
/// it left to another thread.
pub(in crate::registry) type DeletionTurn = MutexGuardArc<()>;

/// What is followed next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) enum FollowNext {
    /// This manifest.
    Manifest(ContentDigest),
    /// What the tags after this one name.
    TagsAfter(Option<Tag>),
    /// Everything was followed.
    Nothing,
}

/// Why it cannot be told what is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum ReachFailure {
    /// A manifest cannot be read: it may reference anything.
    Unreadable(ContentDigest),
    /// There are too many indexes.
    TooManyIndexes,
    /// Too much was pushed meanwhile.
    TooManyPushes,
}

/// What the immutable tags of a repository lead to.
#[derive(Debug)]
struct ImmutableReach {
    repo: RepoName,
    policies: Policies,
    keys: RandomState,
    /// The keys of all that is protected, there or not. Equal keys by chance protect something that could go.
    protected: KeyFilter,
    /// The keys of manifests of which all references are protected, or that are in `waiting`.
    followed: HashSet<u64>,
    /// Manifests that are followed next. They are protected themselves.
    waiting: VecDeque<ContentDigest>,
    /// The last tag that was read.
    last: Option<Tag>,
    tags_read: bool,
    /// Whether manifests are being followed.
    is_open: bool,
    /// The manifests that are pushed while this is open, and whether they are images. Where one was looked
    /// for, the index may not have shown it yet.
    pushed: Vec<(ContentDigest, bool)>,
    failure: Option<ReachFailure>,
}

impl ImmutableContent {
    /// Waits for the turn to delete something.
    pub(in crate::registry) async fn turn(&self) -> DeletionTurn {
        self.turn.lock_arc().await
    }

    /// Begins to note what is pushed to a repository, unless it was the last one.
    pub(in crate::registry) fn begin(&self, repo: &RepoName, policies: &Policies) {
        let mut reach = self.reach();
        if reach.as_ref().is_none_or(|known| known.repo != *repo) {
            *reach = Some(ImmutableReach::new(repo.clone(), policies.clone()));
        }
    }

    /// Tells whether manifests must be followed. What was decided before this must then become visible before
    /// the first is read.
    pub(in crate::registry) fn open(&self) -> bool {
        let mut reach = self.reach();
        let Some(reach) = reach.as_mut() else { return false };
        reach.is_open |= !reach.waiting.is_empty();
        reach.is_open && reach.failure.is_none()
    }

    /// Returns what is followed next.
    pub(in crate::registry) fn next(&self) -> FollowNext {
        match self.reach().as_ref().filter(|reach| reach.failure.is_none()) {
            None => FollowNext::Nothing,
            Some(ImmutableReach { waiting, tags_read, last, .. }) => match waiting.front() {
                Some(digest) => FollowNext::Manifest(*digest),
                None if *tags_read => FollowNext::Nothing,
                None => FollowNext::TagsAfter(last.clone()),
            },
        }
    }

    /// Notes that the tags up to `last` were read, or all of them.
    pub(in crate::registry) fn tags_were_read(&self, last: Option<Tag>) {
        if let Some(reach) = self.reach().as_mut() {
            reach.tags_read = last.is_none();
            reach.last = last;
        }
    }

    /// Protects what an immutable tag names, or what a protected manifest references.
    pub(in crate::registry) fn protect(&self, mut digests: impl Iterator<Item = ContentDigest>) {
        loop {
            let some: Vec<ContentDigest> = digests.by_ref().take(ADDED_AT_ONCE_MAX).collect();
            if some.is_empty() {
                return;
            }
            if let Some(reach) = self.reach().as_mut() {
                some.iter().for_each(|digest| reach.protect(digest));
            }
        }
    }

    /// Has a protected manifest followed, unless it was.
    pub(in crate::registry) fn follow(&self, digest: ContentDigest, is_image: bool) {
        if let Some(reach) = self.reach().as_mut() {
            reach.follow(digest, is_image);
        }
    }

    /// Notes that the references of [`Self::next`] are protected, or that it is not there.
    ///
    /// INVARIANT: a manifest that was not visible yet is followed once it is: its push was noted.
    pub(in crate::registry) fn followed(&self, was_there: bool) {
        let mut reach = self.reach();
        let Some(reach) = reach.as_mut() else { return };
        if let Some(digest) = reach.waiting.pop_front()
            && !was_there
        {
            let key = reach.keys.hash_one(digest);
            reach.followed.remove(&key);
        }
    }

    /// Notes that it cannot be told what is protected.
    pub(in crate::registry) fn fail(&self, failure: ReachFailure) {
        if let Some(reach) = self.reach().as_mut() {
            reach.failure.get_or_insert(failure);
        }
    }

    /// Returns how many pushes were noted since [`Self::open`].
    pub(in crate::registry) fn pushed(&self) -> usize {
        self.reach().as_ref().map_or(0, |reach| reach.pushed.len())
    }

    /// Has the first `count` of these manifests followed where they are protected, or ends following. All of
    /// them must be visible by now.
    pub(in crate::registry) fn close(&self, count: usize) {
        let mut reach = self.reach();
        let Some(reach) = reach.as_mut() else { return };
        let pushed: Vec<_> = reach.pushed.drain(..count.min(reach.pushed.len())).collect();
        for (digest, is_image) in pushed {
            if reach.protects(&digest) {
                reach.follow(digest, is_image);
            }
        }
        if reach.waiting.is_empty() {
            // INVARIANT: the later ones were noted when everything was protected that is now, so the writer
            // has followed them itself.
            reach.is_open = false;
            reach.pushed.clear();
        }
    }

    /// Returns why it cannot be told what is protected, if so. The next deletion then begins once more.
    pub(in crate::registry) fn take_failure(&self) -> Option<ReachFailure> {
        let mut reach = self.reach();
        let failure = reach.as_ref().and_then(|reach| reach.failure);
        if failure.is_some() {
            *reach = None;
        }
        failure
    }

    /// Tells whether something of a repository is not protected, as far as everything is known that was
    /// decided.
    pub(in crate::registry) fn lets_go(&self, repo: &RepoName, digest: &ContentDigest) -> bool {
        let reach = self.reach();
        let complete = |reach: &&ImmutableReach| {
            reach.repo == *repo && !reach.is_open && reach.waiting.is_empty() && reach.failure.is_none()
        };
        reach.as_ref().filter(complete).is_some_and(|reach| !reach.protects(digest))
    }

    /// Tells whether something is protected.
    pub(in crate::registry) fn protects(&self, digest: &ContentDigest) -> bool {
        self.reach().as_ref().is_some_and(|reach| reach.protects(digest))
    }

    /// Notes a push that was just decided; `view` already shows it, the index not yet.
    ///
    /// INVARIANT: no command is decided between another one and its note.
    pub(in crate::registry) fn note(&self, put: &PutManifestCommand, view: View<'_>) {
        if let Some(reach) = self.reach().as_mut().filter(|reach| reach.repo == put.repo) {
            reach.note(put, view);
        }
    }

    fn reach(&self) -> MutexGuard<'_, Option<ImmutableReach>> {
        lock(&self.reach)
    }
}

impl ImmutableReach {
    fn new(repo: RepoName, policies: Policies) -> Self {
        Self {
            repo,
            policies,
            keys: RandomState::new(),
            protected: KeyFilter::new(),
            followed: HashSet::new(),
            waiting: VecDeque::new(),
            last: None,
            tags_read: false,
            is_open: true,
            pushed: Vec::new(),
            failure: None,
        }
    }

    fn protect(&mut self, digest: &ContentDigest) {
        self.protected.insert(self.keys.hash_one(digest));
    }

    fn protects(&self, digest: &ContentDigest) -> bool {
        self.protected.contains(self.keys.hash_one(digest))
    }

    fn follow(&mut self, digest: ContentDigest, is_image: bool) {
        let key = self.keys.hash_one(digest);
        if self.followed.contains(&key) {
            return;
        }
        if self.waiting.len() >= FOLLOWED_MAX {
            self.failure.get_or_insert(ReachFailure::TooManyIndexes);
            return;
        }
        if self.followed.len() < known_max(is_image) {
            self.followed.insert(key);
        } else if !is_image {
            // Indexes may lead to each other in any number of ways.
            self.failure.get_or_insert(ReachFailure::TooManyIndexes);
        }
        self.waiting.push_back(digest);
    }

    fn note(&mut self, put: &PutManifestCommand, view: View<'_>) {
        let digest = put.blob.digest();
        if self.pushed.len() >= PUSHED_MAX || self.waiting.len() >= FOLLOWED_MAX {
            self.failure.get_or_insert(ReachFailure::TooManyPushes);
        }
        if self.failure.is_some() {
            return;
        }
        if self.is_open {
            self.pushed.push((digest, put.row.is_image()));
        }
        let policy = self.policies.of(&self.repo);
        if !put.tags.iter().any(|tag| policy.is_immutable(tag)) && !self.protects(&digest) {
            return;
        }
        self.protect(&digest);
        let repo = self.repo.clone();
        for reference in put.references.iter().filter_map(Digest::content) {
            self.protect(&reference);
            // INVARIANT: a reference that the index cannot be read for is followed.
            let row = view.manifest(&repo, &reference);
            let is_image = matches!(&row, Ok(Some(row)) if row.is_image());
            if !matches!(row, Ok(None)) {
                self.follow(reference, is_image);
            }
        }
        if self.followed.len() < known_max(put.row.is_image()) {
            self.followed.insert(self.keys.hash_one(digest));
        }
    }
}

/// Images leave half of the places to indexes, without which nothing can be deleted.
fn known_max(is_image: bool) -> usize {
    if is_image { FOLLOWED_MAX / 2 } else { FOLLOWED_MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_was_not_visible_yet_is_followed_once_it_is() {
        let content = ImmutableContent::default();
        let child = ContentDigest::sha256_of(b"child");
        content.begin(&"app".parse().unwrap(), &Policies::default());
        assert!(content.open());
        content.tags_were_read(None);
        // An index that was decided in one batch with its child, and noted before either is visible.
        content.protect(std::iter::once(child));
        content.follow(child, true);
        assert_eq!(content.next(), FollowNext::Manifest(child));
        content.followed(false);
        assert_eq!(content.next(), FollowNext::Nothing);
        content.follow(child, true);
        assert_eq!(content.next(), FollowNext::Manifest(child));
        content.followed(true);
        content.follow(child, true);
        assert_eq!(content.next(), FollowNext::Nothing, "it was followed");
    }
}
