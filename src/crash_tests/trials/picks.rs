//! Selection of the states to try among those that a power cut may leave.

use std::collections::BTreeSet;

use crate::base::Chance;
use crate::disk::simulated::{Choice, Pick};

/// The latest choices are tried in all combinations, up to this many.
const COMBINATIONS_MAX: u64 = 32;

fn outcome(choice: &Choice, chance: &mut Chance) -> Pick {
    let outcome = chance.below(u64::from(choice.outcomes()));
    if choice.tears() && chance.below(3) == 0 {
        // A tear anywhere in the bytes.
        return Pick::try_from(8 + chance.below(100_000)).unwrap();
    }
    Pick::try_from(outcome).unwrap()
}

/// Returns the number of states, at most `u64::MAX`.
pub(crate) fn states(choices: &[Choice]) -> u64 {
    choices.iter().fold(1, |states: u64, choice| states.saturating_mul(u64::from(choice.outcomes())))
}

/// In one moment of this many, the picks begin with garbled blocks.
const GARBLED_FIRST_ONE_IN: u64 = 4;

/// Returns up to `wanted` different picks: all lost, all kept, all blocks garbled that were being written,
/// combinations of the latest choices, then random ones.
pub(crate) fn picks(choices: &[Choice], wanted: u64, chance: &mut Chance) -> Vec<Vec<Pick>> {
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
    let garbled: Vec<Pick> = choices.iter().map(Choice::garbled).collect();
    if chance.below(GARBLED_FIRST_ONE_IN) == 0 && add(garbled.clone()) {
        return all;
    }
    if add(lost) || add(kept) || add(garbled) || choices.is_empty() {
        return all;
    }
    let mut latest = 0;
    while latest < choices.len() && states(&choices[..=latest]) <= COMBINATIONS_MAX {
        latest += 1;
    }
    let combinations = states(&choices[..latest]);
    // Start anywhere, since `wanted` may end the loop early.
    let first = chance.below(combinations);
    for number in 0..combinations {
        let mut rest = (first + number) % combinations;
        let combined = choices.iter().enumerate().map(|(at, choice)| {
            if at >= latest {
                return outcome(choice, chance);
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
    // If the number of states is small, most tries find a known one.
    for _ in 0..wanted * 4 {
        let picked = choices.iter().map(|choice| outcome(choice, chance)).collect();
        if add(picked) {
            break;
        }
    }
    all
}

/// Returns the most telling picks: all pending changes lost, names kept and bytes lost, renamed files left
/// unnamed, or the blocks garbled that were being written.
pub(crate) fn telling_picks(choices: &[Choice]) -> [Vec<Pick>; 4] {
    let kept = |choice: &Choice| if choice.is_of_bytes() { 0 } else { choice.everything() };
    let named = choices.iter().map(kept).collect();
    let unnamed = choices.iter().map(Choice::nothing).collect();
    let garbled = choices.iter().map(Choice::garbled).collect();
    [vec![0; choices.len()], named, unnamed, garbled]
}
