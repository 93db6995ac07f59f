//! With sled as the index: after a power cut only what a clean stop made durable of its files is trusted.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Mutex;

use super::runs::{Left, SledRun, sled_runs};
use crate::base::Chance;
use crate::crash_tests::histories::history::prepared;
use crate::crash_tests::trials::picks::picks;
use crate::crash_tests::trials::states::moments;
use crate::meta::Start;

/// One state in this many is tried with sled, which takes much longer.
const SLED_ONE_IN: u64 = 30;

/// The number of kinds in which the index may be left.
const LEFT_KINDS: u64 = 4;

/// More threads than processors, since they wait for sled's own syncs.
const THREADS: usize = 8;

/// The results of the trials.
#[derive(Default)]
struct Outcomes {
    /// The number of states, by what was left of the index and how the start found the metadata.
    tried: BTreeMap<String, u64>,
    failures: Vec<String>,
}

#[test]
fn an_index_in_sled_is_trusted_after_a_clean_stop_and_never_else() {
    let runs = sled_runs(&prepared());
    let outcomes = Mutex::new(Outcomes::default());
    let moments: usize = runs.iter().map(|run| run.recording.steps.len() + 1).sum();
    let wanted = usize::try_from(crate::crash_tests::states_wanted() / SLED_ONE_IN / LEFT_KINDS).unwrap();
    let (each, one_in) = (wanted.div_ceil(moments), (moments / wanted.max(1)).max(1));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (runs, outcomes) = (&runs, &outcomes);
            scope.spawn(move || {
                let mine = |at: usize| at.is_multiple_of(one_in) && (at / one_in) % THREADS == thread;
                runs.iter().for_each(|run| try_run(run, each as u64, &mine, outcomes));
            });
        }
    });
    let Outcomes { tried, failures } = outcomes.into_inner().unwrap();
    tried.iter().for_each(|(what, count)| eprintln!("{count:6} {what}"));
    eprintln!("{} crash states with sled tried", tried.values().sum::<u64>());
    assert!(failures.is_empty(), "{} states failed\n\n{}", failures.len(), failures.join("\n\n"));
}

fn try_run(run: &SledRun, each: u64, mine: &dyn Fn(usize) -> bool, outcomes: &Mutex<Outcomes>) {
    moments(&run.recording, None, |moment| {
        if !mine(moment.at) && moment.at != run.recording.steps.len() {
            return ControlFlow::Continue(());
        }
        let mut chance = Chance::of(moment.at as u64);
        let choices = moment.medium.choices();
        for picked in picks(&choices, each, &mut chance) {
            let certain = run.certain(moment.at, None).is_some();
            let medium = moment.medium.after_power_cut(&choices, &picked);
            let has_marker = medium.has_file("clean");
            for left in run.any(moment.at, &mut chance) {
                let checked = run.check(moment, medium.clone(), left, &mut chance);
                let checked = checked.and_then(|found| match (certain && has_marker, found.start) {
                    (true, start) | (_, start @ Start::Recovered) => Ok(start),
                    (_, start) => Err(format!("the start was {start:?}")),
                });
                let mut outcomes = outcomes.lock().unwrap();
                match checked {
                    Ok(start) => *outcomes.tried.entry(describe(left, has_marker, start)).or_default() += 1,
                    Err(why) => outcomes.failures.push(format!(
                        "{why}\n`{}`, after step {}, with {picked:?} of {choices:?}, the index {left:?}",
                        run.recording.name, moment.at
                    )),
                }
            }
        }
        ControlFlow::Continue(())
    });
}

fn describe(left: Left, has_marker: bool, start: Start) -> String {
    let index = match left {
        Left::AtStop(_) => "of another time or of the last stop",
        Left::Falsified(_) => "in order, with other rows",
        Left::Damaged(_) => "damaged",
        Left::Nothing => "missing",
    };
    let marker = if has_marker { "with the marker" } else { "without the marker" };
    let trusted = if start == Start::Clean { "trusted" } else { "rebuilt" };
    format!("{trusted}: {marker}, index {index}")
}
