//! The search for a state that reveals that a place which makes something durable was left out.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::crash_tests::histories::history::{Recording, prepared, record};
use crate::crash_tests::histories::listed::histories;
use crate::crash_tests::maintenance::damage::{Repair, repairs};
use crate::crash_tests::sled::runs::{SledRun, sled_runs};
use crate::crash_tests::trials::states::{How, Moment, Trial, moments};
use crate::disk::simulated::{Choice, Medium, Pick, Place, Step};

/// In each recording, recoveries die in turn at this many moments, if no other state misses a place.
const RECOVERIES_PER_RECORDING: usize = 4;

/// All recordings of a registry.
pub(crate) struct Evidence {
    histories: Vec<Recording>,
    sled: Vec<SledRun>,
    repairs: Vec<Repair>,
}

impl Evidence {
    /// Makes all recordings.
    pub(crate) fn record() -> Self {
        let prepared = prepared();
        let histories = histories().iter().map(|history| record(history, &prepared)).collect();
        Self { histories, sled: sled_runs(&prepared), repairs: repairs() }
    }

    /// Returns all places that made something durable.
    pub(crate) fn places(&self) -> BTreeSet<Place> {
        let sled = self.sled.iter().flat_map(SledRun::places);
        let recordings = self.histories.iter().chain(self.repairs.iter().map(|repair| &repair.recording));
        recordings.flat_map(|recording| places(&recording.steps)).chain(sled).collect()
    }

    /// Returns the first state that fails when the syncs of a place have no effect, and why it does.
    pub(crate) fn against(&self, place: Place) -> Option<String> {
        let concerned =
            || self.histories.iter().filter(|recording| places(&recording.steps).contains(&place));
        let dying_once = concerned().find_map(|recording| missed_by(recording, place));
        dying_once
            .or_else(|| self.sled.iter().find_map(|run| run.missed(place)))
            .or_else(|| self.repairs.iter().find_map(|repair| repair.missed(place)))
            .or_else(|| concerned().find_map(|recording| missed_in_recovery(recording, place)))
    }
}

/// Returns the places that made something durable.
pub(crate) fn places(steps: &[Step]) -> BTreeSet<Place> {
    let place = |step: &Step| match step {
        Step::Sync { place, .. } | Step::SyncFolder { place, .. } => Some(*place),
        _ => None,
    };
    steps.iter().filter_map(place).collect()
}

/// Tells whether a power cut may leave other states if a place is left out.
pub(crate) fn may_differ(ignoring: &Medium, otherwise: &Medium) -> bool {
    let outcomes = |medium: &Medium| medium.choices().iter().map(Choice::outcomes).collect::<Vec<_>>();
    outcomes(ignoring) != outcomes(otherwise)
}

/// Returns the first state that fails `check` when the syncs of a place have no effect, and why it does.
/// `check` gets the number of steps that had been done, and what the power cut left.
pub(crate) fn missed(
    name: &str,
    (base, steps): (&Medium, &[Step]),
    place: Place,
    check: impl Fn(usize, Medium) -> Result<(), String>,
) -> Option<String> {
    if !places(steps).contains(&place) {
        return None;
    }
    let (mut ignoring, mut otherwise) = (base.clone().ignoring(Some(place)), base.clone());
    for (at, step) in (1..).zip(steps) {
        ignoring.replay(step);
        otherwise.replay(step);
        if !may_differ(&ignoring, &otherwise) {
            continue;
        }
        let choices = ignoring.choices();
        let failure = telling_picks(&choices)
            .iter()
            .find_map(|picked| check(at, ignoring.after_power_cut(&choices, picked)).err());
        if let Some(why) = failure {
            return Some(format!("`{name}`, step {at}: {why:.100}"));
        }
    }
    None
}

fn missed_by(recording: &Recording, place: Place) -> Option<String> {
    let mut failure = None;
    let mut otherwise = recording.base.clone();
    let mut done = 0;
    moments(recording, Some(place), |moment| {
        recording.steps[done..moment.at].iter().for_each(|step| otherwise.replay(step));
        done = moment.at;
        if may_differ(moment.medium, &otherwise) {
            failure = fails(moment, false);
        }
        if failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    failure
}

fn missed_in_recovery(recording: &Recording, place: Place) -> Option<String> {
    let mut failure = None;
    let each = recording.steps.len().div_ceil(RECOVERIES_PER_RECORDING);
    moments(recording, Some(place), |moment| {
        if moment.at % each == 0 {
            failure = fails(moment, true);
        }
        if failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    failure
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

fn fails(moment: &Moment<'_>, dies_again: bool) -> Option<String> {
    let choices = moment.medium.choices();
    let picks = telling_picks(&choices);
    let cuts = picks.iter().map(|picked| How::PowerCut(&choices, picked));
    let ways: Vec<How<'_>> =
        if dies_again { cuts.take(1).chain([How::Killed]).collect() } else { cuts.collect() };
    ways.into_iter().find_map(|how| {
        let why = Trial { moment, how, dies_again, seed: 1 }.run().failure?;
        let first = why.lines().next().unwrap_or_default();
        let again = if dies_again { ", dying again in recovery" } else { "" };
        Some(format!("`{}`, step {}{again}: {first:.100}", moment.recording.name, moment.at))
    })
}
