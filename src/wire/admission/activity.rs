//! How long a holder has been idle, and how fast its client moves what is in flight.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::rule::{Standing, Terms};

/// Nothing is waited for: the server works.
const BUSY: u64 = 0;

/// Set in a state while nothing is in flight. The other bits are the microseconds at which it began.
const IDLE: u64 = 1;

/// The record of one holder. Each change is a store or two: it is noted for every request.
///
/// Only time in which the client is waited for is counted against it. The numbers are read by others without
/// a lock, so a reading may mix two moments; it decides at most which of two slow holders goes.
#[derive(Debug)]
pub(crate) struct Activity {
    began: Instant,
    /// [`BUSY`], or when a wait for the client began.
    state: AtomicU64,
    /// How long the client was waited for, in microseconds; the present wait not included.
    waited: AtomicU64,
    /// How many bytes moved, in either direction.
    moved: AtomicU64,
    /// What `waited` and `moved` were when the client was last found fast enough.
    judged: (AtomicU64, AtomicU64),
}

impl Activity {
    /// Begins as idle.
    pub(super) fn new() -> Self {
        let (state, judged) = (AtomicU64::new(IDLE), (AtomicU64::new(0), AtomicU64::new(0)));
        Self { began: Instant::now(), state, waited: AtomicU64::new(0), moved: AtomicU64::new(0), judged }
    }

    /// Notes that nothing is in flight from now on, unless that is so already: bytes to which nothing is owed
    /// make no holder less idle.
    pub(crate) fn idle(&self) {
        if self.state.load(Ordering::Relaxed) & IDLE == 0 {
            self.state.store(self.now() << 1 | IDLE, Ordering::Relaxed);
            // What comes next is judged by itself.
            self.judged.0.store(self.waited.load(Ordering::Relaxed), Ordering::Relaxed);
            self.judged.1.store(self.moved.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Notes that something is in flight, and that the server works on it.
    pub(crate) fn busy(&self) {
        self.state.store(BUSY, Ordering::Relaxed);
    }

    /// Notes that the client is waited for from now on, unless it is already.
    pub(crate) fn wait(&self) {
        if self.state.load(Ordering::Relaxed) == BUSY {
            self.state.store(self.now() << 1, Ordering::Relaxed);
        }
    }

    /// Notes the end of such a wait.
    pub(crate) fn end_wait(&self) {
        let state = self.state.load(Ordering::Relaxed);
        if state != BUSY && state & IDLE == 0 {
            self.add_wait(self.now().saturating_sub(state >> 1));
            self.busy();
        }
    }

    /// Adds a wait for the client that has ended.
    pub(crate) fn waited(&self, time: Duration) {
        self.add_wait(micros(time));
    }

    fn add_wait(&self, micros: u64) {
        self.waited.fetch_add(micros, Ordering::Relaxed);
    }

    /// Notes that bytes moved.
    pub(crate) fn moved(&self, count: u64) {
        self.moved.fetch_add(count, Ordering::Relaxed);
    }

    /// Returns how many bytes moved so far.
    pub(super) fn moved_bytes(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Returns what speaks for the holder at a moment. Holders are compared at one and the same.
    pub(super) fn standing(&self, terms: &Terms, at: Instant) -> Standing {
        let now = micros(at.saturating_duration_since(self.began)).max(1);
        let state = self.state.load(Ordering::Relaxed);
        let present = now.saturating_sub(state >> 1);
        if state & IDLE != 0 {
            let idle = Duration::from_micros(present);
            return if idle < terms.idle_min { Standing::Busy } else { Standing::Idle(idle) };
        }
        let mut waited = self.waited.load(Ordering::Relaxed);
        if state != BUSY {
            waited = waited.saturating_add(present);
        }
        let moved = self.moved.load(Ordering::Relaxed);
        let since = waited.saturating_sub(self.judged.0.load(Ordering::Relaxed));
        if since < micros(terms.slow_time) {
            return Standing::Busy;
        }
        let bytes = u128::from(moved.saturating_sub(self.judged.1.load(Ordering::Relaxed)));
        let rate = bytes.saturating_mul(1_000_000) / u128::from(since.max(1));
        match u64::try_from(rate) {
            Ok(rate) if rate < terms.least_bytes_per_second => Standing::TooSlow(rate),
            _ => {
                // Restart the window: earlier speed must not excuse a later stall.
                self.judged.0.store(waited, Ordering::Relaxed);
                self.judged.1.store(moved, Ordering::Relaxed);
                Standing::Busy
            }
        }
    }

    /// Returns the microseconds since it began, never 0, so that no state is [`BUSY`] by its time alone.
    fn now(&self) -> u64 {
        micros(self.began.elapsed()).max(1)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        places: 1,
        leaving_max: 1,
        idle_min: Duration::ZERO,
        slow_time: Duration::from_secs(30),
        least_bytes_per_second: 2048,
    };

    fn standing(activity: &Activity) -> Standing {
        activity.standing(&TERMS, Instant::now())
    }

    #[test]
    fn it_is_idle_until_something_is_in_flight_and_again_afterwards() {
        let activity = Activity::new();
        assert!(matches!(standing(&activity), Standing::Idle(_)));
        activity.wait();
        assert!(matches!(standing(&activity), Standing::Idle(_)), "a wait for a request is no slowness");
        activity.busy();
        assert_eq!(standing(&activity), Standing::Busy);
        activity.idle();
        assert!(matches!(standing(&activity), Standing::Idle(_)));
    }

    #[test]
    fn bytes_to_which_nothing_is_owed_make_a_client_no_less_idle() {
        let activity = Activity::new();
        activity.busy();
        activity.idle();
        let (state, now) = (activity.state.load(Ordering::Relaxed), activity.now());
        while activity.now() == now {
            std::hint::spin_loop();
        }
        activity.idle();
        assert_eq!(activity.state.load(Ordering::Relaxed), state);
    }

    #[test]
    fn a_client_is_judged_by_what_it_moved_while_it_was_waited_for() {
        let activity = Activity::new();
        activity.busy();
        activity.waited(TERMS.slow_time - Duration::from_secs(1));
        assert_eq!(standing(&activity), Standing::Busy, "it may still come");
        activity.waited(Duration::from_secs(1));
        assert_eq!(standing(&activity), Standing::TooSlow(0));
        activity.moved(30 * 2047);
        assert_eq!(standing(&activity), Standing::TooSlow(2047));
        activity.moved(30);
        assert_eq!(standing(&activity), Standing::Busy);
    }

    #[test]
    fn earlier_speed_does_not_excuse_a_later_stall() {
        let activity = Activity::new();
        activity.busy();
        activity.moved(1 << 40);
        activity.waited(TERMS.slow_time);
        assert_eq!(standing(&activity), Standing::Busy);
        activity.waited(TERMS.slow_time);
        assert_eq!(standing(&activity), Standing::TooSlow(0));
    }

    #[test]
    fn an_earlier_request_does_not_make_a_later_one_slow() {
        let activity = Activity::new();
        activity.busy();
        activity.waited(TERMS.slow_time);
        assert_eq!(standing(&activity), Standing::TooSlow(0));
        activity.idle();
        activity.busy();
        assert_eq!(standing(&activity), Standing::Busy);
        activity.waited(TERMS.slow_time);
        assert_eq!(standing(&activity), Standing::TooSlow(0));
    }

    #[test]
    fn the_present_wait_counts_and_the_servers_own_work_does_not() {
        let terms = Terms { slow_time: Duration::from_millis(10), ..TERMS };
        let activity = Activity::new();
        activity.busy();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(activity.standing(&terms, Instant::now()), Standing::Busy);
        activity.wait();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(activity.standing(&terms, Instant::now()), Standing::TooSlow(0));
        activity.end_wait();
        assert_eq!(activity.standing(&terms, Instant::now()), Standing::TooSlow(0));
    }

    #[test]
    fn a_client_that_just_came_is_not_idle_yet() {
        let activity = Activity::new();
        let terms = Terms { idle_min: Duration::from_secs(60), ..TERMS };
        assert_eq!(activity.standing(&terms, Instant::now()), Standing::Busy);
    }
}
