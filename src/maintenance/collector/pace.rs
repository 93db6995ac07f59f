//! Pauses between steps, so that clients notice no pass, and a stop within one step.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::base::{lock, wait_while};
use crate::maintenance::collector::error::CollectError;

/// The longest pause. A longer step is followed by several, and between them the pass may be stopped.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The most pause time that is owed, so that one stalled step does not delay the rest.
const OWED_MAX: Duration = Duration::from_secs(60);

/// Shorter pauses are saved up, since each sleep has a cost.
const PAUSE_MIN: Duration = Duration::from_millis(2);

/// Tells a collector to stop, or to hurry.
#[derive(Debug, Default)]
pub(super) struct WakeUp {
    stopped: AtomicBool,
    /// How many callers wait for a pass to end.
    waiting: AtomicUsize,
    lock: Mutex<()>,
    woken: Condvar,
}

impl WakeUp {
    /// Ends everything within a step.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Lets the running pass skip its pauses until the returned guard is dropped.
    pub(super) fn hurry(&self) -> Hurry<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.wake();
        Hurry(self)
    }

    pub(super) fn is_hurried(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    fn wake(&self) {
        let _held = lock(&self.lock);
        self.woken.notify_all();
    }

    /// Rests for `time`, or until a stop. Returns whether to continue.
    pub(super) fn rest(&self, time: Duration) -> bool {
        self.wait(time, || self.is_stopped());
        !self.is_stopped()
    }

    fn wait(&self, time: Duration, ended: impl Fn() -> bool) {
        let held = lock(&self.lock);
        drop(wait_while(&self.woken, held, time, |()| !ended()));
    }
}

/// A caller that waits for a pass to end.
pub(super) struct Hurry<'a>(&'a WakeUp);

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How long the pauses must be that have not been made yet.
#[derive(Debug)]
struct Debt {
    percent: u32,
    owed: Duration,
}

impl Debt {
    fn new(percent: u8) -> Self {
        Self { percent: u32::from(percent.clamp(1, 100)), owed: Duration::ZERO }
    }

    /// Adds the pause that is due for work that took `worked`.
    fn add(&mut self, worked: Duration) {
        let due = worked.saturating_mul(100 - self.percent) / self.percent;
        self.owed = self.owed.saturating_add(due).min(OWED_MAX);
    }

    /// Returns the next pause, if one is due.
    fn pause(&self) -> Option<Duration> {
        (self.owed >= PAUSE_MIN).then(|| self.owed.min(PAUSE_MAX))
    }

    fn paid(&mut self, time: Duration) {
        self.owed = self.owed.saturating_sub(time);
    }
}

/// The pauses of one pass.
pub(super) struct Pace<'a> {
    wake_up: &'a WakeUp,
    debt: Debt,
    step_began: Instant,
    /// Tells whether a caller still wants the pass.
    wanted: Option<&'a dyn Fn() -> bool>,
    /// What a test does between two steps.
    #[cfg(test)]
    between: Option<&'a mut dyn FnMut()>,
}

impl<'a> Pace<'a> {
    /// Works for at most `percent` of the time.
    pub(super) fn new(wake_up: &'a WakeUp, percent: u8) -> Self {
        Self {
            wake_up,
            debt: Debt::new(percent),
            step_began: Instant::now(),
            wanted: None,
            #[cfg(test)]
            between: None,
        }
    }

    /// Ends the pass at the first step at which its caller no longer wants it.
    pub(super) fn while_wanted(mut self, wanted: &'a dyn Fn() -> bool) -> Self {
        self.wanted = Some(wanted);
        self
    }

    /// Does something between any two steps.
    #[cfg(test)]
    pub(super) fn with(mut self, between: &'a mut dyn FnMut()) -> Self {
        self.between = Some(between);
        self
    }

    /// Ends a step, and makes the pauses that are due. Fails when the pass is to stop.
    pub(super) fn step(&mut self) -> Result<(), CollectError> {
        self.debt.add(self.step_began.elapsed());
        while let Some(pause) = self.debt.pause() {
            let began = Instant::now();
            self.wake_up.wait(pause, || self.wake_up.is_stopped() || self.wake_up.is_hurried());
            self.debt.paid(began.elapsed());
            if self.wake_up.is_stopped() || self.wake_up.is_hurried() {
                self.debt.owed = Duration::ZERO;
            }
        }
        #[cfg(test)]
        if let Some(between) = self.between.as_mut() {
            between();
        }
        self.step_began = Instant::now();
        if self.wake_up.is_stopped() {
            return Err(CollectError::Stopped);
        }
        match self.wanted {
            Some(wanted) if !wanted() => Err(CollectError::Unwanted),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_that_is_stopped_ends_every_rest_and_every_step() {
        let wake_up = WakeUp::default();
        let mut pace = Pace::new(&wake_up, 100);
        assert!(pace.step().is_ok() && wake_up.rest(Duration::ZERO));
        wake_up.stop();
        assert!(!wake_up.rest(Duration::from_secs(3600)));
        assert!(matches!(pace.step(), Err(CollectError::Stopped)));
    }

    #[test]
    fn the_pauses_are_as_long_as_the_pace_says() {
        let second = Duration::from_secs(1);
        for (percent, owed_us) in [
            (0, 60_000_000),
            (1, 60_000_000),
            (10, 9_000_000),
            (15, 5_666_666),
            (50, 1_000_000),
            (51, 960_784),
            (99, 10_101),
            (100, 0),
            (255, 0),
        ] {
            let mut debt = Debt::new(percent);
            debt.add(second);
            assert_eq!(debt.owed.as_micros(), owed_us, "{percent}");
        }
    }

    #[test]
    fn a_long_step_is_paid_for_in_full_over_several_pauses() {
        let mut debt = Debt::new(10);
        debt.add(Duration::from_secs(1));
        let mut pauses = Vec::new();
        while let Some(pause) = debt.pause() {
            pauses.push(pause.as_secs());
            debt.paid(pause);
        }
        assert_eq!(pauses, [2, 2, 2, 2, 1]);
        // Short steps save up until a pause is worth it.
        debt.add(PAUSE_MIN / 18);
        assert_eq!(debt.pause(), None);
        debt.add(PAUSE_MIN / 9);
        assert!(debt.pause().is_some());
    }

    #[test]
    fn a_pass_that_is_no_longer_wanted_ends_at_the_next_step() {
        let (wake_up, wanted) = (WakeUp::default(), std::cell::Cell::new(true));
        let is_wanted = || wanted.get();
        let mut pace = Pace::new(&wake_up, 100).while_wanted(&is_wanted);
        assert!(pace.step().is_ok());
        wanted.set(false);
        assert!(matches!(pace.step(), Err(CollectError::Unwanted)));
    }
}
