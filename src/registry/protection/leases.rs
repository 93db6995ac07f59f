//! Leases: what somebody was told lately, and may count on. In memory only, on the monotonic clock.
//!
//! A lease keeps a blob or a manifest in its repository from being swept for a while after a client was told
//! that it is there, or made it so; for a client that asks before it pushes, pushes only what was missing,
//! and then sends the manifest. That may take hours on a slow line: while an upload to a repository takes its
//! time, and for a lease behind it, all of the repository's links and manifests are leased. Beside it stands
//! the write barrier: while the collector marks a repository, all that anybody links, references, tags or is
//! told of in it is remembered.
//!
//! What is remembered are keyed hashes of 64 bits. Two that are equal by chance keep something longer than
//! need be; they never let go of anything.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::meta::{Claims, Command, Sweep, TagRow, View};
use crate::registry::protection::expiring_set::Generations;
use crate::spec::{ContentDigest, RepoName, Tag};

/// The most that is remembered while one repository is marked; when it is more, that pass sweeps nothing of
/// it.
const TOUCHED_MAX: usize = 1 << 18;

/// What the collector marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// A repository: its tags, manifests and links.
    Repository(RepoName),
    /// Content, whatever repositories have it.
    Content,
}

/// What is kept although nothing needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// What somebody was told of, and what is young.
    Young,
    /// What somebody was told of.
    Leased,
    /// What is young, as far as that is known: nobody else uses the registry.
    Remembered,
    /// Nothing, since nobody else uses the registry.
    Nothing,
}

/// Who counts on what.
#[derive(Debug)]
pub(in crate::registry) struct Leases {
    keys: RandomState,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What somebody was told of.
    told: Generations,
    /// What is younger than the grace time.
    young: Generations,
    marking: Option<Marking>,
    /// What is told of or referenced while somebody looks through a repository; by the number of who looks.
    watched: HashMap<u64, Watched>,
    /// What the writer is removing at this moment.
    going: HashSet<u64>,
}

/// What somebody came to count on in a repository since another one began to look through it.
#[derive(Debug)]
struct Watched {
    repo: RepoName,
    touched: HashSet<u64>,
    /// Whether it was too much to be remembered: then it may be anything.
    anything: bool,
}

/// Somebody who looks through a repository, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    leases: Arc<Leases>,
    number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.leases.state().watched.remove(&self.number);
    }
}

/// What happened since the collector began to mark something.
#[derive(Debug)]
struct Marking {
    scope: Scope,
    keeps: Keeps,
    touched: HashSet<u64>,
    /// The manifests of the repository that are to go, and the subjects of those: what one of them needs, or
    /// what refers to it, may go with it.
    doomed: HashSet<u64>,
    /// Whether something happened that the marks don't know of: then nothing of it is swept.
    disturbed: bool,
    /// Whether somebody removed tags since they were read: then fewer of the others may go.
    tags_went: bool,
}

impl Marking {
    fn touch(&mut self, key: u64) {
        self.disturbed |= self.touched.len() >= TOUCHED_MAX || self.doomed.contains(&key);
        if !self.disturbed {
            self.touched.insert(key);
        }
    }
}

impl Leases {
    /// Makes leases that last so long, for content that counts as young for so long.
    pub(in crate::registry) fn new(lease: Duration, grace: Duration) -> Self {
        let now = Instant::now();
        let state = State {
            told: Generations::new(lease, now),
            young: Generations::new(grace, now),
            marking: None,
            watched: HashMap::new(),
            going: HashSet::new(),
        };
        Self { keys: RandomState::new(), state: Mutex::new(state) }
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

    /// Leases a blob or a manifest of a repository to whoever is about to be told that it is there. Returns
    /// whether that may be said: it may not when it is going at this moment. Ask the index after this.
    #[must_use]
    pub(in crate::registry) fn take(&self, repo: &RepoName, digest: &ContentDigest) -> bool {
        self.take_by(None, repo, digest)
    }

    /// The same for what somebody asks for by a tag: the tag must not be going either.
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
        if state.going.contains(&key) || tag.is_some_and(|tag| state.going.contains(&tag)) {
            return false;
        }
        state.told.insert(key, Instant::now());
        state.watch(repo, key);
        if let Some(marking) = state.marking.as_mut()
            && matches!(&marking.scope, Scope::Repository(marked) if marked == repo)
        {
            marking.touch(key);
        }
        true
    }

    /// Leases everything of a repository: somebody pushes to it so slowly that what was pushed, or told of,
    /// first would not be held any more when the manifest comes.
    pub(in crate::registry) fn take_all(&self, repo: &RepoName) {
        let (key, now) = (self.all_key(repo), Instant::now());
        let mut state = self.state();
        state.told.insert(key, now);
        state.young.insert(key, now);
    }

    /// Notes as young what came before the start.
    pub(in crate::registry) fn take_young(&self, repo: &RepoName, digest: &ContentDigest) {
        let key = self.key(repo, digest);
        self.state().young.insert(key, Instant::now());
    }

    /// Begins to look through a repository: until what is returned is dropped, nothing that somebody comes to
    /// count on in it is let go of by [`Claims::let_go`].
    pub(in crate::registry) fn watch(self: &Arc<Self>, repo: &RepoName) -> Watch {
        let mut state = self.state();
        let number = state.watched.keys().max().map_or(0, |last| last + 1);
        let watched = Watched { repo: repo.clone(), touched: HashSet::new(), anything: false };
        state.watched.insert(number, watched);
        Watch { leases: Arc::clone(self), number }
    }

    /// Begins to mark something: from now on all that happens to it is remembered.
    pub(in crate::registry) fn begin_marking(&self, scope: Scope, keeps: Keeps) {
        let (touched, doomed) = (HashSet::new(), HashSet::new());
        let (disturbed, tags_went) = (false, false);
        self.state().marking = Some(Marking { scope, keeps, touched, doomed, disturbed, tags_went });
    }

    /// Says that the tags of the marked repository are about to be read.
    pub(in crate::registry) fn begin_tags(&self) {
        if let Some(marking) = self.state().marking.as_mut() {
            marking.tags_went = false;
        }
    }

    /// Tells whether somebody removed tags of it since.
    pub(in crate::registry) fn tags_went(&self) -> bool {
        self.state().marking.as_ref().is_some_and(|marking| marking.tags_went)
    }

    /// Ends it: nothing can be swept until marking begins again.
    pub(in crate::registry) fn end_marking(&self) {
        self.state().marking = None;
    }

    /// Says which manifests of the marked repository are to go, and what those refer to.
    pub(in crate::registry) fn doom<'a>(
        &self,
        repo: &RepoName,
        doomed: impl Iterator<Item = &'a ContentDigest>,
    ) {
        let doomed: HashSet<u64> = doomed.map(|digest| self.key(repo, digest)).collect();
        if let Some(marking) = self.state().marking.as_mut() {
            marking.disturbed |= !marking.touched.is_disjoint(&doomed);
            marking.doomed = doomed;
        }
    }

    /// Tells whether something happened since marking began that the marks don't know of.
    pub(in crate::registry) fn is_disturbed(&self) -> bool {
        self.state().marking.as_ref().is_some_and(|marking| marking.disturbed)
    }

    /// Tells whether somebody counts on a blob or a manifest of a repository, or it is young.
    pub(in crate::registry) fn holds(&self, repo: &RepoName, digest: &ContentDigest) -> bool {
        let keys = [self.all_key(repo), self.key(repo, digest)];
        let (mut state, now) = (self.state(), Instant::now());
        keys.into_iter().any(|key| state.holds(key, now))
    }

    /// Tells whether content is young.
    pub(in crate::registry) fn holds_content(&self, digest: &ContentDigest) -> bool {
        let key = self.content_key(digest);
        self.state().holds(key, Instant::now())
    }

    /// Returns for how long nothing may be swept yet: until one lease, and the grace time, have passed since
    /// the start, or since one was forgotten because there were too many.
    pub(in crate::registry) fn wait(&self, keeps: Keeps) -> Option<Duration> {
        let waits = self.state().wait(keeps, Instant::now());
        (!waits.is_zero()).then_some(waits)
    }

    /// Makes the start look as if it were long ago.
    #[cfg(test)]
    pub(in crate::registry) fn know_all(&self) {
        let mut state = self.state();
        state.told.know_all();
        state.young.know_all();
    }

    /// Returns how much is told of that is not forgotten yet.
    #[cfg(test)]
    pub(in crate::registry) fn count(&self) -> usize {
        self.state().told.count()
    }

    /// Makes everything in here look that much older.
    #[cfg(test)]
    pub(in crate::registry) fn grow_older(&self, time: Duration) {
        let mut state = self.state();
        state.told.grow_older(time);
        state.young.grow_older(time);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn watch(&mut self, repo: &RepoName, key: u64) {
        for watched in self.watched.values_mut().filter(|watched| watched.repo == *repo) {
            if watched.touched.len() < TOUCHED_MAX {
                watched.touched.insert(key);
            } else {
                watched.anything = true;
            }
        }
    }

    fn holds(&mut self, key: u64, now: Instant) -> bool {
        match self.marking.as_ref().map_or(Keeps::Young, |marking| marking.keeps) {
            Keeps::Young => self.told.contains(key, now) || self.young.contains(key, now),
            Keeps::Leased => self.told.contains(key, now),
            Keeps::Remembered => self.young.contains(key, now),
            Keeps::Nothing => false,
        }
    }

    fn wait(&mut self, keeps: Keeps, now: Instant) -> Duration {
        match keeps {
            Keeps::Young => self.told.wait(now).max(self.young.wait(now)),
            Keeps::Leased => self.told.wait(now),
            Keeps::Remembered | Keeps::Nothing => Duration::ZERO,
        }
    }

    /// Lets go of a key unless somebody counts on it.
    fn release(&mut self, key: u64, now: Instant) -> bool {
        self.release_for(key, key, now)
    }

    /// Lets go of one key unless somebody counts on another one.
    fn release_for(&mut self, going: u64, counted_on: u64, now: Instant) -> bool {
        let touched = self.marking.as_ref().is_none_or(|marking| marking.touched.contains(&counted_on));
        let goes = !touched && !self.holds(counted_on, now);
        if goes {
            self.going.insert(going);
        }
        goes
    }

    /// Tells whether something of this may be swept at all.
    fn may_sweep(&mut self, scope: &Scope, now: Instant) -> bool {
        let Some(keeps) = self.marking.as_ref().map(|marking| marking.keeps) else { return false };
        let waits = !self.wait(keeps, now).is_zero();
        self.marking.as_ref().is_some_and(|marking| marking.scope == *scope && !marking.disturbed && !waits)
    }

    fn note_tags_went(&mut self, repo: &RepoName) {
        if let Some(marking) = self.marking.as_mut() {
            marking.tags_went |= matches!(&marking.scope, Scope::Repository(marked) if marked == repo);
        }
    }

    fn note(&mut self, scope: &Scope, key: u64, now: Instant) {
        if matches!(scope, Scope::Repository(_)) {
            self.told.insert(key, now);
        }
        self.young.insert(key, now);
        if let Some(marking) = self.marking.as_mut()
            && marking.scope == *scope
        {
            marking.touch(key);
        }
    }
}

impl Claims for Leases {
    fn release(&self, sweep: &Sweep) -> Sweep {
        let now = Instant::now();
        let mut state = self.state();
        state.going.clear();
        let mut left = |repo: &RepoName, all: &[ContentDigest]| -> Vec<ContentDigest> {
            let held = state.holds(self.all_key(repo), now);
            if held || !state.may_sweep(&Scope::Repository(repo.clone()), now) {
                return Vec::new();
            }
            all.iter().filter(|digest| state.release(self.key(repo, digest), now)).copied().collect()
        };
        match sweep {
            Sweep::Manifests { repo, manifests } => {
                Sweep::Manifests { repo: repo.clone(), manifests: left(repo, manifests) }
            }
            Sweep::Links { repo, links } => Sweep::Links { repo: repo.clone(), links: left(repo, links) },
            Sweep::Content { content } => {
                let may = state.may_sweep(&Scope::Content, now);
                let goes = |digest: &&ContentDigest| may && state.release(self.content_key(digest), now);
                Sweep::Content { content: content.iter().filter(goes).copied().collect() }
            }
            Sweep::Tags { repo, tags } => {
                let went = state.marking.as_ref().is_none_or(|marking| marking.tags_went);
                let held = went || state.holds(self.all_key(repo), now);
                let may = !held && state.may_sweep(&Scope::Repository(repo.clone()), now);
                // A client was told of a tag together with the manifest that it names.
                let goes = |(tag, row): &&(Tag, TagRow)| {
                    may && state.release_for(self.tag_key(repo, tag), self.key(repo, &row.digest), now)
                };
                Sweep::Tags { repo: repo.clone(), tags: tags.iter().filter(goes).cloned().collect() }
            }
            Sweep::Repository { repo } => Sweep::Repository { repo: repo.clone() },
        }
    }

    fn let_go(&self, repo: &RepoName, digest: &ContentDigest) -> bool {
        let key = self.key(repo, digest);
        let mut state = self.state();
        let counted_on = |watched: &Watched| watched.anything || watched.touched.contains(&key);
        if state.watched.values().filter(|watched| watched.repo == *repo).any(counted_on) {
            return false;
        }
        state.going.clear();
        state.going.insert(key);
        true
    }

    fn swept(&self) {
        self.state().going.clear();
    }

    fn note(&self, command: &Command, view: View<'_>) {
        let (repo, digests) = match command {
            Command::Link { repo, blob, .. } => (repo, vec![blob.digest()]),
            Command::Mount { repo, digest, .. } => (repo, vec![*digest]),
            Command::PutManifest(put) => {
                // What is not there is noted when it comes: who invents digests shall not fill the leases.
                let is_there = |digest: &ContentDigest| {
                    let linked = view.link(&put.repo, digest).map(|row| row.is_some());
                    // INVARIANT: what the index cannot tell of is noted.
                    linked.unwrap_or(true)
                        || view.manifest(&put.repo, digest).map_or(true, |row| row.is_some())
                };
                let known = put.references.iter().filter_map(crate::spec::Digest::content).filter(is_there);
                (&put.repo, known.chain([put.blob.digest()]).collect())
            }
            Command::DeleteManifest { repo, .. } | Command::DeleteTag { repo, .. } => {
                return self.state().note_tags_went(repo);
            }
            Command::DeleteUntagged { .. }
            | Command::Condemn { .. }
            | Command::Redate(_)
            | Command::Unlink { .. }
            | Command::BeginUpload { .. }
            | Command::AdvanceUpload { .. }
            | Command::EndUpload { .. }
            | Command::Sweep(_) => return,
        };
        let (now, scope) = (Instant::now(), Scope::Repository(repo.clone()));
        let mut state = self.state();
        for digest in digests {
            state.watch(repo, self.key(repo, &digest));
            state.note(&scope, self.key(repo, &digest), now);
            state.note(&Scope::Content, self.content_key(&digest), now);
        }
    }
}
