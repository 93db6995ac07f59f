//! Store time, downtime, and the ages that follow from them.

use serde::{Deserialize, Serialize};

/// The beginning of 2025, in milliseconds since 1970: a clock before that was never set.
pub const PLAUSIBLE_MIN_MS: u64 = 1_735_689_600_000;

/// A span or a store time above this (100 years) is damage and is ignored.
const SPAN_MAX_MS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// How many downtimes are kept apart.
pub(super) const DOWNTIMES_MAX: usize = 256;

/// How much later than the last pull that was noted one may have been: another one is noted after a day, and
/// a power cut may lose the notes of one more.
const PULL_LAG_MAX_MS: u64 = 2 * 24 * 60 * 60 * 1000;

/// Tells whether a wall clock may show this time, in milliseconds since 1970.
pub(super) fn is_plausible(wall_ms: u64) -> bool {
    (PLAUSIBLE_MIN_MS..PLAUSIBLE_MIN_MS + SPAN_MAX_MS).contains(&wall_ms)
}

/// A store time at which the wall clock was trusted, and what it showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::meta) struct Anchor {
    /// The wall clock, in milliseconds since 1970.
    pub(super) wall_ms: u64,
    /// By how much the wall clock was set forward since, in milliseconds. It may have been right to: the next
    /// downtime is shorter by that. Or wrong: the clock need not come as far to be trusted.
    #[serde(default)]
    pub(super) ahead_ms: u64,
    /// The store time.
    pub(super) open_ms: u64,
}

/// Time during which the store was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::meta) struct Downtime {
    /// What was noted up to this store time is older by the downtime.
    pub(super) since_ms: u64,
    /// How long it was, in milliseconds.
    pub(super) length_ms: u64,
}

/// What a store knows of time. Lines of the journal, checkpoints and `clean` carry it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::meta) struct StoreTime {
    /// The store time: how long the store has been open, over all runs, in milliseconds.
    pub(in crate::meta) open_ms: u64,
    /// The last moment at which the wall clock was trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) anchor: Option<Anchor>,
    /// The downtimes, in their order; a journal line has all of them or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) downtimes: Vec<Downtime>,
    /// The store time at which the last start began that may have lost what was written before it; a line has
    /// it where it has the downtimes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unclean_ms: Option<u64>,
}

impl StoreTime {
    /// Returns the store time that the next run begins at, later than all that has been noted.
    pub(in crate::meta) fn next_ms(&self) -> u64 {
        self.open_ms.saturating_add(1)
    }

    /// Takes over what another one knows if that one is newer. Values that only damage explains are ignored.
    pub(in crate::meta) fn learn(&mut self, newer: &Self) {
        if !(self.open_ms..SPAN_MAX_MS).contains(&newer.open_ms) {
            return;
        }
        self.open_ms = newer.open_ms;
        let sound = |anchor: &Anchor| {
            is_plausible(anchor.wall_ms.saturating_add(anchor.ahead_ms)) && anchor.open_ms <= newer.open_ms
        };
        self.anchor = newer.anchor.filter(sound).or(self.anchor);
        self.unclean_ms = newer.unclean_ms.filter(|since| *since <= newer.open_ms).or(self.unclean_ms);
        if !newer.downtimes.is_empty() {
            self.downtimes.clear();
            newer.downtimes.iter().for_each(|downtime| self.count(*downtime));
        }
    }

    /// Adds a downtime. One that began at the same store time is replaced: it was measured again.
    pub(super) fn count(&mut self, downtime: Downtime) {
        if downtime.since_ms > self.open_ms || downtime.length_ms >= SPAN_MAX_MS {
            return;
        }
        self.downtimes.retain(|known| known.since_ms != downtime.since_ms);
        self.downtimes.push(downtime);
        self.downtimes.sort_unstable_by_key(|known| known.since_ms);
        if self.downtimes.len() > DOWNTIMES_MAX {
            // Merged into the oldest one, the second oldest makes nothing older than it is.
            let second = self.downtimes.remove(1);
            if let Some(first) = self.downtimes.first_mut() {
                first.length_ms = first.length_ms.saturating_add(second.length_ms);
            }
        }
    }
}

/// Tells ages at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ages {
    pub(super) now_ms: u64,
    pub(super) downtimes: Vec<Downtime>,
}

impl Ages {
    /// Returns the age, in milliseconds, of what was noted at a store time. A store time that is still to
    /// come has age 0.
    pub fn of(&self, noted_ms: u64) -> u64 {
        let since = self.downtimes.iter().filter(|downtime| noted_ms <= downtime.since_ms);
        let down = since.fold(0, |sum: u64, downtime| sum.saturating_add(downtime.length_ms));
        self.now_ms.checked_sub(noted_ms).map_or(0, |open| open.saturating_add(down))
    }

    /// Returns the least age, in milliseconds, of the last pull of something whose last noted pull was at a
    /// store time.
    pub fn of_pull(&self, noted_ms: u64) -> u64 {
        self.of(noted_ms.saturating_add(PULL_LAG_MAX_MS))
    }

    /// Returns the store time, in milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }
}
