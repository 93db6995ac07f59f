//! Acknowledged operations survive a power cut at any instant.
//!
//! Histories of pushes, deletes and restarts run once on a simulated disk that records every step. The disk
//! is then replayed up to each step, and from there to what a power cut may leave; the registry is opened on
//! that, and its content is compared with a plain model. Some of those registries die in turn while they
//! recover.
//!
//! `PULK_CRASH_STATES` sets how many such states are tried; then each sync in the code is also left out in
//! turn, and a test must miss it. With `CARGO_PROFILE_TEST_OPT_LEVEL=1` nine times as many states are tried
//! per second.
//!
//! | what | where |
//! |---|---|
//! | what clients do, recorded step by step | `histories/` |
//! | the states that a power cut may leave, and what must be found in each | `trials/` |
//! | the same with sled as the index | `sled/` |
//! | collector, scrub, rebuild and repair | `maintenance/` |
//! | each disk operation fails in turn | `faults` |
//! | each sync is left out once, and a test must fail | `sites`, `teeth` |

mod faults;
mod histories;
mod maintenance;
mod sites;
mod sled;
mod teeth;
mod trials;

use std::sync::atomic::{AtomicU64, Ordering};

use histories::history::{Recording, prepared, record};
use histories::listed::{histories, uploads};
pub(crate) use histories::open;
pub(crate) use maintenance::{damaged_stores, look, whole_store};
pub(crate) use teeth::Evidence;
use trials::states::{Budget, Trial, in_parallel};
pub(crate) use trials::{Found, each_power_cut, missed, places};

use crate::disk::simulated::Medium;
use crate::registry::Registry;

/// The repositories that histories use.
const REPOS: [&str; 2] = ["a", "b"];

/// The tags that histories use.
const TAGS: [&str; 3] = ["v1", "v2", "v3"];

/// Uploads are made durable more often than usual, so that short uploads suffice.
const DURABLE_STEP_BYTES: u64 = 4096;

/// Some content rides in the journal, and some has files of its own from the beginning.
const CARRIED_MAX_BYTES: usize = 1000;

/// The journal is rotated, and a checkpoint is taken, more often than usual.
const JOURNAL_MIN_BYTES: u64 = 1500;

/// Only the journal files that a recovery needs are kept.
const HISTORY_MAX_BYTES: u64 = 0;

/// How many states are tried unless the environment says otherwise.
const STATES_DEFAULT: u64 = 300;

const STATES_VARIABLE: &str = "PULK_CRASH_STATES";

fn states_wanted() -> u64 {
    std::env::var(STATES_VARIABLE).map_or(STATES_DEFAULT, |text| text.parse().unwrap())
}

/// Tells whether a soak was requested, which may take long.
pub(crate) fn is_soak() -> bool {
    std::env::var_os(STATES_VARIABLE).is_some()
}

/// Records the histories with uploads on a filesystem that does not count the names of a file.
fn without_links(prepared: &Medium) -> Vec<Recording> {
    let prepared = prepared.clone().without_links();
    uploads().iter().map(|history| record(history, &prepared)).collect()
}

/// Checks that a registry accepts a push.
pub(crate) fn check_push(registry: &Registry) -> Result<(), String> {
    smol::block_on(trials::observe::probe(registry))
}

#[test]
fn a_power_cut_at_any_instant_loses_nothing_that_was_acknowledged() {
    let prepared = prepared();
    let mut histories = histories();
    histories.extend(histories::random::histories(8));
    let recordings: Vec<_> = histories.iter().map(|history| record(history, &prepared)).collect();
    try_states(&recordings, states_wanted());
}

#[test]
fn a_power_cut_loses_nothing_where_the_names_of_a_file_are_not_counted() {
    try_states(&without_links(&prepared()), states_wanted() / 4);
}

/// Tries the states that power cuts leave of these recordings.
fn try_states(recordings: &[Recording], wanted: u64) {
    let tried = AtomicU64::new(0);
    let budget = Budget::of(recordings, wanted);
    let failures = in_parallel(recordings, &budget, |trial: &Trial<'_>| {
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
