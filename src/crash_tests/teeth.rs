//! The search for a state that reveals that a place which makes something durable was left out.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::crash_tests::histories::history::{Recording, prepared, record};
use crate::crash_tests::histories::listed::histories;
use crate::crash_tests::maintenance::damage::{Repair, repairs};
use crate::crash_tests::sled::runs::{SledRun, sled_runs};
use crate::crash_tests::trials::left_out::{may_differ, places};
use crate::crash_tests::trials::picks::telling_picks;
use crate::crash_tests::trials::states::{How, Moment, Trial, moments};
use crate::crash_tests::without_links;
use crate::disk::simulated::Place;

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
        let mut histories: Vec<_> = histories().iter().map(|history| record(history, &prepared)).collect();
        histories.extend(without_links(&prepared));
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
