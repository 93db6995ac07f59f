//! Leases: what clients rely on because of a recent answer. In memory only, on the monotonic clock.
//!
//! A lease protects a blob or a manifest of a repository from the sweep for the lease time after a client
//! learned that it exists, or created it. A client asks which blobs exist, pushes only the missing ones, and
//! then sends the manifest. On a slow line that may take hours: a slow upload leases all links and manifests
//! of its repository, while it runs and for one lease time after. The write barrier complements the leases:
//! while the collector marks a repository, every link, reference, tag and positive answer in it is recorded.
//!
//! The recorded keys are keyed hashes of 64 bits. A collision keeps something longer than necessary; it never
//! releases anything.

mod open_uploads;
mod release;
pub(in crate::registry) mod upload_hold;

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::base::lock;
use crate::registry::protection::expiring_set::ExpiringSet;
use crate::registry::protection::immutable::ImmutableChildren;
use crate::registry::protection::pulls::Pulls;
use crate::spec::{ContentDigest, RepoName, Tag};
use open_uploads::OpenUploads;

/// The most keys recorded while one repository is marked; on overflow, that pass sweeps nothing of the
/// repository.
const TOUCHED_MAX: usize = 1 << 18;

/// What the collector marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// A repository: its tags, manifests and links.
    Repository(RepoName),
    /// Content, whatever repositories have it.
    Content,
}

/// What is kept although nothing references it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protected {
    /// What a client has a lease on, and what is younger than the grace time.
    LeasedOrYoung,
    /// What a client has a lease on.
    Leased,
    /// What is known to be younger than the grace time: no clients are served.
    Young,
    /// Nothing: no clients are served.
    Nothing,
}

/// The leases, the young content, and what the collector and the writer do at the moment.
#[derive(Debug)]
pub(in crate::registry) struct Leases {
    keys: RandomState,
    immutable: ImmutableChildren,
    pulls: Pulls,
    state: Mutex<LeaseState>,
}

#[derive(Debug)]
struct LeaseState {
    /// What a client learned to exist, or created.
    leased: ExpiringSet,
    /// What is younger than the grace time.
    young: ExpiringSet,
    /// What unfinished uploads hold.
    uploads: OpenUploads,
    marking: Option<Marking>,
    /// Repositories under a [`RepoWatch`], by its number, with what was leased or referenced in them since.
    watched: HashMap<u64, WatchedRepo>,
    /// What the writer is removing at this moment.
    removing: HashSet<u64>,
}

/// What was leased or referenced in a repository since a [`RepoWatch`] began.
#[derive(Debug)]
struct WatchedRepo {
    repo: RepoName,
    touched: HashSet<u64>,
    /// Whether `touched` overflowed: then any key may have been touched.
    anything: bool,
}

/// A scan of a repository, until this is dropped.
#[derive(Debug)]
pub(crate) struct RepoWatch {
    leases: Arc<Leases>,
    number: u64,
}

impl Drop for RepoWatch {
    fn drop(&mut self) {
        self.leases.state().watched.remove(&self.number);
    }
}

/// What happened since the collector began to mark something.
#[derive(Debug)]
struct Marking {
    scope: Scope,
    protected: Protected,
    touched: HashSet<u64>,
    /// The manifests of the repository to remove, and their subjects: what one of them needs, or what refers
    /// to it, may be removed with it.
    marked_for_removal: HashSet<u64>,
    /// Whether something happened that the marks do not cover: then nothing of the scope is swept.
    disturbed: bool,
    /// Whether tags were set or removed since they were read: then fewer of the others may be removed.
    tags_changed: bool,
}

impl Marking {
    fn touch(&mut self, key: u64) {
        self.disturbed |= self.touched.len() >= TOUCHED_MAX || self.marked_for_removal.contains(&key);
        if !self.disturbed {
            self.touched.insert(key);
        }
    }
}

impl Leases {
    /// Makes leases that last for `lease`; content stays young for `grace`.
    pub(in crate::registry) fn new(lease: Duration, grace: Duration) -> Self {
        let now = Instant::now();
        let state = LeaseState {
            leased: ExpiringSet::new(lease, now),
            young: ExpiringSet::new(grace, now),
            uploads: OpenUploads::default(),
            marking: None,
            watched: HashMap::new(),
            removing: HashSet::new(),
        };
        let (immutable, pulls) = (ImmutableChildren::default(), Pulls::default());
        Self { keys: RandomState::new(), immutable, pulls, state: Mutex::new(state) }
    }

    /// Returns the manifests that immutable tags lead to.
    pub(in crate::registry) fn immutable(&self) -> &ImmutableChildren {
        &self.immutable
    }

    /// Returns the pulls that no row notes yet.
    pub(in crate::registry) fn pulls(&self) -> &Pulls {
        &self.pulls
    }

    fn key(&self, repo: &RepoName, digest: &ContentDigest) -> u64 {
        self.keys.hash_one((repo.as_str(), digest))
    }

    fn tag_key(&self, repo: &RepoName, tag: &Tag) -> u64 {
        self.keys.hash_one((repo.as_str(), tag.as_str()))
    }

    /// Returns the key that stands for everything of a repository.
    fn all_key(&self, repo: &RepoName) -> u64 {
        self.keys.hash_one(repo.as_str())
    }

    /// Returns the key of something by its digest alone.
    pub(in crate::registry) fn content_key(&self, digest: &ContentDigest) -> u64 {
        self.keys.hash_one(digest)
    }

    /// Leases a blob or a manifest of a repository, before a client learns that it exists. Returns `false`
    /// while it is being removed: then wait until that is durable, and look again. Read the index after this
    /// call.
    #[must_use]
    pub(in crate::registry) fn take(&self, repo: &RepoName, digest: &ContentDigest) -> bool {
        self.take_by(None, repo, digest)
    }

    /// Does the same for a manifest that is requested by a tag: returns `false` also while the tag is being
    /// removed.
    #[must_use]
    pub(in crate::registry) fn take_tagged(
        &self,
        repo: &RepoName,
        tag: &Tag,
        digest: &ContentDigest,
    ) -> bool {
        self.take_by(Some(self.tag_key(repo, tag)), repo, digest)
    }

    fn take_by(&self, tag: Option<u64>, repo: &RepoName, digest: &ContentDigest) -> bool {
        let key = self.key(repo, digest);
        let mut state = self.state();
        if state.removing.contains(&key) || tag.is_some_and(|tag| state.removing.contains(&tag)) {
            return false;
        }
        state.leased.insert(key, Instant::now());
        state.watch(repo, key);
        if let Some(marking) = state.marking.as_mut()
            && matches!(&marking.scope, Scope::Repository(marked) if marked == repo)
        {
            marking.touch(key);
        }
        true
    }

    /// Leases everything of a repository, for a push so slow that the leases on its first blobs would expire
    /// before its manifest comes.
    pub(in crate::registry) fn take_all(&self, repo: &RepoName) {
        let (key, now) = (self.all_key(repo), Instant::now());
        let mut state = self.state();
        state.leased.insert(key, now);
        state.young.insert(key, now);
    }

    /// Records as young what came before the start.
    pub(in crate::registry) fn take_young(&self, repo: &RepoName, digest: &ContentDigest) {
        let key = self.key(repo, digest);
        self.state().young.insert(key, Instant::now());
    }

    /// Begins a scan of a repository. Until the returned watch is dropped, [`Protection::release_manifest`]
    /// releases nothing that is leased or referenced in it meanwhile.
    pub(in crate::registry) fn watch(self: &Arc<Self>, repo: &RepoName) -> RepoWatch {
        let mut state = self.state();
        let number = state.watched.keys().max().map_or(0, |last| last + 1);
        let watched = WatchedRepo { repo: repo.clone(), touched: HashSet::new(), anything: false };
        state.watched.insert(number, watched);
        RepoWatch { leases: Arc::clone(self), number }
    }

    /// Begins to mark a scope: from now on, everything that happens in it is recorded.
    pub(in crate::registry) fn begin_marking(&self, scope: Scope, protected: Protected) {
        let (touched, marked_for_removal) = (HashSet::new(), HashSet::new());
        let (disturbed, tags_changed) = (false, false);
        self.state().marking =
            Some(Marking { scope, protected, touched, marked_for_removal, disturbed, tags_changed });
    }

    /// Notes that the tags of the marked repository are about to be read.
    pub(in crate::registry) fn begin_tags(&self) {
        if let Some(marking) = self.state().marking.as_mut() {
            marking.tags_changed = false;
        }
    }

    /// Tells whether tags of the marked repository were set or removed since [`Self::begin_tags`].
    pub(in crate::registry) fn tags_changed(&self) -> bool {
        self.state().marking.as_ref().is_some_and(|marking| marking.tags_changed)
    }

    /// Ends marking: nothing can be swept until marking begins again.
    pub(in crate::registry) fn end_marking(&self) {
        self.state().marking = None;
    }

    /// Sets which manifests of the marked repository to remove, and their subjects.
    pub(in crate::registry) fn mark_for_removal<'a>(
        &self,
        repo: &RepoName,
        marked_for_removal: impl Iterator<Item = &'a ContentDigest>,
    ) {
        let marked_for_removal: HashSet<u64> =
            marked_for_removal.map(|digest| self.key(repo, digest)).collect();
        if let Some(marking) = self.state().marking.as_mut() {
            marking.disturbed |= !marking.touched.is_disjoint(&marked_for_removal);
            marking.marked_for_removal = marked_for_removal;
        }
    }

    /// Tells whether something happened since marking began that the marks do not cover.
    pub(in crate::registry) fn is_disturbed(&self) -> bool {
        self.state().marking.as_ref().is_some_and(|marking| marking.disturbed)
    }

    /// Tells whether a blob or a manifest of a repository is protected: leased or young, as the current
    /// marking asks, or held by an unfinished upload.
    pub(in crate::registry) fn holds(&self, repo: &RepoName, digest: &ContentDigest) -> bool {
        let (all, key) = (self.all_key(repo), self.key(repo, digest));
        self.state().upload_holds(all, key) || self.holds_tags_of(repo, digest)
    }

    /// Tells whether the tags that name a manifest are protected. No upload needs a tag to stay.
    pub(in crate::registry) fn holds_tags_of(&self, repo: &RepoName, digest: &ContentDigest) -> bool {
        let keys = [self.all_key(repo), self.key(repo, digest)];
        let (mut state, now) = (self.state(), Instant::now());
        keys.into_iter().any(|key| state.holds(key, now))
    }

    /// Tells whether content is young.
    pub(in crate::registry) fn holds_content(&self, digest: &ContentDigest) -> bool {
        let key = self.content_key(digest);
        self.state().holds(key, Instant::now())
    }

    /// Returns how long nothing may be swept yet: until the lease time and the grace time have passed since
    /// the start, or since a lease was dropped because the set was full.
    pub(in crate::registry) fn wait(&self, protected: Protected) -> Option<Duration> {
        let waits = self.state().wait(protected, Instant::now());
        (!waits.is_zero()).then_some(waits)
    }

    /// Makes the start look long past.
    #[cfg(test)]
    pub(in crate::registry) fn complete_now(&self) {
        let mut state = self.state();
        state.leased.complete_now();
        state.young.complete_now();
    }

    /// Returns the number of leases that have not expired.
    #[cfg(test)]
    pub(in crate::registry) fn count(&self) -> usize {
        self.state().leased.count()
    }

    /// Makes everything in here look `time` older.
    #[cfg(test)]
    pub(in crate::registry) fn grow_older(&self, time: Duration) {
        let mut state = self.state();
        state.leased.grow_older(time);
        state.young.grow_older(time);
    }

    fn state(&self) -> MutexGuard<'_, LeaseState> {
        lock(&self.state)
    }
}

impl LeaseState {
    fn watch(&mut self, repo: &RepoName, key: u64) {
        for watched in self.watched.values_mut().filter(|watched| watched.repo == *repo) {
            if watched.touched.len() < TOUCHED_MAX {
                watched.touched.insert(key);
            } else {
                watched.anything = true;
            }
        }
    }

    /// Tells whether an unfinished upload holds something of a repository.
    fn upload_holds(&self, repo: u64, key: u64) -> bool {
        let asks = self.marking.as_ref().is_none_or(|marking| marking.protected != Protected::Nothing);
        asks && self.uploads.holds(repo, key)
    }

    fn holds(&mut self, key: u64, now: Instant) -> bool {
        match self.marking.as_ref().map_or(Protected::LeasedOrYoung, |marking| marking.protected) {
            Protected::LeasedOrYoung => self.leased.contains(key, now) || self.young.contains(key, now),
            Protected::Leased => self.leased.contains(key, now),
            Protected::Young => self.young.contains(key, now),
            Protected::Nothing => false,
        }
    }

    fn wait(&mut self, protected: Protected, now: Instant) -> Duration {
        match protected {
            Protected::LeasedOrYoung => self.leased.wait(now).max(self.young.wait(now)),
            Protected::Leased => self.leased.wait(now),
            Protected::Young | Protected::Nothing => Duration::ZERO,
        }
    }

    /// Releases a key for removal, unless it is protected or was touched since marking began.
    fn release(&mut self, key: u64, now: Instant) -> bool {
        self.release_for(key, key, now)
    }

    /// Releases the key `removing` for removal, unless `counted_on` is protected or was touched since marking
    /// began.
    fn release_for(&mut self, removing: u64, counted_on: u64, now: Instant) -> bool {
        self.release_all(&[(removing, counted_on)], now)
    }

    /// Releases all of these keys or none: of each pair the first one, unless the second one is protected or
    /// was touched since marking began.
    fn release_all(&mut self, keys: &[(u64, u64)], now: Instant) -> bool {
        let is_free = |state: &mut Self, counted_on: u64| {
            let touched = state.marking.as_ref().is_none_or(|marking| marking.touched.contains(&counted_on));
            !touched && !state.holds(counted_on, now)
        };
        let goes = keys.iter().all(|(_, counted_on)| is_free(self, *counted_on));
        if goes {
            self.removing.extend(keys.iter().map(|(removing, _)| removing));
        }
        goes
    }

    /// Tells whether anything of a scope may be swept at all.
    fn may_sweep(&mut self, scope: &Scope, now: Instant) -> bool {
        let Some(protected) = self.marking.as_ref().map(|marking| marking.protected) else { return false };
        let waits = !self.wait(protected, now).is_zero();
        self.marking.as_ref().is_some_and(|marking| marking.scope == *scope && !marking.disturbed && !waits)
    }

    fn note_tags_changed(&mut self, repo: &RepoName) {
        if let Some(marking) = self.marking.as_mut() {
            marking.tags_changed |= matches!(&marking.scope, Scope::Repository(marked) if marked == repo);
        }
    }

    fn note(&mut self, scope: &Scope, key: u64, now: Instant) {
        if matches!(scope, Scope::Repository(_)) {
            self.leased.insert(key, now);
        }
        self.young.insert(key, now);
        if let Some(marking) = self.marking.as_mut()
            && marking.scope == *scope
        {
            marking.touch(key);
        }
    }
}
