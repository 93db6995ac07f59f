//! The keys of `[scrub]`.

use crate::config::key::{ConfigKey, number, switch};
use crate::config::settled::Config;
use crate::config::unit::Unit::{Period, Rate};
use crate::config::unit::{DAY, HOUR, KIB, TIB};

/// The keys, in the order in which they are read and written.
pub(in crate::config) const KEYS: &[ConfigKey<Config>] = &[
    ConfigKey::new(
        "enabled",
        switch(|config| &mut config.server.scrub.enabled),
        "re-read all content in the background to find damage",
    ),
    // A slower scrub would never finish; a faster one has no limit.
    ConfigKey::new(
        "rate",
        number(Rate, 64 * KIB..=TIB, |config| &mut config.server.scrub.rate_bytes),
        "the most that the scrub reads per second",
    ),
    ConfigKey::new(
        "interval",
        number(Period, HOUR..=3650 * DAY, |config| &mut config.server.scrub.interval),
        "pause between the end of a full pass and the next one",
    ),
];
