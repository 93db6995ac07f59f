//! What was acknowledged survives a power cut at any instant.
//!
//! Histories of pushes, deletes and restarts run once on a simulated disk that writes down every step. The
//! disk is then brought to where it was after each step, and from there to what a power cut may leave; the
//! registry is opened on that, and what it has is held against a plain model. Some of those registries die in
//! turn while they recover.
//!
//! `PULK_CRASH_STATES` says how many such states are tried; then each sync in the code is left out in turn,
//! too, and something must miss it. With `CARGO_PROFILE_TEST_OPT_LEVEL=1` there are nine times as many a
//! second.

mod client;
mod content;
mod damage;
mod faults;
mod history;
mod jobs;
mod model;
mod observe;
mod picks;
mod quarantines;
mod random;
mod rebuilds;
mod sites;
mod sled_disk;
mod sled_runs;
mod sled_states;
mod states;
mod sweeps;
mod teeth;

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use damage::{damaged_stores, look, whole_store};
pub(crate) use history::open;
use history::{histories, prepared, record};
pub(crate) use model::Found;
pub(crate) use states::each_power_cut;
use states::{Budget, Trial};
pub(crate) use teeth::{Evidence, missed, places};

use crate::registry::Registry;

/// The repositories that histories use.
const REPOS: [&str; 2] = ["a", "b"];

/// The tags that histories use.
const TAGS: [&str; 3] = ["v1", "v2", "v3"];

/// Uploads are made durable more often than usual, so that few bytes do.
const DURABLE_STEP_BYTES: u64 = 4096;

/// The journal goes on in a new file, and a checkpoint is taken, more often than usual.
const JOURNAL_MIN_BYTES: u64 = 1500;

/// Nothing of the journal is kept that no recovery needs.
const HISTORY_MAX_BYTES: u64 = 0;

/// How many states are tried unless the environment says otherwise.
const STATES_DEFAULT: u64 = 300;

const STATES_VARIABLE: &str = "PULK_CRASH_STATES";

fn states_wanted() -> u64 {
    std::env::var(STATES_VARIABLE).map_or(STATES_DEFAULT, |text| text.parse().unwrap())
}

/// Whether somebody asked for a soak, which may take long.
pub(crate) fn is_soak() -> bool {
    std::env::var_os(STATES_VARIABLE).is_some()
}

/// A registry takes a push.
pub(crate) fn check_push(registry: &Registry) -> Result<(), String> {
    smol::block_on(observe::probe(registry))
}

#[test]
fn a_power_cut_at_any_instant_loses_nothing_that_was_acknowledged() {
    let prepared = prepared();
    let mut histories = histories();
    histories.extend(random::histories(8));
    let recordings: Vec<_> = histories.iter().map(|history| record(history, &prepared)).collect();
    let tried = AtomicU64::new(0);
    let budget = Budget::of(&recordings, states_wanted());
    let failures = states::in_parallel(&recordings, &budget, |trial: &Trial<'_>| {
        let outcome = trial.run();
        tried.fetch_add(outcome.tried, Ordering::Relaxed);
        outcome.failure
    });
    eprintln!("{} crash states tried", tried.load(Ordering::Relaxed));
    assert!(
        failures.is_empty(),
        "{} states failed\n\n{}",
        failures.len(),
        failures[..failures.len().min(3)].join("\n\n")
    );
}
