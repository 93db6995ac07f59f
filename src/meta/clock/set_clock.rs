//! A clock that tests set.

use std::sync::{Arc, Mutex};

use crate::base::lock;
use crate::meta::clock::{Clock, PLAUSIBLE_MIN_MS, Reading};

/// Some day of 2026, in milliseconds since 1970.
pub(crate) const TODAY_MS: u64 = PLAUSIBLE_MIN_MS + 500 * DAY_MS;

/// A day, in milliseconds.
pub(crate) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What the clocks of a machine show.
#[derive(Clone)]
pub(crate) struct SetClock(Arc<Mutex<Reading>>);

impl SetClock {
    /// Makes the clocks of a machine that starts now, at a time in milliseconds since 1970.
    pub(crate) fn new(wall_ms: u64) -> Self {
        Self(Arc::new(Mutex::new(Reading { wall_ms, steady_ms: 0 })))
    }

    /// Returns the clock of a process that starts now.
    pub(crate) fn clock(&self) -> Arc<Clock> {
        let reading = Arc::clone(&self.0);
        Arc::new(Clock::reading(move || *lock(&reading)))
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, ms: u64) {
        self.change(|reading| {
            reading.wall_ms += ms;
            reading.steady_ms += ms;
        });
    }

    /// Sets the wall clock.
    pub(crate) fn set(&self, wall_ms: u64) {
        self.change(|reading| reading.wall_ms = wall_ms);
    }

    /// Lets the machine start again, its wall clock being at this time.
    pub(crate) fn boot(&self, wall_ms: u64) {
        self.change(|reading| *reading = Reading { wall_ms, steady_ms: 0 });
    }

    fn change(&self, change: impl FnOnce(&mut Reading)) {
        change(&mut lock(&self.0));
    }
}
