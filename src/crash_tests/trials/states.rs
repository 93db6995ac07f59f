//! Trials of the states that a power cut may leave.

use std::ops::ControlFlow;
use std::sync::Mutex;

use super::model::{Found, Model, Seen, record_of};
use super::observe::{check_probe, check_references, observe, probe, resume};
use super::picks::{picks, states, telling_picks};
use crate::base::Chance;
use crate::crash_tests::histories::history::{Recording, open};
use crate::disk::simulated::{Choice, Medium, Pick, Place, SimulatedDisk, Step};

/// A crash follows one in this many folders made in a row: they are all alike.
const FOLDERS_PER_POINT: usize = 64;

/// In one state in this many, the recovery dies in turn, at every step.
const RECOVERIES_ONE_IN: u64 = 400;

/// How many states are tried after each step of such a recovery.
const STATES_PER_RECOVERY_STEP: u64 = 1;

/// How many steps before the crash a failure report shows.
const STEPS_SHOWN: usize = 40;

/// A moment of a history at which the power may be cut.
pub(crate) struct Moment<'a> {
    pub(crate) recording: &'a Recording,
    /// How many steps had been done.
    pub(crate) at: usize,
    pub(crate) medium: &'a Medium,
    pub(crate) seen: &'a Seen,
}

/// Visits the moments of a recording. The syncs of `ignored` have no effect.
pub(crate) fn moments(
    recording: &Recording,
    ignored: Option<Place>,
    mut visit: impl FnMut(&Moment<'_>) -> ControlFlow<()>,
) {
    let mut medium = recording.base.clone().ignoring(ignored);
    let mut seen = Seen::default();
    let mut folders = 0;
    for at in 0..=recording.steps.len() {
        if let Some(step) = at.checked_sub(1).and_then(|before| recording.steps.get(before)) {
            if let Step::Mark(mark) = step {
                seen.pass(*mark);
            }
            medium.replay(step);
        }
        let makes_folder = |at: usize| matches!(recording.steps.get(at), Some(Step::CreateFolder(_)));
        folders = if makes_folder(at) { folders + 1 } else { 0 };
        if folders % FOLDERS_PER_POINT > 1 {
            continue;
        }
        if visit(&Moment { recording, at, medium: &medium, seen: &seen }).is_break() {
            return;
        }
    }
}

/// Tries what a power cut may leave after one in `one_in` of these steps: the most telling states, and `each`
/// others. Returns the number of states.
pub(crate) fn each_power_cut(
    base: &Medium,
    steps: &[Step],
    one_in: usize,
    each: u64,
    mut check: impl FnMut(usize, Medium),
) -> u64 {
    let mut medium = base.clone();
    let mut tried = 0;
    for at in 0..=steps.len() {
        if let Some(step) = at.checked_sub(1).and_then(|before| steps.get(before)) {
            medium.replay(step);
        }
        if at % one_in != 0 {
            continue;
        }
        let choices = medium.choices();
        let others = picks(&choices, each, &mut Chance::of(at as u64));
        for picked in telling_picks(&choices).into_iter().chain(others) {
            tried += 1;
            check(at, medium.after_power_cut(&choices, &picked));
        }
    }
    tried
}

/// How many states are tried at each moment.
pub(crate) struct Budget {
    states_per_moment: u64,
    /// If fewer states are wanted than moments exist, only one moment in this many is tried.
    one_moment_in: usize,
}

impl Budget {
    /// Spreads `wanted` states evenly over the moments of all recordings, if that many exist.
    pub(crate) fn of(recordings: &[Recording], wanted: u64) -> Self {
        let mut capacities = Vec::new();
        for recording in recordings {
            moments(recording, None, |moment| {
                capacities.push(states(&moment.medium.choices()));
                ControlFlow::Continue(())
            });
        }
        // The states after deaths in recovery are additional.
        let mut states_per_moment = 1;
        let total = |each: u64| capacities.iter().map(|capacity| each.min(*capacity)).sum::<u64>();
        while total(states_per_moment) < wanted && states_per_moment < wanted {
            states_per_moment += 1;
        }
        let one_moment_in = (capacities.len() as u64).div_ceil(wanted.max(1)).max(1);
        Self { states_per_moment, one_moment_in: usize::try_from(one_moment_in).unwrap() }
    }

    /// Tells whether a moment of a recording is tried by this thread.
    fn has(&self, recording: usize, at: usize, thread: usize, threads: usize) -> bool {
        let one_in = self.one_moment_in;
        at % one_in == recording % one_in && (at / one_in) % threads == thread
    }
}

/// One state to try.
pub(crate) struct Trial<'a> {
    pub(crate) moment: &'a Moment<'a>,
    pub(crate) how: How<'a>,
    /// Whether its recovery dies in turn.
    pub(crate) dies_again: bool,
    pub(crate) seed: u64,
}

/// The kind of crash.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How<'a> {
    /// The process dies and the machine keeps running.
    Killed,
    /// The power is cut, with these picks.
    PowerCut(&'a [Choice], &'a [Pick]),
}

/// The result of a trial.
pub(crate) struct Outcome {
    /// How many states were tried.
    pub(crate) tried: u64,
    pub(crate) failure: Option<String>,
}

/// Tries states at all moments, on all processors. Returns the failures.
pub(crate) fn in_parallel(
    recordings: &[Recording],
    budget: &Budget,
    work: impl Fn(&Trial<'_>) -> Option<String> + Sync,
) -> Vec<String> {
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (failures, work) = (&failures, &work);
            scope.spawn(move || {
                for (number, recording) in recordings.iter().enumerate() {
                    moments(recording, None, |moment| {
                        if budget.has(number, moment.at, thread, threads) {
                            let seed = (number as u64) << 32 | moment.at as u64;
                            try_moment(moment, budget.states_per_moment, seed, &mut |trial| {
                                let failed = work(trial);
                                failures.lock().unwrap().extend(failed);
                                ControlFlow::Continue(())
                            });
                        }
                        ControlFlow::Continue(())
                    });
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

/// Tries up to `wanted` states of a moment.
pub(crate) fn try_moment(
    moment: &Moment<'_>,
    wanted: u64,
    seed: u64,
    work: &mut dyn FnMut(&Trial<'_>) -> ControlFlow<()>,
) {
    let mut chance = Chance::of(seed);
    let choices = moment.medium.choices();
    for picked in picks(&choices, wanted, &mut chance) {
        let dies_again = chance.below(RECOVERIES_ONE_IN) == 0;
        // A killed process leaves a whole state; only a later power cut is informative.
        let how =
            if dies_again && chance.below(3) == 0 { How::Killed } else { How::PowerCut(&choices, &picked) };
        if work(&Trial { moment, how, dies_again, seed }).is_break() {
            return;
        }
    }
}

impl Trial<'_> {
    /// Opens a registry on the state, and compares its content with the model.
    pub(crate) fn run(&self) -> Outcome {
        let mut tried = 1;
        let failure = self.check(&mut tried).err().map(|why| self.describe(&why));
        Outcome { tried, failure }
    }

    fn check(&self, tried: &mut u64) -> Result<(), String> {
        let Moment { recording, medium, seen, .. } = self.moment;
        let model = Model { records: &recording.records, seen };
        let left = match self.how {
            How::Killed => (*medium).clone(),
            How::PowerCut(choices, picked) => medium.after_power_cut(choices, picked),
        };
        let disk = SimulatedDisk::new(left.clone());
        let registry = open(&disk).map_err(|error| format!("it does not open: {error}"))?;
        let opened = disk.steps().len();
        let (found, changed) = smol::block_on(async {
            let found = observe(&registry).await?;
            model.check(&found)?;
            check_references(&model, &found)?;
            probe(&registry).await?;
            let probed = disk.steps().len();
            let changed = resume(&registry, recording, &model).await?;
            Ok::<_, String>((found, (probed, changed)))
        })?;
        drop(registry);
        if !self.dies_again {
            return Ok(());
        }
        let again = Again { model, first: left, steps: disk.steps(), opened, found, changed };
        again.check(self.seed, tried)
    }

    fn describe(&self, why: &str) -> String {
        let Moment { recording, at, .. } = self.moment;
        let steps = &recording.steps[at.saturating_sub(STEPS_SHOWN)..*at];
        let shown: Vec<String> = steps.iter().map(|step| format!("  {}", self.step(step))).collect();
        let chosen = match self.how {
            How::Killed => "the process died".to_owned(),
            How::PowerCut(choices, picked) => {
                let chosen =
                    choices.iter().zip(picked).map(|(choice, pick)| format!("  {pick} of {choice:?}"));
                format!("the power was cut:\n{}", chosen.collect::<Vec<_>>().join("\n"))
            }
        };
        format!(
            "{why}\nhistory `{}`, after step {at}, seed {}:\n{}\n{chosen}",
            recording.name,
            self.seed,
            shown.join("\n")
        )
    }

    fn step(&self, step: &Step) -> String {
        let Step::Mark(mark) = step else { return format!("{step:?}") };
        let record = &self.moment.recording.records[record_of(*mark)];
        let verb = ["begins", "is answered:", "was read:"][mark % 3];
        format!("-- {verb} {:?}", record.op)
    }
}

/// A recovery that dies in turn.
struct Again<'a> {
    model: Model<'a>,
    first: Medium,
    steps: Vec<Step>,
    /// How many steps the opening took.
    opened: usize,
    /// What clients saw then.
    found: Found,
    /// How many steps it took until a push was acknowledged, and the keys that changed after that.
    changed: (usize, Vec<crate::crash_tests::histories::client::Key>),
}

impl Again<'_> {
    fn check(&self, seed: u64, tried: &mut u64) -> Result<(), String> {
        let mut chance = Chance::of(seed);
        let mut medium = self.first.clone();
        for at in 0..=self.steps.len() {
            if let Some(step) = at.checked_sub(1).and_then(|before| self.steps.get(before)) {
                medium.replay(step);
            }
            let choices = medium.choices();
            for picked in picks(&choices, STATES_PER_RECOVERY_STEP, &mut chance) {
                *tried += 1;
                self.check_state(at, medium.after_power_cut(&choices, &picked)).map_err(|why| {
                    let steps: Vec<String> =
                        self.steps[..at].iter().map(|step| format!("    {step:?}")).collect();
                    let steps = steps[steps.len().saturating_sub(STEPS_SHOWN)..].join("\n");
                    format!(
                        "{why}\nafter another crash, with picks {picked:?} of {choices:?}, behind\n{steps}\n"
                    )
                })?;
            }
        }
        Ok(())
    }

    fn check_state(&self, at: usize, left: Medium) -> Result<(), String> {
        let disk = SimulatedDisk::new(left);
        let registry = open(&disk).map_err(|error| format!("it does not open: {error}"))?;
        smol::block_on(async {
            let mut found = observe(&registry).await?;
            self.model.check_with(&found, &self.changed.1)?;
            check_references(&self.model, &found)?;
            if at >= self.opened {
                // What clients saw once is durable.
                let mut expected = self.found.clone();
                for key in &self.changed.1 {
                    found.remove(key);
                    expected.remove(key);
                }
                if found != expected {
                    return Err(format!(
                        "what clients saw is not there any more: {found:?}, not {expected:?}"
                    ));
                }
            }
            if at >= self.changed.0 {
                check_probe(&registry).await?;
            }
            probe(&registry).await
        })
    }
}
