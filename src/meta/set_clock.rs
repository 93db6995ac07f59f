//! A clock that tests set.

use std::sync::{Arc, Mutex, PoisonError};

use crate::meta::clock::{Clock, PLAUSIBLE_MIN_MS, Reading};

/// Some day of 2026, in milliseconds since 1970.
pub(crate) const TODAY_MS: u64 = PLAUSIBLE_MIN_MS + 500 * DAY_MS;

/// A day, in milliseconds.
pub(crate) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What the clocks of a machine say.
#[derive(Clone)]
pub(crate) struct SetClock(Arc<Mutex<Reading>>);

impl SetClock {
    /// Makes one that says so, in milliseconds since 1970.
    pub(crate) fn new(wall_ms: u64) -> Self {
        Self(Arc::new(Mutex::new(Reading { wall_ms, steady_ms: 0 })))
    }

    /// Returns what a process that starts now knows of it.
    pub(crate) fn clock(&self) -> Arc<Clock> {
        let reading = Arc::clone(&self.0);
        Arc::new(Clock::reading(move || *reading.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, ms: u64) {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.wall_ms += ms;
        reading.steady_ms += ms;
    }

    /// Sets the clock on the wall.
    pub(crate) fn set(&self, wall_ms: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wall_ms = wall_ms;
    }
}
