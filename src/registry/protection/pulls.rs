//! Pulls of manifests, until the writer notes them in their rows.
//!
//! The first request for a manifest in an hour is put down here, and the writer takes it along with the next
//! sync. It writes a row at most once a day. What was put down lately is known by keyed hashes of 64 bits;
//! after a collision a pull is noted an hour later.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::base::lock;
use crate::meta::Pull;
use crate::spec::{ContentDigest, RepoName, Tag};

/// For how long a pull is not put down again.
const LATELY: Duration = Duration::from_secs(60 * 60);

/// The most pulls that are known to be put down; then all are forgotten, and put down once more. A table of
/// 2^16 buckets holds this many; it takes 0.6 MiB.
const KNOWN_MAX: usize = (1 << 16) / 8 * 7;

/// The most pulls that wait for the writer. Each takes 0.5 KiB at most.
const WAITING_MAX: usize = 4096;

/// From how many on the writer writes them although nothing else is to be synced.
const WAITING_LONG: usize = WAITING_MAX / 2;

/// What became of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Noted {
    /// It waits for the writer, was put down lately, or is lost because too many wait.
    Waits,
    /// It waits for the writer, as many do: wake it.
    WakeWriter,
}

/// Pulls that no row notes yet.
#[derive(Debug)]
pub(in crate::registry) struct Pulls {
    keys: RandomState,
    state: Mutex<PullState>,
}

#[derive(Debug)]
struct PullState {
    known: HashSet<u64>,
    /// When the first of them was put down, or later.
    since: Instant,
    waiting: Vec<Pull>,
}

impl Default for Pulls {
    fn default() -> Self {
        let state = PullState { known: HashSet::new(), since: Instant::now(), waiting: Vec::new() };
        Self { keys: RandomState::new(), state: Mutex::new(state) }
    }
}

impl Pulls {
    /// Puts down that a manifest is pulled, by a tag or by its digest, unless that was done lately. `at_ms`
    /// returns the store time, and is called only if not.
    pub(in crate::registry) fn note(
        &self,
        repo: &RepoName,
        tag: Option<&Tag>,
        digest: &ContentDigest,
        at_ms: impl FnOnce() -> u64,
    ) -> Noted {
        let key = self.keys.hash_one((repo.as_str(), tag.map(Tag::as_str), digest));
        let mut state = self.state();
        if state.since.elapsed() >= LATELY || state.known.len() >= KNOWN_MAX {
            (state.known, state.since) = (HashSet::new(), Instant::now());
        }
        if state.known.contains(&key) || state.waiting.len() >= WAITING_MAX {
            return Noted::Waits;
        }
        state.known.insert(key);
        let (repo, digest, tag, at_ms) = (repo.clone(), *digest, tag.cloned(), at_ms());
        state.waiting.push(Pull { repo, digest, tag, at_ms });
        if state.waiting.len() == WAITING_LONG { Noted::WakeWriter } else { Noted::Waits }
    }

    /// Takes all that wait.
    pub(super) fn take(&self) -> Vec<Pull> {
        mem::take(&mut self.state().waiting)
    }

    /// Returns those of a repository that wait.
    pub(in crate::registry) fn of(&self, repo: &RepoName) -> Vec<Pull> {
        self.state().waiting.iter().filter(|pull| pull.repo == *repo).cloned().collect()
    }

    /// Tells whether some wait.
    pub(in crate::registry) fn any(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    /// Makes all pulls seem to be put down long ago.
    #[cfg(test)]
    pub(in crate::registry) fn forget_lately(&self) {
        self.state().known.clear();
    }

    fn state(&self) -> MutexGuard<'_, PullState> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> ContentDigest {
        ContentDigest::sha256_of(&number.to_be_bytes())
    }

    #[test]
    fn a_pull_is_put_down_once_by_each_reference() {
        let (pulls, repo, tag) = (Pulls::default(), "app".parse().unwrap(), "v1".parse().unwrap());
        for at_ms in 1..4 {
            pulls.note(&repo, Some(&tag), &digest(1), || at_ms);
            pulls.note(&repo, None, &digest(1), || at_ms);
            pulls.note(&"other".parse().unwrap(), None, &digest(1), || at_ms);
        }
        assert_eq!(pulls.of(&repo).len(), 2);
        let taken = pulls.take();
        assert!(taken.len() == 3 && taken.iter().all(|pull| pull.at_ms == 1));
        assert!(pulls.take().is_empty() && !pulls.any());
        pulls.note(&repo, Some(&tag), &digest(2), || 5);
        assert_eq!(pulls.take().len(), 1, "the tag has moved");
    }

    #[test]
    fn memory_is_bounded_and_the_writer_is_woken_before() {
        let (pulls, repo) = (Pulls::default(), "app".parse().unwrap());
        let woken = (0..2 * WAITING_MAX)
            .filter(|number| pulls.note(&repo, None, &digest(*number), || 1) == Noted::WakeWriter);
        assert_eq!(woken.count(), 1);
        assert_eq!(pulls.take().len(), WAITING_MAX);
        pulls.note(&repo, None, &digest(WAITING_MAX), || 1);
        assert_eq!(pulls.take().len(), 1, "what did not fit is put down when it is pulled again");
        for number in 0..2 * KNOWN_MAX {
            pulls.note(&repo, None, &digest(number), || 1);
            if number % 1000 == 0 {
                pulls.take();
            }
        }
        assert!(pulls.state().known.len() <= KNOWN_MAX);
    }
}
