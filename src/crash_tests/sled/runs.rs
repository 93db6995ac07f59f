//! Histories with sled as the index, and the state of its files after a power cut.
//!
//! sled's files bypass the disk that loses power, so their state after a power cut is unknown: they may be
//! gone, outdated, damaged, or, worst of all, readable but wrong. Only after a clean stop, from the moment
//! that the marker may be there until the next start has removed it, they are what they were, provided that
//! all of them had been synced.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::disk::{Stop, WatchedDisk};
use crate::base::Chance;
use crate::crash_tests::histories::client::Op;
use crate::crash_tests::histories::history::{Recording, Run, open_on};
use crate::crash_tests::trials::left_out::{may_differ, places};
use crate::crash_tests::trials::model::Model;
use crate::crash_tests::trials::observe::{check_references, observe, probe};
use crate::crash_tests::trials::picks::telling_picks;
use crate::crash_tests::trials::states::{Moment, moments};
use crate::disk::simulated::{Medium, Place, SimulatedDisk, Step};
use crate::meta::{IndexKind, Start, copy_folder, falsify};

/// A history with sled, and its clean stops.
pub(crate) struct SledRun {
    pub(crate) recording: Recording,
    stops: Vec<Stop>,
    /// The index of each stop, with other rows in it.
    falsified: Vec<TempDir>,
}

/// The content of the index's folder after a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Its content at the clean stop of this number.
    AtStop(usize),
    /// The same with other rows in it.
    Falsified(usize),
    /// The same with some of its bytes lost.
    Damaged(usize),
    Nothing,
}

/// How a start found the metadata, and whether it kept the index once that was verified.
pub(crate) struct SledStart {
    pub(crate) start: Start,
    is_kept: bool,
}

/// Runs histories with sled, each closed and opened again several times.
pub(crate) fn sled_runs(prepared: &Medium) -> Vec<SledRun> {
    let push = |repo, blob| Op::Push { repo, blob };
    let put = |repo, manifest, tags| Op::Put { repo, manifest, tags, by_digest: true };
    let first = [push("a", 0), push("a", 1), put("a", 0, &["v1"])];
    let second = [push("a", 2), put("a", 1, &["v1", "v2"]), Op::DeleteTag { repo: "a", tag: "v2" }];
    let third = [Op::Mount { repo: "b", from: "a", blob: 0 }, Op::DeleteManifest { repo: "a", manifest: 0 }];
    let fourth = [Op::DeleteBlob { repo: "a", blob: 1 }, push("b", 1), put("b", 0, &["v3"])];
    // The journal may be rotated right before a stop, which then has no zeroes to cut off; but not before
    // both of these.
    let fifth = [Op::DeleteTag { repo: "b", tag: "v3" }];
    let sixth = [put("b", 0, &["v2"])];
    let names = ["sled, stopped six times", "sled, stopped after nothing"];
    let parts: [Vec<Vec<Op>>; 2] = [
        vec![first.into(), second.into(), third.into(), fourth.into(), fifth.into(), sixth.into()],
        vec![Vec::new(), Vec::new()],
    ];
    names.into_iter().zip(parts).map(|(name, parts)| SledRun::record(name, &parts, prepared)).collect()
}

impl SledRun {
    /// Runs each part between an opening and a clean stop.
    fn record(name: &'static str, parts: &[Vec<Op>], prepared: &Medium) -> Self {
        let root = tempfile::tempdir().unwrap();
        let simulated = SimulatedDisk::new(prepared.clone());
        let disk = WatchedDisk::new(simulated.clone(), root.path());
        let mut run = Run::on(simulated, None);
        for part in parts {
            let sled = IndexKind::Sled(root.path().to_owned());
            run.registry = Some(open_on(Arc::new(disk.clone()), sled, true).unwrap());
            for op in part {
                smol::block_on(run.carry_out(op)).unwrap();
            }
            smol::block_on(run.registry.take().unwrap().close()).unwrap();
        }
        let (steps, stops) = (run.disk.steps(), disk.take_stops());
        assert_eq!(stops.len(), parts.len());
        let falsified = stops.iter().map(|stop| {
            let folder = tempfile::tempdir().unwrap();
            copy_folder(stop.index.path(), folder.path());
            falsify(folder.path());
            folder
        });
        let falsified = falsified.collect();
        let recording =
            Recording { name, base: prepared.clone(), steps, records: run.records, uploads: run.uploads };
        Self { recording, stops, falsified }
    }

    pub(crate) fn places(&self) -> BTreeSet<Place> {
        places(&self.recording.steps).union(&self.index_places()).copied().collect()
    }

    fn index_places(&self) -> BTreeSet<Place> {
        self.stops.iter().flat_map(Stop::places).collect()
    }

    /// Returns the last clean stop whose marker may be there, unless a later start has durably removed it.
    fn stop_at(&self, at: usize) -> Option<usize> {
        let last = self.stops.iter().rposition(|stop| stop.at < at)?;
        let since = self.recording.steps.get(self.stops[last].at..at)?;
        let taken =
            since.iter().position(|step| matches!(step, Step::Remove(path) if path == Path::new("clean")));
        let gone_on = since.iter().skip(taken.unwrap_or(since.len())).any(is_sync_of_root);
        (!gone_on).then_some(last)
    }

    /// Returns the certain content of the index's folder at a moment, if it is certain.
    pub(crate) fn certain(&self, at: usize, ignored: Option<Place>) -> Option<Left> {
        let stop = self.stop_at(at)?;
        self.stops[stop].index_was_durable(ignored).then_some(Left::AtStop(stop))
    }

    /// Returns the possible contents at a moment.
    pub(crate) fn any(&self, at: usize, chance: &mut Chance) -> Vec<Left> {
        if let Some(certain) = self.certain(at, None) {
            let falsified = self.stop_at(at).map(Left::Falsified);
            return [Some(certain), falsified].into_iter().flatten().collect();
        }
        let mut stop = || chance.below(self.stops.len() as u64) as usize;
        vec![Left::AtStop(stop()), Left::Falsified(stop()), Left::Damaged(stop()), Left::Nothing]
    }

    /// Opens a registry on what a power cut left, and compares its content with the model.
    pub(crate) fn check(
        &self,
        moment: &Moment<'_>,
        medium: Medium,
        left: Left,
        chance: &mut Chance,
    ) -> Result<SledStart, String> {
        let root = tempfile::tempdir().unwrap();
        self.fill(&root.path().join("index"), left, chance);
        let disk = WatchedDisk::new(SimulatedDisk::new(medium), root.path());
        let registry = open_on(Arc::new(disk), IndexKind::Sled(root.path().to_owned()), true)
            .map_err(|error| format!("it does not open: {error}"))?;
        let start = registry.meta().start();
        // An index that a clean stop left is verified before anything else is decided.
        smol::block_on(registry.settled()).map_err(|error| format!("it is not verified: {error}"))?;
        let is_kept = registry.meta().index_generation() == Some(0);
        let model = Model { records: &self.recording.records, seen: moment.seen };
        smol::block_on(async {
            let found = observe(&registry).await?;
            model.check(&found)?;
            check_references(&model, &found)?;
            probe(&registry).await?;
            registry.close().await.map_err(|error| format!("it does not close: {error}"))
        })?;
        if self.is_stopped(moment) && start != Start::Clean {
            return Err(format!("after a clean stop the start was {start:?}"));
        }
        Ok(SledStart { start, is_kept })
    }

    fn is_stopped(&self, moment: &Moment<'_>) -> bool {
        moment.at == self.recording.steps.len()
    }

    fn fill(&self, folder: &Path, left: Left, chance: &mut Chance) {
        match left {
            Left::AtStop(stop) => copy_folder(self.stops[stop].index.path(), folder),
            Left::Falsified(stop) => copy_folder(self.falsified[stop].path(), folder),
            Left::Damaged(stop) => {
                copy_folder(self.stops[stop].index.path(), folder);
                damage(folder, chance);
            }
            Left::Nothing => {}
        }
    }

    /// Returns the first state that fails when the syncs of a place have no effect, and why it does.
    pub(crate) fn missed(&self, place: Place) -> Option<String> {
        if !self.places().contains(&place) {
            return None;
        }
        let mut failure = None;
        let (mut otherwise, mut done) = (self.recording.base.clone(), 0);
        moments(&self.recording, Some(place), |moment| {
            self.recording.steps[done..moment.at].iter().for_each(|step| otherwise.replay(step));
            done = moment.at;
            // If the content is uncertain, assume the worst.
            let stop = self.stops.iter().rposition(|stop| stop.at < moment.at);
            let worst = stop.map_or(Left::Nothing, Left::Falsified);
            let left = self.certain(moment.at, Some(place)).unwrap_or(worst);
            let other = self.certain(moment.at, None).unwrap_or(worst);
            if left != other || may_differ(moment.medium, &otherwise) {
                failure = self.fails(moment, left);
            }
            if failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        failure
    }

    fn fails(&self, moment: &Moment<'_>, left: Left) -> Option<String> {
        let choices = moment.medium.choices();
        let everything = choices.iter().map(crate::disk::simulated::Choice::everything).collect();
        telling_picks(&choices).iter().chain([&everything]).find_map(|picked| {
            let medium = moment.medium.after_power_cut(&choices, picked);
            let checked = self.check(moment, medium, left, &mut Chance::of(1));
            let checked = checked.and_then(|found| match self.is_stopped(moment) && !found.is_kept {
                true => Err("the index of a clean stop was rebuilt".to_owned()),
                false => Ok(()),
            });
            let why = checked.err()?;
            let first = why.lines().next().unwrap_or_default();
            Some(format!("`{}`, step {}, {left:?}: {first:.100}", self.recording.name, moment.at))
        })
    }
}

fn is_sync_of_root(step: &Step) -> bool {
    matches!(step, Step::SyncFolder { path, .. } if path.as_os_str().is_empty())
}

/// Overwrites a part of each file, and cuts some.
fn damage(folder: &Path, chance: &mut Chance) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            damage(&entry.path(), chance);
            continue;
        }
        let mut bytes = fs::read(entry.path()).unwrap();
        let from = chance.below(bytes.len() as u64) as usize;
        let to = bytes.len().min(from + 512);
        bytes[from..to].fill(chance.below(256) as u8);
        if chance.below(3) == 0 {
            bytes.truncate(to);
        }
        fs::write(entry.path(), bytes).unwrap();
    }
}
