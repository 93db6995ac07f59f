//! Random histories, with sweeps between any two of their steps.

use std::sync::Arc;
use std::time::Duration;

use super::clients::{Clients, Habits};
use super::model::Model;
use super::{collect, in_memory, open_on, pass};
use crate::base::Chance;
use crate::disk::MemoryDisk;
use crate::maintenance::collector::options::CollectOptions;
use crate::meta::{Policy, Untagged};
use crate::registry::Registry;

/// The policy under which manifests go that no tag leads to.
pub(crate) fn removing_untagged() -> Policy {
    Policy {
        repositories: vec!["*".parse().unwrap()],
        untagged: Some(Untagged::RemoveAfter(Duration::ZERO)),
        ..Policy::default()
    }
}

/// How many passes a history has.
pub(super) const PASSES: u64 = 12;

/// How many histories there are of each kind, unless the environment says otherwise.
const HISTORIES_DEFAULT: u64 = 12;

pub(crate) fn histories() -> u64 {
    std::env::var("PULK_COLLECT_HISTORIES").map_or(HISTORIES_DEFAULT, |text| text.parse().unwrap())
}

/// Runs passes with clients between any two of their steps, then one that `last` describes. At any moment
/// what was acknowledged is there, and at the end nothing else.
fn run_history(registry: &Registry, seed: u64, habits: Habits, last: &CollectOptions) -> Clients {
    let (mut model, mut clients) = (Model::new(removes(seed)), Clients::new(3, habits));
    let mut chance = Chance::of(seed);
    for _ in 0..PASSES {
        let mut between = || {
            model.forget();
            for _ in 0..chance.below(4) {
                clients.step(registry, &mut model, &mut chance);
            }
            // Looking costs more than doing.
            if chance.below(4) == 0 {
                model.check(registry).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            }
        };
        pass(registry, &CollectOptions::default(), &mut between, &mut |_| {});
    }
    clients.end(registry, &mut model);
    collect(registry, last);
    let checked = model.check(registry).and_then(|()| model.check_nothing_else(registry));
    checked.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    clients
}

/// Tells whether manifests without a tag go in the history of a seed.
pub(super) fn removes(seed: u64) -> bool {
    seed % 2 == 1
}

#[test]
fn nothing_that_was_acknowledged_lacks_anything_without_leases() {
    let mut refused = 0;
    for seed in 0..histories() {
        let registry = in_memory(removes(seed).then(removing_untagged));
        let habits = Habits { delete_content: true, refusals: true };
        let clients = run_history(&registry, seed, habits, &CollectOptions::default());
        assert!(clients.pushes > 10, "{}", clients.pushes);
        refused += clients.refused;
    }
    assert!(refused > 0, "no client ever lost a race, so nothing was tried");
}

#[test]
fn no_push_is_refused_under_a_lease() {
    for seed in 100..100 + histories() {
        let lease = Duration::from_secs(3600);
        let policy = removes(seed).then(removing_untagged);
        let registry = open_on(Arc::new(MemoryDisk::new()), lease, policy);
        registry.upkeep().complete_now();
        let habits = Habits { delete_content: false, refusals: false };
        let alone = CollectOptions { alone: true, ..CollectOptions::default() };
        run_history(&registry, seed, habits, &alone);
    }
}
