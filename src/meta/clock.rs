//! The clock that ages are told by, and what is known of how right it is.
//!
//! Nothing here can tell whether a clock is right. It can tell that it is not: it says a time from before
//! pulk was written, or less than it said before, or it was set while pulk ran. Then nothing counts as old.

use std::fmt::{self, Debug, Formatter};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The beginning of 2025, in milliseconds since 1970: a clock that says less was never set.
pub const PLAUSIBLE_MIN_MS: u64 = 1_735_689_600_000;

/// How far the clock goes from what it should say before it counts as set; less is how a clock is corrected
/// while it runs.
const STEP_MIN_MS: u64 = 5 * 60 * 1000;

/// After how long without being set the clock is believed although it said more before: that was wrong then.
const BELIEVED_AFTER_MS: u64 = 6 * 60 * 60 * 1000;

/// How many corrections are kept apart.
const CORRECTIONS_MAX: usize = 16;

/// What two clocks say at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The clock on the wall, which can be set: in milliseconds since 1970.
    pub wall_ms: u64,
    /// A clock that nobody sets and that goes on while the machine sleeps: in milliseconds since whenever.
    pub steady_ms: u64,
}

impl Reading {
    fn of_system() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        #[cfg(target_os = "linux")]
        let id = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let id = rustix::time::ClockId::Monotonic;
        let steady = rustix::time::clock_gettime(id);
        let seconds = u64::try_from(steady.tv_sec).unwrap_or(0);
        let milliseconds = u64::try_from(steady.tv_nsec).unwrap_or(0) / 1_000_000;
        Self { wall_ms: milliseconds_of(wall), steady_ms: seconds.saturating_mul(1000) + milliseconds }
    }
}

/// Where readings come from.
type Source = Box<dyn Fn() -> Reading + Send + Sync>;

/// The clock of one store.
pub struct Clock {
    source: Source,
    state: Mutex<State>,
}

impl Debug for Clock {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Clock").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::reading(Reading::of_system)
    }
}

impl Clock {
    /// Makes one that reads the time so.
    pub fn reading(source: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        let state = Mutex::new(State::beginning(source()));
        Self { source: Box::new(source), state }
    }

    /// Takes notice of the latest time that the store has seen so far, in milliseconds since 1970.
    pub(super) fn learn(&self, latest_ms: u64) {
        let mut state = self.state();
        state.latest_ms = state.latest_ms.max(latest_ms);
    }

    /// Returns the latest time that was believed, in milliseconds since 1970.
    pub(super) fn latest_ms(&self) -> u64 {
        self.state().latest_ms
    }

    /// Returns what the clock says, right or wrong, in milliseconds since 1970.
    pub(super) fn says_ms(&self) -> u64 {
        (self.source)().wall_ms
    }

    /// Returns what to note as the time of something that happens now, unless the clock is known to be wrong.
    pub fn stamp(&self) -> Option<u64> {
        self.state().stamp((self.source)())
    }

    /// Returns the time by which ages are told; or why none are told, such as that the clock was set less
    /// than `rest` ago.
    pub fn now(&self, rest: Duration) -> Result<u64, String> {
        self.state().now((self.source)(), milliseconds_of(rest))
    }

    /// Returns what a time that was noted really was, as far as that is known: unknown, if it was noted by a
    /// clock that was never set, and later, if the clock was set forward since.
    pub fn corrected(&self, noted_ms: Option<u64>) -> Option<u64> {
        self.state().corrected(noted_ms)
    }

    /// Returns how often it was set.
    pub fn steps(&self) -> u64 {
        let mut state = self.state();
        state.observe((self.source)());
        state.steps
    }

    /// Takes notice that every time is noted as it really was, unless the clock was set again since `steps`
    /// was asked for. What is right by now must not be corrected once more.
    pub fn noted_rightly(&self, steps: u64) {
        self.state().noted_rightly(steps);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was noted between these times is later by so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Correction {
    from_ms: u64,
    to_ms: u64,
    later_ms: u64,
}

/// What is known of the clock. Everything here is a pure function of readings.
#[derive(Debug)]
struct State {
    last: Reading,
    /// The first reading since the start, or since the clock was set last.
    since: Reading,
    /// How often it was set.
    steps: u64,
    /// What the clock would have said at the start, or when it was last set back, had it been right then.
    began_ms: u64,
    /// Whether a time was noted since then.
    has_stamped: bool,
    latest_ms: u64,
    corrections: Vec<Correction>,
}

impl State {
    fn beginning(reading: Reading) -> Self {
        Self {
            last: reading,
            since: reading,
            steps: 0,
            began_ms: reading.wall_ms,
            has_stamped: false,
            latest_ms: 0,
            corrections: Vec::new(),
        }
    }

    fn observe(&mut self, reading: Reading) {
        let elapsed = reading.steady_ms.saturating_sub(self.last.steady_ms);
        let expected = self.last.wall_ms.saturating_add(elapsed);
        self.last = reading;
        if reading.wall_ms.abs_diff(expected) >= STEP_MIN_MS {
            self.step(expected, reading);
        } else if reading.steady_ms.saturating_sub(self.since.steady_ms) >= BELIEVED_AFTER_MS {
            self.believe(reading);
        }
    }

    /// The clock was set: who sets it knows more than the clock did.
    fn step(&mut self, expected_ms: u64, reading: Reading) {
        let seconds = reading.wall_ms.abs_diff(expected_ms) / 1000;
        let forward = reading.wall_ms > expected_ms;
        let way = if forward { "forward" } else { "back" };
        log::warn!("the clock was set {way} by {seconds} s: for a while, nothing counts as old");
        if forward {
            let later_ms = reading.wall_ms - expected_ms;
            if self.has_stamped {
                self.correct(Correction { from_ms: self.began_ms, to_ms: expected_ms, later_ms });
            }
            self.began_ms = self.began_ms.saturating_add(later_ms);
        } else {
            // A correction that ends in what is the future now was none.
            self.corrections.retain(|one| one.to_ms.saturating_add(one.later_ms) <= reading.wall_ms);
            (self.began_ms, self.has_stamped) = (reading.wall_ms, false);
        }
        (self.since, self.steps) = (reading, self.steps + 1);
        self.believe(reading);
    }

    fn correct(&mut self, correction: Correction) {
        if self.corrections.len() < CORRECTIONS_MAX {
            self.corrections.push(correction);
        } else if let Some(last) = self.corrections.last_mut() {
            // Too much of it keeps something longer.
            last.from_ms = last.from_ms.min(correction.from_ms);
            last.to_ms = last.to_ms.max(correction.to_ms);
            last.later_ms = last.later_ms.saturating_add(correction.later_ms);
        }
    }

    fn noted_rightly(&mut self, steps: u64) {
        if self.steps == steps {
            self.corrections.clear();
        }
    }

    fn believe(&mut self, reading: Reading) {
        if reading.wall_ms >= PLAUSIBLE_MIN_MS {
            self.latest_ms = reading.wall_ms;
        }
    }

    /// Returns why the clock is known to be wrong, if it is.
    fn wrong(&self, reading: Reading) -> Option<String> {
        if reading.wall_ms < PLAUSIBLE_MIN_MS {
            return Some("the clock was never set: it says that it is before 2025".to_owned());
        }
        let behind = self.latest_ms.saturating_sub(reading.wall_ms);
        let why = || format!("the clock is {} s behind what it said earlier", behind / 1000);
        (behind >= STEP_MIN_MS).then(why)
    }

    fn stamp(&mut self, reading: Reading) -> Option<u64> {
        self.observe(reading);
        if self.wrong(reading).is_some() {
            return None;
        }
        self.latest_ms = self.latest_ms.max(reading.wall_ms);
        self.has_stamped = true;
        Some(reading.wall_ms)
    }

    fn now(&mut self, reading: Reading, rest_ms: u64) -> Result<u64, String> {
        self.observe(reading);
        if let Some(why) = self.wrong(reading) {
            return Err(why);
        }
        let since = reading.steady_ms.saturating_sub(self.since.steady_ms);
        if self.steps > 0 && since < rest_ms {
            return Err(format!("the clock was set {} s ago", since / 1000));
        }
        Ok(reading.wall_ms)
    }

    fn corrected(&self, noted_ms: Option<u64>) -> Option<u64> {
        let noted = noted_ms.filter(|noted| *noted >= PLAUSIBLE_MIN_MS)?;
        let later = |noted: u64, one: &Correction| {
            let applies = (one.from_ms..=one.to_ms).contains(&noted);
            if applies { noted.saturating_add(one.later_ms) } else { noted }
        };
        Some(self.corrections.iter().fold(noted, later))
    }
}

fn milliseconds_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
