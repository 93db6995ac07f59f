//! Which holders can go, and in which order.
//!
//! When all places are taken, a newcomer displaces the holder that has been idle longest, else the slowest
//! one that is too slow; of which address is for [`displaced`](crate::base::displaced) to say.

use std::cmp::Reverse;
use std::time::Duration;

/// The figures of the rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// How many places there are.
    pub(crate) places: usize,
    /// How many displaced holders may be on their way out at once. The last of them has the first cut off.
    pub(crate) leaving_max: usize,
    /// How long a holder must be idle to be displaced: a client that just came may be about to send.
    pub(crate) idle_min: Duration,
    /// For how long a client must have been waited for, in all, before it can be too slow.
    pub(crate) slow_time: Duration,
    /// How much it must move in each second of that time.
    pub(crate) least_bytes_per_second: u64,
}

/// What speaks for a holder that would keep its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing: for this long, nothing has been in flight.
    Idle(Duration),
    /// Little: it moves this many bytes a second, which is too few.
    TooSlow(u64),
    /// It keeps its place.
    Busy,
}

/// Greater ranks go first: idle holders, the longest first, then slow ones, the slowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    TooSlow(Reverse<u64>),
    Idle(Duration),
}

impl Standing {
    /// Returns the rank of a holder that can go.
    pub(super) fn rank(self) -> Option<Rank> {
        match self {
            Self::Idle(time) => Some(Rank::Idle(time)),
            Self::TooSlow(rate) => Some(Rank::TooSlow(Reverse(rate))),
            Self::Busy => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Standing::{Busy, Idle, TooSlow};
    use super::*;
    use crate::base::{Chance, displaced};

    fn idle(seconds: u64) -> Standing {
        Idle(Duration::from_secs(seconds))
    }

    /// Each holder is an address and its standing; returns the index of the one that goes.
    fn goes(holders: &[(char, Standing)], newcomer: char) -> Option<usize> {
        let holders = holders.iter().enumerate();
        let holders = holders.map(|(key, (address, standing))| (*address, key, standing.rank()));
        displaced(holders, &newcomer)
    }

    #[test]
    fn the_longest_idle_holder_of_the_address_that_has_most_goes() {
        let holders = [('a', idle(9)), ('b', idle(1)), ('b', idle(3)), ('b', idle(2))];
        assert_eq!(goes(&holders, 'c'), Some(2));
        assert_eq!(goes(&holders, 'a'), Some(2));
    }

    #[test]
    fn without_an_idle_one_the_slowest_goes_and_never_one_that_is_fast_enough() {
        let holders = [('a', Busy), ('a', TooSlow(9)), ('a', TooSlow(3)), ('a', TooSlow(7))];
        assert_eq!(goes(&holders, 'b'), Some(2));
        assert_eq!(goes(&[('a', Busy), ('a', TooSlow(9)), ('a', idle(0))], 'b'), Some(2));
        assert_eq!(goes(&[('a', Busy), ('a', Busy)], 'b'), None);
    }

    #[test]
    fn an_address_that_has_most_displaces_only_its_own() {
        let holders = [('a', idle(1)), ('a', idle(2)), ('b', idle(9)), ('b', idle(8))];
        assert_eq!(goes(&holders, 'a'), Some(1));
        assert_eq!(goes(&holders, 'b'), Some(2));
        let holders = [('a', Busy), ('a', Busy), ('b', idle(9))];
        assert_eq!(goes(&holders, 'a'), None);
        assert_eq!(goes(&holders, 'b'), Some(2));
    }

    #[test]
    fn where_the_address_that_has_most_is_busy_the_next_one_is_asked() {
        let holders = [('a', Busy), ('a', Busy), ('a', Busy), ('b', idle(1)), ('b', Busy), ('c', idle(9))];
        assert_eq!(goes(&holders, 'd'), Some(3));
        // Its own idle one goes, since those who have more are busy.
        assert_eq!(goes(&[('a', Busy), ('a', Busy), ('b', idle(1))], 'b'), Some(2));
    }

    #[test]
    fn no_address_loses_a_place_to_one_that_would_then_have_more() {
        let mut chance = Chance::of(7);
        for _ in 0..20_000 {
            let holders: Vec<(char, Standing)> = (0..chance.below(12))
                .map(|_| {
                    let standing = match chance.below(3) {
                        0 => idle(chance.below(5)),
                        1 => TooSlow(chance.below(5)),
                        _ => Busy,
                    };
                    (chance.one_of(&['a', 'b', 'c', 'd']), standing)
                })
                .collect();
            let newcomer = chance.one_of(&['a', 'b', 'c', 'd', 'e']);
            let places = |of: char| holders.iter().filter(|(address, _)| *address == of).count();
            let goes = goes(&holders, newcomer);
            let may_go = |(address, standing): &(char, Standing)| {
                *standing != Busy && (*address == newcomer || places(*address) > places(newcomer))
            };
            assert_eq!(goes.is_some(), holders.iter().any(may_go), "{holders:?} {newcomer}");
            let Some((address, standing)) = goes.map(|key| holders[key]) else { continue };
            assert!(may_go(&(address, standing)), "{holders:?} {newcomer}");
            for other in holders.iter().filter(|other| may_go(other)) {
                assert!(places(other.0) <= places(address), "{holders:?} {newcomer}");
                let goes_before = match (other.1, standing) {
                    (Idle(other), Idle(goes)) => other > goes,
                    (TooSlow(other), TooSlow(goes)) => other < goes,
                    (Idle(_), TooSlow(_)) => true,
                    _ => false,
                };
                assert!(other.0 != address || !goes_before, "{holders:?} {newcomer}");
            }
        }
    }
}
