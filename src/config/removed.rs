//! The keys of `[history]`: how long it is kept what became of tags.

use crate::config::key::{ConfigKey, number};
use crate::config::settled::Config;
use crate::config::unit::DAY;
use crate::config::unit::Unit::Period;

/// The keys, in the order in which they are read and written.
pub(in crate::config) const HISTORY_KEYS: &[ConfigKey<Config>] = &[ConfigKey::new(
    "keep",
    number(Period, 0..=36_500 * DAY, |config| &mut config.server.registry.history_keep),
    "time that the history of tags is kept; at most 1000 changes of each tag",
)];
