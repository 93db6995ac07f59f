//! The state of a file as the system reports it, to recognize a file that was read before.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

/// How long a file must be unchanged before its times reveal the next change: every filesystem's times are at
/// least this fine.
const SETTLED_MIN: Duration = Duration::from_secs(2);

/// The identity of a file and the time of its last change. Every write through the system changes it; a
/// medium that loses bytes does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileState {
    device: u64,
    inode: u64,
    length: u64,
    /// In nanoseconds since 1970, as all times here.
    modified: i128,
    /// When any part of it was changed, its times included: programs cannot set this one.
    changed: i128,
}

impl FileState {
    #[expect(clippy::useless_conversion, reason = "the fields have other types on other processors")]
    pub(super) fn of(status: &Stat) -> Self {
        Self {
            device: status.st_dev.into(),
            inode: status.st_ino.into(),
            length: u64::try_from(status.st_size).unwrap_or(0),
            modified: nanoseconds(status.st_mtime.into(), status.st_mtime_nsec as i128),
            changed: nanoseconds(status.st_ctime.into(), status.st_ctime_nsec as i128),
        }
    }

    /// Tells whether a change from `now` on shows in the times: a change right after another may get the same
    /// times.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).ok().and_then(|now| i128::try_from(now.as_nanos()).ok());
        // A time in the future, from a clock that was set, is not settled: the next change may get the same
        // time.
        now.is_some_and(|now| now.saturating_sub(self.changed) >= SETTLED_MIN.as_nanos() as i128)
    }
}

fn nanoseconds(seconds: i128, nanoseconds: i128) -> i128 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_a_moment_ago_or_in_the_future_is_not_settled() {
        let state =
            FileState { device: 1, inode: 2, length: 3, modified: 0, changed: nanoseconds(1_000_000, 5) };
        let at = |seconds: u64, nanoseconds: u32| UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        assert!(!state.is_settled(at(999_000, 0)));
        assert!(!state.is_settled(at(1_000_002, 4)));
        assert!(state.is_settled(at(1_000_002, 5)));
    }
}
