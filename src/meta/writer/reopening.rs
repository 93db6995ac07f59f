//! When a store that refuses writes is reopened.

use std::time::{Duration, Instant};

/// What happens after a failed sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnSyncFailure {
    /// The store is reopened, and writes resume.
    #[default]
    Reopen,
    /// Writes stay refused, and a server stops.
    Exit,
}

/// The pause after the first try that failed; each further one doubles it.
pub(in crate::meta) const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two tries, in units of the first one.
const PAUSES_MAX: u32 = 64;

/// How long writes must have worked before a new failure is tried without a pause.
const RELAPSE_MAX: Duration = Duration::from_secs(60);

/// When the store is reopened.
#[derive(Debug)]
pub(in crate::meta) struct Reopening {
    pub(in crate::meta) policy: OnSyncFailure,
    /// The pause after the first try that failed.
    pub(in crate::meta) pause: Duration,
    /// When the next try is due; `None` while writes are taken.
    pub(super) next: Option<Instant>,
    /// The tries since writes last worked for [`RELAPSE_MAX`].
    pub(super) tries: u32,
    pub(super) reopened: Option<Instant>,
}

impl Reopening {
    pub(in crate::meta) fn new(policy: OnSyncFailure, pause: Duration) -> Self {
        Self { policy, pause, next: None, tries: 0, reopened: None }
    }

    /// Returns the pause before the next try.
    pub(super) fn pause(&self) -> Duration {
        let pauses = 1_u32.checked_shl(self.tries.saturating_sub(1)).unwrap_or(PAUSES_MAX).min(PAUSES_MAX);
        if self.tries == 0 { Duration::ZERO } else { self.pause.saturating_mul(pauses) }
    }

    /// Returns how long to wait for the next try, which is due at once when this is the first look at a
    /// failure.
    pub(super) fn wait(&mut self) -> Duration {
        let due = self.next.unwrap_or_else(|| {
            if self.reopened.is_none_or(|at| at.elapsed() >= RELAPSE_MAX) {
                self.tries = 0;
            }
            Instant::now() + self.pause()
        });
        self.next = Some(due);
        due.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_a_relapse_does_not_begin_again() {
        let second = Duration::from_secs(1);
        let mut reopening = Reopening::new(OnSyncFailure::Reopen, second);
        let pauses: Vec<u64> = (0..9)
            .map(|tries| {
                reopening.tries = tries;
                reopening.pause().as_secs()
            })
            .collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 64, 64]);
        reopening.tries = 40;
        assert_eq!(reopening.pause(), 64 * second);
        reopening.reopened = Some(Instant::now());
        assert!(!reopening.wait().is_zero());
        assert_eq!(reopening.tries, 40);
        (reopening.next, reopening.reopened) = (None, Instant::now().checked_sub(RELAPSE_MAX));
        assert!(reopening.wait().is_zero());
    }
}
