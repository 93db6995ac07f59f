//! The options of a scrub.

use std::time::Duration;

/// How much is read in a second, so that an SD card has time for everything else.
pub const RATE_BYTES: u64 = 4 * 1024 * 1024;

/// How long a full pass is valid.
pub const INTERVAL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How the scrub works in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubOptions {
    /// Whether it works in the background. A requested pass runs in any case.
    pub enabled: bool,
    /// How many bytes are read in a second at most.
    pub rate_bytes: u64,
    /// How long after the end of a full pass the next one begins.
    pub interval: Duration,
}

impl Default for ScrubOptions {
    fn default() -> Self {
        Self { enabled: true, rate_bytes: RATE_BYTES, interval: INTERVAL }
    }
}
