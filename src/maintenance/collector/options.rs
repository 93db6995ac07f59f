//! The options of a collector and of each pass.

use std::time::Duration;

use crate::maintenance::collector::report::Verdict;

/// How long the collector rests between two passes.
pub const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How much of one processor's time the collector takes at most, in percent.
pub const PACE_PERCENT: u8 = 10;

/// How the collector works in the background. The registry's policies, lease and grace say what
/// it keeps ([`RegistryOptions`](crate::registry::RegistryOptions)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorOptions {
    /// Whether it works in the background. A requested pass runs in any case.
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

/// Receives the verdicts of a pass, and says whether it is still wanted.
pub trait CollectWatch {
    /// Receives a verdict for each thing removed; in a dry run, also for each kept.
    fn verdict(&mut self, verdict: &Verdict);

    /// Tells whether the pass is still wanted. Called while it waits for another pass to end, and between any
    /// two steps.
    fn is_wanted(&mut self, has_begun: bool) -> bool;
}

/// The options of one pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CollectOptions {
    /// Nothing is removed: the pass only reports what would be.
    pub dry_run: bool,
    /// Untagged manifests older than this are removed too, whatever the policies say.
    pub untagged_older_than: Option<Duration>,
    /// Things younger than the grace time are removed too, unless a lease protects them.
    pub now: bool,
    /// The store was opened for this pass, and no server uses it. No lease is known; content is young if its
    /// file was written less than the grace time ago.
    pub alone: bool,
    /// No pauses between the steps: a caller waits for the end.
    pub unpaced: bool,
    /// An administrator asked for the pass, and the journal says so of what it removes.
    pub asked: bool,
}
