//! What the collector takes and what it leaves: by itself, amid everything that clients do, and when the
//! power is cut.

mod asked;
mod behaviours;
pub(crate) mod clients;
mod clocks;
mod content;
mod index;
mod leases;
mod lost;
pub(crate) mod model;
mod optional;
mod policies;
pub(crate) mod random;
mod removal;
mod side_by_side;
mod unclean;

use std::sync::Arc;
use std::time::Duration;

use crate::blobs::CARRIED_MAX_BYTES;
use crate::disk::{Disk, MemoryDisk};
use crate::maintenance::collector::error::CollectError;
use crate::maintenance::collector::options::CollectOptions;
use crate::maintenance::collector::orphans::Orphans;
use crate::maintenance::collector::pace::{Pace, WakeUp};
use crate::maintenance::collector::pass::Pass;
use crate::maintenance::collector::report::{CollectReport, Verdict};
use crate::meta::{Ages, Clock, IndexKind, MetaOptions, Policies, Policy};
use crate::registry::{Backing, Registry, RegistryError, RegistryOptions, Storage};

/// Opens a registry with these times.
pub(crate) fn open_on(disk: Arc<dyn Disk>, lease: Duration, policy: Option<Policy>) -> Registry {
    open_with(disk, lease, policy, Arc::default())
}

fn open_with(disk: Arc<dyn Disk>, lease: Duration, policy: Option<Policy>, clock: Arc<Clock>) -> Registry {
    let mut options = RegistryOptions::new(Storage::Memory);
    options.carried_max_bytes = CARRIED_MAX_BYTES;
    options.lease = lease;
    options.grace = Duration::ZERO;
    options.policies = Policies::new(policy.into_iter().collect());
    let meta = MetaOptions {
        clock,
        journal_min_bytes: 3000,
        history_max_bytes: 0,
        ..MetaOptions::new(IndexKind::Map)
    };
    Registry::open_on(options, Backing { disk, lock: None, meta }).unwrap()
}

/// Opens a registry in memory that leases nothing.
fn in_memory(policy: Option<Policy>) -> Registry {
    open_on(Arc::new(MemoryDisk::new()), Duration::ZERO, policy)
}

/// Runs a pass with something between any two of its steps.
pub(crate) fn pass(
    registry: &Registry,
    options: &CollectOptions,
    between: &mut dyn FnMut(),
    visit: &mut dyn FnMut(&Verdict),
) -> CollectReport {
    let (report, done) = try_pass(registry, options, between, visit);
    done.unwrap();
    report
}

/// The same, for a pass that may fail.
fn try_pass(
    registry: &Registry,
    options: &CollectOptions,
    between: &mut dyn FnMut(),
    visit: &mut dyn FnMut(&Verdict),
) -> (CollectReport, Result<(), CollectError>) {
    let (wake_up, upkeep, mut orphans) = (WakeUp::default(), registry.upkeep(), Orphans::default());
    let mut pass = Pass {
        upkeep: &upkeep,
        options,
        pace: Pace::new(&wake_up, 100).with(between),
        visit,
        orphans: &mut orphans,
        ages: Ages::default(),
        report: CollectReport::default(),
        left_out: false,
        unruled: false,
        doing: &|_| {},
    };
    let done = pass.run();
    (pass.report, done)
}

/// For a search that makes no pauses.
fn no_step() -> Result<(), RegistryError> {
    Ok(())
}

/// Runs a pass while nothing else happens.
pub(crate) fn collect(registry: &Registry, options: &CollectOptions) -> CollectReport {
    pass(registry, options, &mut || {}, &mut |_| {})
}
