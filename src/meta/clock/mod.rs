//! The clock of a store. It tells ages by store time, which only goes forward.
//!
//! *Store time* counts the milliseconds that the store has been open, over all runs, on a clock that cannot
//! be set. What was noted at a store time is as old as the store time that has passed since, plus the
//! *downtimes* since: time during which the store was closed. Only the wall clock tells a downtime, so it
//! counts only between two moments at which the wall clock was trusted, and makes nothing older that was
//! noted after the first of them. Where the wall clock cannot be trusted, things are kept longer.
//!
//! The wall clock is trusted when it shows a plausible time, is not behind what it showed before, and has run
//! for an hour since it was set or the machine started. A time server corrects it sooner than that.

#[cfg(test)]
mod set_clock;
mod store_time;
#[cfg(test)]
mod tests;

use std::fmt::{self, Debug, Formatter};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::base::{in_units, lock, millis, now_ms};

#[cfg(test)]
pub(crate) use set_clock::{DAY_MS, SetClock, TODAY_MS};
pub(super) use store_time::StoreTime;
pub use store_time::{Ages, PLAUSIBLE_MIN_MS};
use store_time::{Anchor, Downtime, is_plausible};

/// How far the wall clock moves against the steady one before it counts as set; running corrections are
/// smaller. A shorter downtime is not counted.
const STEP_MIN_MS: u64 = 5 * 60 * 1000;

/// How long the wall clock must have run without being set before it is trusted, at least.
const REST_MIN_MS: u64 = 60 * 60 * 1000;

/// How much store time a power cut may lose where policies need ages.
const UNWRITTEN_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// What two clocks show at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock, which can be set: in milliseconds since 1970.
    pub wall_ms: u64,
    /// A clock that cannot be set and that runs while the machine sleeps: in milliseconds since the machine's
    /// start.
    pub steady_ms: u64,
}

impl Reading {
    fn of_system() -> Self {
        #[cfg(target_os = "linux")]
        let id = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let id = rustix::time::ClockId::Monotonic;
        let steady = rustix::time::clock_gettime(id);
        let seconds = u64::try_from(steady.tv_sec).unwrap_or(0);
        let milliseconds = u64::try_from(steady.tv_nsec).unwrap_or(0) / 1_000_000;
        Self { wall_ms: now_ms(), steady_ms: seconds.saturating_mul(1000) + milliseconds }
    }
}

/// Where readings come from.
type Source = Box<dyn Fn() -> Reading + Send + Sync>;

/// The clock of one store.
pub struct Clock {
    source: Source,
    state: Mutex<ClockState>,
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
    /// Makes a clock that takes its readings from `source`.
    pub fn reading(source: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        let state = Mutex::new(ClockState::new(source()));
        Self { source: Box::new(source), state }
    }

    /// Continues the time of earlier runs. Nothing is removed in the first `rest` of a run, and no downtime
    /// before it is counted sooner.
    pub(super) fn resume(&self, known: &StoreTime, rest: Duration) {
        self.state().resume((self.source)(), known, millis(rest));
    }

    /// Says that this run began with a start that may have lost what was written before it.
    pub(super) fn note_unclean_start(&self) {
        let mut state = self.state();
        state.known.unclean_ms = Some(state.began_ms);
    }

    /// Returns the store time at which the last such start began, if there was one.
    pub fn unclean_start(&self) -> Option<u64> {
        self.state().known.unclean_ms
    }

    /// Says that this run is for one pass over a stopped store, which need not rest first.
    pub fn skip_rest(&self) {
        self.state().skips_rest = true;
    }

    /// Returns the wall clock's time in milliseconds since 1970, right or wrong.
    pub(super) fn wall_ms(&self) -> u64 {
        (self.source)().wall_ms
    }

    /// Returns the same unless the wall clock was never set.
    pub fn plausible_wall_ms(&self) -> Option<u64> {
        Some(self.wall_ms()).filter(|wall_ms| is_plausible(*wall_ms))
    }

    /// Returns the store time now, and that at which this run began.
    pub(super) fn store_time(&self) -> (u64, u64) {
        self.observed(|state, reading| (state.open_ms(reading), state.began_ms))
    }

    /// Returns what a line of the journal notes: the wall clock's time, and what is known of store time,
    /// without what earlier lines have. Call [`Self::wrote`] once the line is written.
    pub(super) fn line(&self) -> (u64, StoreTime) {
        self.observed(|state, reading| (reading.wall_ms, state.time(reading, state.written_ms.is_none())))
    }

    /// Says that a line has been written at this store time.
    pub(super) fn wrote(&self, open_ms: u64) {
        self.state().written_ms = Some(open_ms);
    }

    /// Tells whether a power cut would lose the store time of a day or more, for want of a line.
    pub fn is_long_unwritten(&self) -> bool {
        self.observed(|state, reading| {
            let written_ms = state.written_ms.unwrap_or(state.began_ms);
            state.open_ms(reading).saturating_sub(written_ms) >= UNWRITTEN_MAX_MS
        })
    }

    /// Returns all that is known of store time.
    pub(super) fn known(&self) -> StoreTime {
        self.observed(|state, reading| state.time(reading, true))
    }

    /// Returns what tells ages now.
    pub fn ages(&self) -> Ages {
        let StoreTime { open_ms, downtimes, .. } = self.known();
        Ages { now_ms: open_ms, downtimes }
    }

    /// Returns what would tell ages after [`Self::skip_rest`], and changes nothing: a dry run must not make
    /// the store trust a clock.
    pub fn ages_without_rest(&self) -> Ages {
        let mut state = self.state().clone();
        let reading = (self.source)();
        state.skips_rest = true;
        state.observe(reading);
        let StoreTime { open_ms, downtimes, .. } = state.time(reading, true);
        Ages { now_ms: open_ms, downtimes }
    }

    /// Returns why the downtime before this run is not counted, if it isn't.
    pub fn uncounted(&self) -> Option<String> {
        self.observed(ClockState::uncounted)
    }

    fn observed<T>(&self, then: impl FnOnce(&ClockState, Reading) -> T) -> T {
        let mut state = self.state();
        let reading = (self.source)();
        state.observe(reading);
        then(&state, reading)
    }

    fn state(&self) -> MutexGuard<'_, ClockState> {
        lock(&self.state)
    }
}

/// What is known of the two clocks. Everything here is a pure function of readings.
#[derive(Debug, Clone)]
struct ClockState {
    last: Reading,
    /// When the wall clock was set last, by the steady one; 0, the machine's start, if it wasn't in this run.
    set_at_ms: u64,
    /// The steady clock when this run began.
    began_at_ms: u64,
    /// The store time when this run began: later than all that earlier runs noted.
    began_ms: u64,
    rest_ms: u64,
    skips_rest: bool,
    /// Its store time is that of before this run.
    known: StoreTime,
    /// Whether the anchor was set in this run, so that no downtime has followed it.
    anchored: bool,
    /// The store time of the last line; none before the first one of this run, and when a downtime is new:
    /// then the next line has all downtimes. Some may be known only by `clean`, which is gone.
    written_ms: Option<u64>,
}

impl ClockState {
    fn new(reading: Reading) -> Self {
        Self {
            last: reading,
            set_at_ms: 0,
            began_at_ms: reading.steady_ms,
            began_ms: 0,
            rest_ms: REST_MIN_MS,
            skips_rest: false,
            known: StoreTime::default(),
            anchored: false,
            written_ms: None,
        }
    }

    fn resume(&mut self, reading: Reading, known: &StoreTime, rest_ms: u64) {
        self.known.learn(known);
        (self.began_at_ms, self.began_ms) = (reading.steady_ms, self.known.next_ms());
        self.rest_ms = rest_ms.max(REST_MIN_MS);
        self.observe(reading);
    }

    fn open_ms(&self, reading: Reading) -> u64 {
        self.began_ms.saturating_add(reading.steady_ms.saturating_sub(self.began_at_ms))
    }

    fn observe(&mut self, reading: Reading) {
        let elapsed = reading.steady_ms.saturating_sub(self.last.steady_ms);
        let expected = self.last.wall_ms.saturating_add(elapsed);
        let step = reading.wall_ms.abs_diff(expected);
        self.last = reading;
        if step >= STEP_MIN_MS {
            let way = if reading.wall_ms > expected { "forward" } else { "back" };
            log::info!("the clock was set {way} by {}; ages do not change", text_of(step));
            self.set_at_ms = reading.steady_ms;
        }
        if (self.anchored || self.known.anchor.is_none() || self.has_rested(reading))
            && self.doubt(reading).is_none()
        {
            self.trust(reading);
        }
    }

    /// Sets the anchor here, and counts the downtime since the last one if an earlier run set that.
    fn trust(&mut self, reading: Reading) {
        if let Some(anchor) = self.known.anchor.filter(|_| !self.anchored) {
            let length_ms = self.downtime_since(anchor, reading);
            if length_ms >= STEP_MIN_MS {
                self.known.count(Downtime { since_ms: anchor.open_ms, length_ms });
                self.written_ms = None;
            }
        }
        let (wall_ms, open_ms) = (reading.wall_ms, self.open_ms(reading));
        (self.known.anchor, self.anchored) = (Some(Anchor { wall_ms, ahead_ms: 0, open_ms }), true);
    }

    /// Returns by how much the wall clock has moved further since an anchor than the store was open.
    fn downtime_since(&self, anchor: Anchor, reading: Reading) -> u64 {
        let passed = reading.wall_ms.saturating_sub(anchor.wall_ms).saturating_sub(anchor.ahead_ms);
        passed.saturating_sub(self.open_ms(reading).saturating_sub(anchor.open_ms))
    }

    fn has_rested(&self, reading: Reading) -> bool {
        self.skips_rest || reading.steady_ms.saturating_sub(self.began_at_ms) >= self.rest_ms
    }

    /// Returns why the wall clock is not trusted, if it isn't.
    fn doubt(&self, reading: Reading) -> Option<String> {
        if !is_plausible(reading.wall_ms) {
            return Some("the clock is not set: it shows a year before 2025 or after 2124".to_owned());
        }
        let least = self.known.anchor.map_or(0, |anchor| {
            anchor.wall_ms.saturating_add(self.open_ms(reading).saturating_sub(anchor.open_ms))
        });
        let behind = least.saturating_sub(reading.wall_ms);
        if behind >= STEP_MIN_MS {
            return Some(format!("the clock is {} behind what it showed earlier", text_of(behind)));
        }
        let ran = reading.steady_ms.saturating_sub(self.set_at_ms);
        let why = || format!("the clock was set, or the machine started, only {} ago", text_of(ran));
        (ran < REST_MIN_MS).then(why)
    }

    /// Returns what is known of time, with the downtimes or without.
    fn time(&self, reading: Reading, with_downtimes: bool) -> StoreTime {
        let open_ms = self.open_ms(reading);
        let anchor = self.known.anchor.map(|anchor| {
            let then_ms = reading.wall_ms.saturating_sub(open_ms.saturating_sub(anchor.open_ms));
            let ahead_ms = then_ms.saturating_sub(anchor.wall_ms);
            Anchor { ahead_ms: if self.anchored { ahead_ms } else { anchor.ahead_ms }, ..anchor }
        });
        let downtimes = if with_downtimes { self.known.downtimes.clone() } else { Vec::new() };
        let unclean_ms = self.known.unclean_ms.filter(|_| with_downtimes);
        StoreTime { open_ms, anchor, downtimes, unclean_ms }
    }

    fn uncounted(&self, reading: Reading) -> Option<String> {
        // In its first run a store has no downtime.
        if self.anchored || self.began_ms <= 1 {
            return None;
        }
        let ran = reading.steady_ms.saturating_sub(self.began_at_ms);
        let rests = || (!self.has_rested(reading)).then(|| format!("pulk started only {} ago", text_of(ran)));
        self.doubt(reading).or_else(rests)
    }
}

fn text_of(milliseconds: u64) -> String {
    in_units(Duration::from_millis(milliseconds))
}
