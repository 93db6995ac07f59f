//! The keys of `[collector]`.

use crate::config::key::{ConfigKey, number, switch};
use crate::config::settled::Config;
use crate::config::unit::DAY;
use crate::config::unit::Unit::{Count, Period};

/// The keys, in the order in which they are read and written.
///
/// A lease must outlast a push. An interval of 0 is for tests: one pass follows the other.
pub(in crate::config) const KEYS: &[ConfigKey<Config>] = &[
    ConfigKey::new(
        "enabled",
        switch(|config| &mut config.server.collector.enabled),
        "remove unneeded content in the background",
    ),
    ConfigKey::new(
        "interval",
        number(Period, 0..=30 * DAY, |config| &mut config.server.collector.interval),
        "pause between two passes",
    ),
    ConfigKey::new(
        "lease",
        number(Period, 0..=7 * DAY, |config| &mut config.server.registry.lease),
        "time that content is kept after a client pushed it or asked for it",
    ),
    ConfigKey::new(
        "grace",
        number(Period, 0..=30 * DAY, |config| &mut config.server.registry.grace),
        "age below which nothing is removed",
    ),
    ConfigKey::new(
        "pace",
        number(Count, 1..=100, |config| &mut config.server.collector.pace_percent),
        "the most that a pass takes of one processor's time, in percent",
    ),
];
