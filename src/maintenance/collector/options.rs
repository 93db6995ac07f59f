//! What a collector and each of its passes are told.

use std::time::Duration;

use crate::maintenance::collector::report::Verdict;

/// How long the collector rests between two passes.
pub const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How much of one processor's time the collector takes at most, in percent.
pub const PACE_PERCENT: u8 = 10;

/// How the collector works in the background. What it keeps is said by the registry's policies, its lease and
/// its grace ([`RegistryOptions`](crate::registry::RegistryOptions)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorOptions {
    /// Whether it works in the background at all; a pass that is asked for runs in any case.
    pub enabled: bool,
    /// How long it rests between two passes.
    pub interval: Duration,
    /// How much of one processor's time it takes at most, in percent; 100 has no pauses.
    pub pace_percent: u8,
}

impl Default for CollectorOptions {
    fn default() -> Self {
        Self { enabled: true, interval: INTERVAL, pace_percent: PACE_PERCENT }
    }
}

/// Hears what a pass says, and is asked whether it is wanted.
pub trait CollectWatch {
    /// Is told of one thing that goes; in a dry run, also of each that stays.
    fn verdict(&mut self, verdict: &Verdict);

    /// Tells whether the pass is still wanted. Asked while it waits for another one to end, and then between
    /// any two steps, when it has begun.
    fn is_wanted(&mut self, has_begun: bool) -> bool;
}

/// What one pass is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CollectOptions {
    /// Nothing is removed: the pass only says what would be.
    pub dry_run: bool,
    /// Untagged manifests that are older than this go, too, whatever the policies say.
    pub untagged_older_than: Option<Duration>,
    /// What is younger than the grace time goes, too, unless a lease holds it.
    pub now: bool,
    /// Nobody else uses the registry: what a server remembered of leases is gone, and only what was stored
    /// less than the grace time ago, by the times of the files, is kept. For a store that was opened for this
    /// pass and whose server does not run.
    pub alone: bool,
    /// No pauses between the steps, as for somebody who waits for the end.
    pub unpaced: bool,
}
