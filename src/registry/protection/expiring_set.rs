//! A bounded set whose members are forgotten some time after they were put in last.

use std::collections::HashSet;
use std::time::{Duration, Instant};

/// The most members of one generation that are known exactly: together with their table, some 2 MiB.
const EXACT_MAX: usize = 1 << 17;

/// How many bits stand for the members of a larger generation: 2 MiB, too.
const COARSE_BITS: u64 = 1 << 24;

/// How many of these bits stand for each member.
const BITS_PER_MEMBER: u64 = 4;

/// The most members of a generation: with so many, one in seven that are none passes for one.
const GENERATION_MAX: usize = 1 << 22;

/// Two generations: a member is there for at least the time that it was put in for, and for less than twice
/// that.
#[derive(Debug)]
pub(in crate::registry) struct ExpiringSet {
    time: Duration,
    began: Instant,
    current: Members,
    previous: Members,
    /// Until when nobody knows who would be in it: one was turned away, or nothing is known of before.
    incomplete_until: Option<Instant>,
}

/// Keys, which are hashes: all of them as they are, or, when they are many, bits that each of them sets. Then
/// others seem to be members, too, but no member is ever missed.
#[derive(Debug)]
enum Members {
    Exact(HashSet<u64>),
    Coarse {
        bits: Vec<u64>,
        /// How many were put in that did not seem to be there.
        count: usize,
    },
}

impl Members {
    fn new() -> Self {
        Self::Exact(HashSet::new())
    }

    fn contains(&self, key: u64) -> bool {
        match self {
            Self::Exact(keys) => keys.contains(&key),
            Self::Coarse { bits, .. } => places(key).all(|(word, bit)| {
                // A word that is not there cannot say that nobody set it.
                bits.get(word).is_none_or(|word| word & bit != 0)
            }),
        }
    }

    /// Puts a member in, and tells whether there was still a place for it.
    fn insert(&mut self, key: u64) -> bool {
        if self.contains(key) {
            return true;
        }
        if matches!(self, Self::Exact(keys) if keys.len() >= EXACT_MAX) {
            self.make_coarse();
        }
        match self {
            Self::Exact(keys) => keys.insert(key),
            Self::Coarse { count, .. } if *count >= GENERATION_MAX => false,
            Self::Coarse { bits, count } => {
                *count += 1;
                set(bits, key);
                true
            }
        }
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        match self {
            Self::Exact(keys) => keys.len(),
            Self::Coarse { count, .. } => *count,
        }
    }

    fn make_coarse(&mut self) {
        let Self::Exact(keys) = self else { return };
        let words = usize::try_from(COARSE_BITS / u64::from(u64::BITS)).unwrap_or(0);
        let (mut bits, count) = (vec![0; words], keys.len());
        keys.iter().for_each(|key| set(&mut bits, *key));
        log::info!("clients count on so much that more is kept from being collected than they know of");
        *self = Self::Coarse { bits, count };
    }
}

fn set(bits: &mut [u64], key: u64) {
    for (word, bit) in places(key) {
        if let Some(word) = bits.get_mut(word) {
            *word |= bit;
        }
    }
}

/// Returns where the bits of a key are: the word, and the bit in it.
fn places(key: u64) -> impl Iterator<Item = (usize, u64)> {
    // Odd, so that the places differ.
    let stride = (key >> 32) | 1;
    (0..BITS_PER_MEMBER).map(move |number| {
        let place = key.wrapping_add(stride.wrapping_mul(number)) % COARSE_BITS;
        let word = usize::try_from(place / u64::from(u64::BITS)).unwrap_or(usize::MAX);
        (word, 1 << (place % u64::from(u64::BITS)))
    })
}

impl ExpiringSet {
    /// Makes an empty set that is taken up at `now`: what would be in it from before is not known.
    pub(in crate::registry) fn new(time: Duration, now: Instant) -> Self {
        let (current, previous) = (Members::new(), Members::new());
        Self { time, began: now, current, previous, incomplete_until: now.checked_add(time) }
    }

    /// Makes everybody known who is in it, as if the start were long ago.
    #[cfg(test)]
    pub(in crate::registry) fn complete_now(&mut self) {
        self.incomplete_until = Some(self.began);
    }

    /// Returns how many members it has.
    #[cfg(test)]
    pub(in crate::registry) fn count(&self) -> usize {
        self.current.count() + self.previous.count()
    }

    /// Makes all that was ever put in look that much older.
    #[cfg(test)]
    pub(in crate::registry) fn grow_older(&mut self, time: Duration) {
        self.rotate(self.began);
        self.began = self.began.checked_sub(time).expect("the machine runs for longer than that");
        self.incomplete_until = self.incomplete_until.and_then(|until| until.checked_sub(time));
    }

    /// Puts a member in, or puts it in anew.
    pub(in crate::registry) fn insert(&mut self, key: u64, now: Instant) {
        if self.time.is_zero() {
            return;
        }
        self.rotate(now);
        if !self.current.insert(key) {
            if self.wait(now).is_zero() {
                log::warn!("clients count on so much that nothing is collected for {:?}", self.time);
            }
            self.incomplete_until = now.checked_add(self.time);
        }
    }

    /// Tells whether it has a member.
    pub(in crate::registry) fn contains(&mut self, key: u64, now: Instant) -> bool {
        self.rotate(now);
        self.current.contains(key) || self.previous.contains(key)
    }

    /// Returns for how long it is not known yet who is in it.
    pub(in crate::registry) fn wait(&mut self, now: Instant) -> Duration {
        let Some(until) = self.incomplete_until else { return Duration::MAX };
        until.saturating_duration_since(now)
    }

    fn rotate(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.began);
        if age < self.time {
            return;
        }
        // A generation that began two times ago, or earlier, has nobody left who was put in lately.
        let twice = age >= self.time.saturating_mul(2);
        self.previous = std::mem::replace(&mut self.current, Members::new());
        if twice {
            self.previous = Members::new();
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
    fn a_member_that_is_asked_for_only_late_is_gone_then() {
        let begin = Instant::now();
        let mut set = ExpiringSet::new(TIME, begin);
        set.insert(1, begin);
        assert!(!set.contains(1, begin + 2 * TIME));
    }

    #[test]
    fn what_was_before_the_start_is_not_known_for_a_while() {
        let begin = Instant::now();
        let mut set = ExpiringSet::new(TIME, begin);
        assert_eq!(set.wait(begin), TIME);
        assert_eq!(set.wait(begin + TIME), Duration::ZERO);
        assert_eq!(ExpiringSet::new(Duration::ZERO, begin).wait(begin), Duration::ZERO);
    }

    /// Keys as hashes are: all bits differ.
    fn keys(from: u64, to: u64) -> impl Iterator<Item = u64> {
        (from..to).map(|number| {
            let mixed = (number ^ (number >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ (mixed >> 33)
        })
    }

    #[test]
    fn many_members_are_all_there_and_few_others_seem_to_be() {
        let begin = Instant::now();
        let later = begin + TIME;
        let mut set = ExpiringSet::new(TIME, begin);
        let many = 4 * EXACT_MAX as u64;
        for key in keys(0, many) {
            set.insert(key, later);
        }
        assert!(matches!(set.current, Members::Coarse { .. }));
        assert_eq!(set.wait(later), Duration::ZERO);
        for seconds in [0, 5, 9] {
            let at = later + Duration::from_secs(seconds);
            assert!(keys(0, many).all(|key| set.contains(key, at)), "{seconds}");
        }
        let strangers = keys(many, 2 * many).filter(|key| set.contains(*key, later)).count();
        assert!(strangers < many as usize / 100, "{strangers}");
        // A lease later, all is as before.
        set.insert(1, later + 2 * TIME);
        assert!(matches!(set.current, Members::Exact(_)));
        assert!(!keys(0, 99).any(|key| set.contains(key, later + 2 * TIME)));
    }

    #[test]
    fn a_full_set_says_that_it_does_not_know_everybody() {
        let begin = Instant::now();
        let mut set = ExpiringSet::new(TIME, begin);
        let later = begin + TIME;
        set.insert(7, later);
        set.current.make_coarse();
        let Members::Coarse { count, .. } = &mut set.current else { panic!("it is exact") };
        *count = GENERATION_MAX - 1;
        set.insert(u64::MAX / 3, later);
        set.insert(7, later);
        assert_eq!(set.wait(later), Duration::ZERO);
        set.insert(u64::MAX, later);
        assert_eq!(set.wait(later), TIME);
        assert_eq!(set.wait(later + TIME), Duration::ZERO);
    }
}
