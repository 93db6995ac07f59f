//! A bounded set whose members expire.

use std::collections::HashSet;
use std::time::{Duration, Instant};

/// The most members of one generation. A table of 2^18 buckets holds this many; it takes 2.3 MiB.
const GENERATION_MAX: usize = (1 << 18) / 8 * 7;

/// Keys in two generations: a member stays for at least `time` after its last insertion, and for less than
/// twice that.
///
/// An insertion into a full generation is dropped. For `time` after such an insertion, and for `time` after
/// the start, the set is incomplete, and [`Self::wait`] returns how long it stays so.
#[derive(Debug)]
pub(in crate::registry) struct ExpiringSet {
    time: Duration,
    /// When the current generation began.
    began: Instant,
    current: HashSet<u64>,
    previous: HashSet<u64>,
    incomplete_until: Option<Instant>,
}

impl ExpiringSet {
    /// Makes an empty set. It is incomplete for `time`: members from before `now` are unknown.
    pub(in crate::registry) fn new(time: Duration, now: Instant) -> Self {
        let (current, previous) = (HashSet::new(), HashSet::new());
        Self { time, began: now, current, previous, incomplete_until: now.checked_add(time) }
    }

    /// Makes the set complete, as if it had existed for longer than `time`.
    #[cfg(test)]
    pub(in crate::registry) fn complete_now(&mut self) {
        self.incomplete_until = Some(self.began);
    }

    /// Returns the number of members.
    #[cfg(test)]
    pub(in crate::registry) fn count(&self) -> usize {
        self.current.len() + self.previous.len()
    }

    /// Makes all members, and the start, `time` older.
    #[cfg(test)]
    pub(in crate::registry) fn grow_older(&mut self, time: Duration) {
        self.rotate(self.began);
        self.began = self.began.checked_sub(time).expect("the machine runs for longer than that");
        self.incomplete_until = self.incomplete_until.and_then(|until| until.checked_sub(time));
    }

    /// Inserts a member, or renews it.
    pub(in crate::registry) fn insert(&mut self, key: u64, now: Instant) {
        if self.time.is_zero() {
            return;
        }
        self.rotate(now);
        if self.current.len() < GENERATION_MAX || self.current.contains(&key) {
            self.current.insert(key);
            return;
        }
        if self.wait(now).is_zero() {
            log::warn!("{GENERATION_MAX} active leases: the collector removes nothing for {:?}", self.time);
        }
        self.incomplete_until = now.checked_add(self.time);
    }

    /// Tells whether `key` is a member.
    pub(in crate::registry) fn contains(&mut self, key: u64, now: Instant) -> bool {
        self.rotate(now);
        self.current.contains(&key) || self.previous.contains(&key)
    }

    /// Returns how long the set stays incomplete.
    pub(in crate::registry) fn wait(&mut self, now: Instant) -> Duration {
        let Some(until) = self.incomplete_until else { return Duration::MAX };
        until.saturating_duration_since(now)
    }

    fn rotate(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.began);
        if age < self.time {
            return;
        }
        self.previous = std::mem::take(&mut self.current);
        // All members of a generation that began two times ago have expired.
        if age >= self.time.saturating_mul(2) {
            self.previous = HashSet::new();
        }
        self.began = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    #[test]
    fn a_member_stays_for_its_time_and_not_for_twice_as_long() {
        let begin = Instant::now();
        for put_in in [0, 1, 5, 9, 10, 15, 25] {
            let mut set = ExpiringSet::new(TIME, begin);
            let at = |seconds| begin + Duration::from_secs(seconds);
            set.insert(1, at(put_in));
            for seconds in put_in..put_in + 10 {
                assert!(set.contains(1, at(seconds)), "put in at {put_in}, asked for at {seconds}");
            }
            assert!(!set.contains(1, at(put_in + 20)), "put in at {put_in}");
        }
    }

    #[test]
    fn an_expired_member_is_gone_even_if_nothing_was_asked_meanwhile() {
        let begin = Instant::now();
        let mut set = ExpiringSet::new(TIME, begin);
        set.insert(1, begin);
        assert!(!set.contains(1, begin + 2 * TIME));
    }

    #[test]
    fn a_new_set_is_incomplete_for_its_time() {
        let begin = Instant::now();
        let mut set = ExpiringSet::new(TIME, begin);
        assert_eq!(set.wait(begin), TIME);
        assert_eq!(set.wait(begin + TIME), Duration::ZERO);
        assert_eq!(ExpiringSet::new(Duration::ZERO, begin).wait(begin), Duration::ZERO);
    }

    #[test]
    fn a_full_set_keeps_its_members_and_says_that_it_is_incomplete() {
        let begin = Instant::now();
        let mut set = ExpiringSet::new(TIME, begin);
        let later = begin + TIME;
        let full = GENERATION_MAX as u64;
        for key in 0..full {
            set.insert(key, later);
        }
        let renewed = later + TIME / 2;
        set.insert(0, renewed);
        assert_eq!(set.wait(renewed), Duration::ZERO, "renewing a member needs no place");
        set.insert(full, renewed);
        assert_eq!(set.wait(renewed), TIME);
        assert!((0..full).all(|key| set.contains(key, renewed)) && !set.contains(full, renewed));
        assert_eq!(set.wait(renewed + TIME), Duration::ZERO);
    }

    #[test]
    fn a_full_set_has_room_again_when_its_generation_ends() {
        let begin = Instant::now();
        let mut set = ExpiringSet::new(TIME, begin);
        let later = begin + TIME;
        (0..=GENERATION_MAX as u64).for_each(|key| set.insert(key, later));
        let next = later + TIME;
        set.insert(u64::MAX, next);
        assert_eq!(set.wait(next), Duration::ZERO);
        assert!(set.contains(u64::MAX, next) && set.contains(0, next));
    }
}
