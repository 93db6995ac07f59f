//! A bounded set whose members are forgotten some time after they were put in last.

use std::collections::HashSet;
use std::time::{Duration, Instant};

/// The most members of one generation: together with their table, some 2 MiB.
const GENERATION_MAX: usize = 1 << 17;

/// Two generations: a member is there for at least the time that it was put in for, and for less than twice
/// that.
#[derive(Debug)]
pub(super) struct Generations {
    time: Duration,
    began: Instant,
    younger: HashSet<u64>,
    elder: HashSet<u64>,
    /// Until when nobody knows who would be in it: one was turned away, or nothing is known of before.
    unknown_until: Option<Instant>,
}

impl Generations {
    /// Makes an empty set that is taken up at `now`: what would be in it from before is not known.
    pub(super) fn new(time: Duration, now: Instant) -> Self {
        let (younger, elder) = (HashSet::new(), HashSet::new());
        Self { time, began: now, younger, elder, unknown_until: now.checked_add(time) }
    }

    /// Makes everybody known who is in it, as if the start were long ago.
    #[cfg(test)]
    pub(super) fn know_all(&mut self) {
        self.unknown_until = Some(self.began);
    }

    /// Returns how many members it has.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.younger.union(&self.elder).count()
    }

    /// Makes all that was ever put in look that much older.
    #[cfg(test)]
    pub(super) fn grow_older(&mut self, time: Duration) {
        self.turn(self.began);
        self.began = self.began.checked_sub(time).expect("the machine runs for longer than that");
        self.unknown_until = self.unknown_until.and_then(|until| until.checked_sub(time));
    }

    /// Puts a member in, or puts it in anew.
    pub(super) fn insert(&mut self, key: u64, now: Instant) {
        if self.time.is_zero() {
            return;
        }
        self.turn(now);
        if self.younger.len() >= GENERATION_MAX && !self.younger.contains(&key) {
            self.unknown_until = now.checked_add(self.time);
            return;
        }
        self.younger.insert(key);
    }

    /// Tells whether it has a member.
    pub(super) fn contains(&mut self, key: u64, now: Instant) -> bool {
        self.turn(now);
        self.younger.contains(&key) || self.elder.contains(&key)
    }

    /// Returns for how long it is not known yet who is in it.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        let Some(until) = self.unknown_until else { return Duration::MAX };
        until.saturating_duration_since(now)
    }

    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.began);
        if age < self.time {
            return;
        }
        // A generation that began two times ago, or earlier, has nobody left who was put in lately.
        let twice = age >= self.time.saturating_mul(2);
        self.elder = std::mem::take(&mut self.younger);
        if twice {
            self.elder.clear();
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
            let mut set = Generations::new(TIME, begin);
            let at = |seconds| begin + Duration::from_secs(seconds);
            set.insert(1, at(put_in));
            for seconds in put_in..put_in + 10 {
                assert!(set.contains(1, at(seconds)), "put in at {put_in}, asked for at {seconds}");
            }
            assert!(!set.contains(1, at(put_in + 20)), "put in at {put_in}");
        }
    }

    #[test]
    fn a_member_that_is_asked_for_only_late_is_gone_then() {
        let begin = Instant::now();
        let mut set = Generations::new(TIME, begin);
        set.insert(1, begin);
        assert!(!set.contains(1, begin + 2 * TIME));
    }

    #[test]
    fn what_was_before_the_start_is_not_known_for_a_while() {
        let begin = Instant::now();
        let mut set = Generations::new(TIME, begin);
        assert_eq!(set.wait(begin), TIME);
        assert_eq!(set.wait(begin + TIME), Duration::ZERO);
        assert_eq!(Generations::new(Duration::ZERO, begin).wait(begin), Duration::ZERO);
    }

    #[test]
    fn a_full_set_says_that_it_does_not_know_everybody() {
        let begin = Instant::now();
        let mut set = Generations::new(TIME, begin);
        let later = begin + TIME;
        for key in 0..GENERATION_MAX as u64 {
            set.insert(key, later);
        }
        set.insert(0, later);
        assert_eq!(set.wait(later), Duration::ZERO);
        set.insert(u64::MAX, later);
        assert_eq!(set.wait(later), TIME);
        assert_eq!(set.wait(later + TIME), Duration::ZERO);
    }
}
