//! The power is cut at any step of a sweep, and everything acknowledged by then is complete.
//!
//! Histories run once on the simulated disk with passes between and during them. The disk is then replayed up
//! to each step of the collector, and from there to what a power cut may leave. `PULK_CRASH_STATES` sets how
//! many such states are tried.

use std::sync::Arc;
use std::time::Duration;

use crate::base::Chance;
use crate::disk::simulated::{Choice, Medium, Pick, SimulatedDisk, Step};
use crate::maintenance::CollectOptions;
use crate::maintenance::collector_tests::clients::{Clients, Habits, push_all};
use crate::maintenance::collector_tests::model::Model;
use crate::maintenance::collector_tests::random::removing_untagged;
use crate::maintenance::collector_tests::{collect, open_on, pass};
use crate::meta::Policy;
use crate::registry::Registry;

/// How many states are tried unless the environment says otherwise.
const STATES_DEFAULT: u64 = 240;

const HISTORIES: u64 = 6;
const PASSES: u64 = 5;

/// How many outcomes of a power cut are tried after one step.
const WAYS: u64 = 2;

/// A history that was run.
struct Recording {
    base: Medium,
    steps: Vec<Step>,
    /// What was acknowledged: before the first mark, between the first and the second, and so on.
    models: Vec<Model>,
    policy: Option<Policy>,
}

fn open(disk: &SimulatedDisk, policy: Option<Policy>) -> Registry {
    open_on(Arc::new(disk.clone()), Duration::ZERO, policy)
}

fn record(seed: u64) -> Recording {
    let removes = seed % 2 == 1;
    let policy = removes.then(removing_untagged);
    let empty = SimulatedDisk::new(Medium::new().garbling());
    smol::block_on(open(&empty, None).close()).unwrap();
    let base = empty.medium().settled();
    let disk = SimulatedDisk::new(base.clone());
    let registry = open(&disk, policy.clone());
    let habits = Habits { delete_content: true, refusals: true };
    let (mut model, mut clients) = (Model::new(removes), Clients::new(2, habits));
    let mut chance = Chance::of(seed);
    let mut models = vec![model.clone()];
    for _ in 0..PASSES {
        let mut between = || {
            let steps = chance.below(4);
            if steps == 0 {
                return;
            }
            // The registry's own crash tests cover deaths during the operations of clients.
            disk.mark(models.len());
            models.push(model.clone());
            for _ in 0..steps {
                model.forget();
                clients.step(&registry, &mut model, &mut chance);
            }
            disk.mark(models.len());
            models.push(model.clone());
        };
        pass(&registry, &CollectOptions::default(), &mut between, &mut |_| {});
    }
    Recording { base, steps: disk.steps(), models, policy }
}

/// A moment when only the collector was at work.
struct Moment {
    recording: usize,
    /// How many steps had been done.
    at: usize,
    /// Which model is valid then.
    model: usize,
}

fn moments(recordings: &[Recording]) -> Vec<Moment> {
    let mut moments = Vec::new();
    for (number, recording) in recordings.iter().enumerate() {
        let mut model = 0;
        let opened = recording.steps.iter().position(|step| matches!(step, Step::Mark(_))).unwrap_or(0);
        for (before, step) in recording.steps.iter().enumerate() {
            if let Step::Mark(mark) = step {
                model = *mark;
            }
            // Odd marks begin operations of clients, even ones end them.
            if model % 2 == 0 && before >= opened {
                moments.push(Moment { recording: number, at: before + 1, model });
            }
        }
    }
    moments
}

/// Returns the picks to try: all pending changes lost, all names kept and all bytes lost, and random ones.
fn picked(choices: &[Choice], way: u64, chance: &mut Chance) -> Vec<Pick> {
    let of_chance = |choice: &Choice, chance: &mut Chance| {
        Pick::try_from(chance.below(u64::from(choice.outcomes()))).unwrap()
    };
    match (way + chance.below(2)) % 3 {
        0 => vec![0; choices.len()],
        1 => {
            choices.iter().map(|choice| if choice.is_of_bytes() { 0 } else { choice.everything() }).collect()
        }
        _ => choices.iter().map(|choice| of_chance(choice, chance)).collect(),
    }
}

fn try_state(recording: &Recording, medium: Medium, model: &Model) -> Result<(), String> {
    let registry = open(&SimulatedDisk::new(medium), recording.policy.clone());
    model.check(&registry)?;
    // It accepts a push, and a quiet cycle removes everything unneeded.
    let mut model = model.clone();
    smol::block_on(push_all(&registry, "b", 4, Some("v3")))
        .map_err(|error| format!("a push fails: {error}"))?;
    let has = model.of("b");
    has.deleted_manifests.retain(|number| *number > 4);
    has.take_in(4);
    has.tags.insert("v3", 4);
    has.deleted_blobs.clear();
    collect(&registry, &CollectOptions::default());
    model.check(&registry)?;
    model.check_nothing_else(&registry)
}

#[test]
fn a_power_cut_amid_a_sweep_loses_nothing_and_leaves_nothing() {
    let wanted = std::env::var("PULK_CRASH_STATES").map_or(STATES_DEFAULT, |text| text.parse().unwrap());
    let recordings: Vec<Recording> = (0..HISTORIES).map(record).collect();
    let moments = moments(&recordings);
    assert!(moments.len() > 300, "the collector did only {} steps", moments.len());
    let every = (moments.len() as u64 * WAYS).div_ceil(wanted).max(1) as usize;
    let mut chance = Chance::of(7);
    let (mut tried, mut replayed) = (0, None::<(usize, usize, Medium)>);
    for moment in moments.iter().step_by(every) {
        let recording = &recordings[moment.recording];
        let (mut at, mut medium) = match replayed.take() {
            Some((number, at, medium)) if number == moment.recording => (at, medium),
            _ => (0, recording.base.clone()),
        };
        while at < moment.at {
            medium.replay(&recording.steps[at]);
            at += 1;
        }
        let choices = medium.choices();
        for way in 0..WAYS {
            let picked = picked(&choices, way, &mut chance);
            let left = medium.after_power_cut(&choices, &picked);
            tried += 1;
            try_state(recording, left, &recording.models[moment.model]).unwrap_or_else(|why| {
                let shown: Vec<String> = recording.steps[at.saturating_sub(30)..at]
                    .iter()
                    .map(|step| format!("  {step:?}"))
                    .collect();
                panic!(
                    "history {}, after step {at}, way {way}: {why}\n{}\npicks {picked:?} of {choices:?}",
                    moment.recording,
                    shown.join("\n")
                )
            });
        }
        replayed = Some((moment.recording, at, medium));
    }
    eprintln!("{tried} crash states of sweeps tried, of {} moments", moments.len());
}
