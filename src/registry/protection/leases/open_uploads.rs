//! What unfinished uploads hold: all that came into their repositories since they began.
//!
//! A client that resumes an upload after hours still relies on the blobs that it pushed before. Their leases
//! may have ended by then.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The most keys that all uploads hold. Beyond that, those of the repository at hand hold all of it.
const HELD_MAX: usize = 1 << 17;

/// The age from which the end of an upload renews the leases on what it held: the first may have ended.
const RENEWED_MIN: Duration = Duration::from_secs(10);

/// From how many keys on those are looked for that no upload holds any more.
const PRUNED_MIN: usize = 64;

/// Keys by repository, while uploads into it are open.
#[derive(Debug, Default)]
pub(super) struct OpenUploads {
    repos: HashMap<u64, HeldRepo>,
    /// How many keys there are.
    held: usize,
    last_number: u64,
}

#[derive(Debug, Default)]
struct HeldRepo {
    open: Vec<OpenUpload>,
    /// When each key was noted last.
    noted: HashMap<u64, Instant>,
    pruned_at: usize,
}

#[derive(Debug)]
struct OpenUpload {
    number: u64,
    began: Instant,
    /// Whether it holds the whole repository: what came since it began is not known.
    everything: bool,
}

/// What an upload held when it ended, if its end renews the leases on it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Renewed {
    Keys(Vec<u64>),
    Everything,
}

impl OpenUploads {
    /// Begins an upload into a repository. What came since one of an earlier run began is not known.
    pub(super) fn begin(&mut self, repo: u64, is_new: bool, now: Instant) -> u64 {
        self.last_number += 1;
        let upload = OpenUpload { number: self.last_number, began: now, everything: !is_new };
        self.repos.entry(repo).or_default().open.push(upload);
        self.last_number
    }

    /// Notes what a repository got.
    pub(super) fn note(&mut self, repo: impl FnOnce() -> u64, key: u64, now: Instant) {
        if self.repos.is_empty() {
            return;
        }
        let Some(held) = self.repos.get_mut(&repo()) else { return };
        if self.held >= HELD_MAX && !held.noted.contains_key(&key) {
            self.held -= held.noted.len();
            held.noted = HashMap::new();
            held.open.iter_mut().for_each(|upload| upload.everything = true);
            return;
        }
        self.held += usize::from(held.noted.insert(key, now).is_none());
    }

    /// Tells whether an upload holds something of a repository.
    pub(super) fn holds(&self, repo: u64, key: u64) -> bool {
        self.repos.get(&repo).is_some_and(|held| {
            let noted = held.noted.get(&key);
            held.open.iter().any(|one| one.everything || noted.is_some_and(|noted| *noted >= one.began))
        })
    }

    /// Ends an upload.
    pub(super) fn end(&mut self, repo: u64, number: u64, now: Instant) -> Option<Renewed> {
        let held = self.repos.get_mut(&repo)?;
        let at = held.open.iter().position(|upload| upload.number == number)?;
        let upload = held.open.swap_remove(at);
        let renewed = if upload.everything {
            Some(Renewed::Everything)
        } else if now.saturating_duration_since(upload.began) >= RENEWED_MIN {
            let since = held.noted.iter().filter(|(_, noted)| **noted >= upload.began);
            Some(Renewed::Keys(since.map(|(key, _)| *key).collect()))
        } else {
            None
        };
        let before = held.noted.len();
        match held.open.iter().map(|upload| upload.began).min() {
            Some(_) if before < held.pruned_at.max(PRUNED_MIN) => return renewed,
            Some(first) => held.noted.retain(|_, noted| *noted >= first),
            None => held.noted.clear(),
        }
        held.pruned_at = 2 * held.noted.len();
        self.held -= before - held.noted.len();
        if held.open.is_empty() {
            self.repos.remove(&repo);
        }
        renewed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPO: u64 = 1;

    #[test]
    fn an_upload_holds_what_came_since_it_began_and_not_what_came_before() {
        let mut uploads = OpenUploads::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let old = uploads.begin(REPO, true, at(0));
        uploads.note(|| REPO, 10, at(1));
        let new = uploads.begin(REPO, true, at(2));
        uploads.note(|| REPO, 11, at(3));
        uploads.note(|| 2, 12, at(3));
        assert!(uploads.holds(REPO, 10) && uploads.holds(REPO, 11) && !uploads.holds(REPO, 12));
        let Some(Renewed::Keys(mut keys)) = uploads.end(REPO, old, at(20)) else { panic!() };
        keys.sort_unstable();
        assert_eq!(keys, [10, 11]);
        assert!(!uploads.holds(REPO, 10) && uploads.holds(REPO, 11));
        assert_eq!(uploads.end(REPO, new, at(5)), None, "its leases are new enough");
        assert!(uploads.repos.is_empty() && uploads.held == 0);
    }

    #[test]
    fn memory_is_bounded_also_where_an_upload_is_always_open() {
        let mut uploads = OpenUploads::default();
        let begin = Instant::now();
        let mut last = uploads.begin(REPO, true, begin);
        for turn in 0..10_000_u64 {
            let now = begin + Duration::from_secs(turn);
            uploads.note(|| REPO, turn, now);
            let next = uploads.begin(REPO, true, now);
            uploads.end(REPO, last, now);
            last = next;
            assert!(uploads.held <= 2 * PRUNED_MIN, "{turn}");
        }
        for key in 0..=HELD_MAX as u64 {
            uploads.note(|| REPO, 1_000_000 + key, begin + Duration::from_secs(10_000));
        }
        assert!(uploads.held <= HELD_MAX && uploads.holds(REPO, 5), "it holds everything");
        assert_eq!(uploads.end(REPO, last, begin), Some(Renewed::Everything));
        assert_eq!(uploads.held, 0);
    }
}
