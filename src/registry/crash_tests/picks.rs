//! Which of the states that a power cut may leave are tried.

use std::collections::BTreeSet;

use crate::disk::simulated::{Choice, Pick};

/// The latest choices are tried in all combinations, up to so many.
const COMBINATIONS_MAX: u64 = 32;

/// A small generator of numbers that look random (splitmix64): the same seed gives the same ones.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn of(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit.max(1)
    }

    /// Returns one of these.
    pub(super) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }

    fn outcome(&mut self, choice: &Choice) -> Pick {
        let outcome = self.below(u64::from(choice.outcomes()));
        if choice.tears() && self.below(3) == 0 {
            // Anywhere in the bytes.
            return Pick::try_from(8 + self.below(100_000)).unwrap();
        }
        Pick::try_from(outcome).unwrap()
    }
}

/// Returns how many states there are, as far as anybody counts.
pub(super) fn states(choices: &[Choice]) -> u64 {
    choices.iter().fold(1, |states: u64, choice| states.saturating_mul(u64::from(choice.outcomes())))
}

/// Returns up to `wanted` different ways in which chance may pick: all lost, all kept, combinations of the
/// latest choices, then any.
pub(super) fn picks(choices: &[Choice], wanted: u64, chance: &mut Chance) -> Vec<Vec<Pick>> {
    let mut all: Vec<Vec<Pick>> = Vec::new();
    let mut known = BTreeSet::new();
    let mut add = |picked: Vec<Pick>| {
        if known.insert(picked.clone()) {
            all.push(picked);
        }
        known.len() as u64 >= wanted
    };
    let lost = vec![0; choices.len()];
    let kept: Vec<Pick> = choices.iter().map(Choice::everything).collect();
    if add(lost) || add(kept) || choices.is_empty() {
        return all;
    }
    let mut latest = 0;
    while latest < choices.len() && states(&choices[..=latest]) <= COMBINATIONS_MAX {
        latest += 1;
    }
    let combinations = states(&choices[..latest]);
    // Begins anywhere, since `wanted` may end it early.
    let first = chance.below(combinations);
    for number in 0..combinations {
        let mut rest = (first + number) % combinations;
        let combined = choices.iter().enumerate().map(|(at, choice)| {
            if at >= latest {
                return chance.outcome(choice);
            }
            let outcomes = u64::from(choice.outcomes());
            let pick = rest % outcomes;
            rest /= outcomes;
            Pick::try_from(pick).unwrap()
        });
        if add(combined.collect()) {
            return all;
        }
    }
    // Where there are few states, most tries find a known one.
    for _ in 0..wanted * 4 {
        let picked = choices.iter().map(|choice| chance.outcome(choice)).collect();
        if add(picked) {
            break;
        }
    }
    all
}
