//! Pauses between steps, so that nobody notices, and an end within a step.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::maintenance::collector::error::CollectError;

/// A pause is no longer than this, so that a step that was slow by chance doesn't hold up the rest.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Pauses shorter than this are saved up: sleeping has a price, too.
const PAUSE_MIN: Duration = Duration::from_millis(2);

/// Tells a collector to stop, or to hurry.
#[derive(Debug, Default)]
pub(super) struct Bell {
    stopped: AtomicBool,
    /// How many wait for a pass to end.
    waiting: AtomicUsize,
    lock: Mutex<()>,
    rung: Condvar,
}

impl Bell {
    /// Ends everything within a step.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.ring();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Lets the pass that runs make no more pauses until what is returned is dropped.
    pub(super) fn hurry(&self) -> Hurry<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.ring();
        Hurry(self)
    }

    pub(super) fn is_hurried(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    fn ring(&self) {
        let _held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.rung.notify_all();
    }

    /// Rests for so long, or until it is told to stop. Returns whether it is to go on.
    pub(super) fn rest(&self, time: Duration) -> bool {
        self.wait(time, || self.is_stopped());
        !self.is_stopped()
    }

    fn wait(&self, time: Duration, ended: impl Fn() -> bool) {
        let held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.rung.wait_timeout_while(held, time, |()| !ended());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Somebody who waits for a pass to end.
pub(super) struct Hurry<'a>(&'a Bell);

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The pauses of one pass.
pub(super) struct Pace<'a> {
    bell: &'a Bell,
    /// How many times longer than its steps the pauses are; 0 makes none.
    factor: u32,
    step_began: Instant,
    owed: Duration,
    /// What a test does between two steps.
    #[cfg(test)]
    between: Option<&'a mut dyn FnMut()>,
}

impl<'a> Pace<'a> {
    /// Works for at most `percent` of the time.
    pub(super) fn new(bell: &'a Bell, percent: u8) -> Self {
        let percent = u32::from(percent.clamp(1, 100));
        Self {
            bell,
            factor: (100 - percent) / percent,
            step_began: Instant::now(),
            owed: Duration::ZERO,
            #[cfg(test)]
            between: None,
        }
    }

    /// Does something between any two steps.
    #[cfg(test)]
    pub(super) fn with(mut self, between: &'a mut dyn FnMut()) -> Self {
        self.between = Some(between);
        self
    }

    /// Ends a step, and makes the pause that is due. Fails when it is told to stop.
    pub(super) fn step(&mut self) -> Result<(), CollectError> {
        self.owed += self.step_began.elapsed() * self.factor;
        if self.owed >= PAUSE_MIN {
            let pause = self.owed.min(PAUSE_MAX);
            self.bell.wait(pause, || self.bell.is_stopped() || self.bell.is_hurried());
            self.owed = Duration::ZERO;
        }
        #[cfg(test)]
        if let Some(between) = self.between.as_mut() {
            between();
        }
        self.step_began = Instant::now();
        if self.bell.is_stopped() { Err(CollectError::Stopped) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_that_is_stopped_ends_every_rest_and_every_step() {
        let bell = Bell::default();
        let mut pace = Pace::new(&bell, 100);
        assert!(pace.step().is_ok() && bell.rest(Duration::ZERO));
        bell.stop();
        assert!(!bell.rest(Duration::from_secs(3600)));
        assert!(matches!(pace.step(), Err(CollectError::Stopped)));
    }

    #[test]
    fn the_pauses_are_as_long_as_the_pace_says() {
        let bell = Bell::default();
        for (percent, factor) in [(0, 99), (1, 99), (10, 9), (50, 1), (100, 0), (255, 0)] {
            assert_eq!(Pace::new(&bell, percent).factor, factor, "{percent}");
        }
    }
}
