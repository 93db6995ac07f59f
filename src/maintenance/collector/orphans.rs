//! Files that no row names, and since when.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::spec::ContentDigest;

/// Files without a row that passes have seen, with times of the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    since: HashMap<ContentDigest, Instant>,
}

impl Orphans {
    /// Notes the files without a row now, forgets all others, and returns those seen in two passes at least
    /// `grace` apart; with a grace of zero, one pass is enough.
    pub(super) fn old(
        &mut self,
        now_there: impl Iterator<Item = ContentDigest>,
        grace: Duration,
    ) -> HashSet<ContentDigest> {
        let now = Instant::now();
        let before = std::mem::take(&mut self.since);
        self.since = now_there.map(|digest| (digest, before.get(&digest).copied().unwrap_or(now))).collect();
        let is_old = |since: &Instant| now.saturating_duration_since(*since) >= grace;
        self.since.iter().filter(|(_, since)| is_old(since)).map(|(digest, _)| *digest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_must_be_without_a_name_for_the_whole_time() {
        let (one, other) = (ContentDigest::sha256_of(b"one"), ContentDigest::sha256_of(b"other"));
        let mut orphans = Orphans::default();
        let hour = Duration::from_secs(3600);
        assert!(orphans.old([one].into_iter(), hour).is_empty());
        assert_eq!(orphans.old([one].into_iter(), Duration::ZERO), HashSet::from([one]));
        let ago = Instant::now().checked_sub(hour).expect("the machine runs for longer than that");
        orphans.since.insert(one, ago);
        assert_eq!(orphans.old([one, other].into_iter(), hour), HashSet::from([one]));
        // It had a name in between.
        assert!(orphans.old([other].into_iter(), hour).is_empty());
        assert!(orphans.old([one].into_iter(), hour).is_empty());
    }
}
