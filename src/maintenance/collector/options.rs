//! What a collector and each of its passes are told.

use std::time::Duration;

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

/// What one pass is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CollectOptions {
    /// Nothing is removed: the pass only says what would be.
    pub dry_run: bool,
    /// Untagged manifests that are older than this go, too, whatever the policies say.
    pub untagged_older_than: Option<Duration>,
    /// Nobody else uses the registry, and nobody was told anything that a removal would belie: neither lease
    /// nor grace keep anything. For a store that was opened for this pass and whose server does not run.
    pub alone: bool,
    /// No pauses between the steps, as for somebody who waits for the end.
    pub unpaced: bool,
}
