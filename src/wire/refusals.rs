//! Counts what the transport refuses, and warns about it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::base::lock;

/// The least time between two warnings for one reason: clients must not fill the log.
const WARN_PAUSE: Duration = Duration::from_secs(60);

/// Why a client got no answer of the application: the value of a metric's label, and the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RefusalReason {
    /// The reason as a label.
    pub(crate) label: &'static str,
    /// The status that the client gets, if it is answered.
    pub(crate) status: Option<u16>,
}

/// How often clients were refused, for each reason.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    counts: Mutex<BTreeMap<RefusalReason, RefusalCount>>,
}

#[derive(Debug, Default)]
struct RefusalCount {
    total: u64,
    /// How many no warning has reported yet.
    unreported: u64,
    warned: Option<Instant>,
}

impl Refusals {
    /// Counts a refusal. Warns about the first one for its reason, and then at most once in [`WARN_PAUSE`].
    pub(crate) fn note(&self, reason: RefusalReason, peer: &str, why: &str) {
        log::debug!("refused a request of {peer}: {why}");
        if let Some(unreported) = self.count(reason, Instant::now()) {
            let status = reason.status.map_or("closed unanswered".to_owned(), |status| status.to_string());
            let more = if unreported > 1 {
                format!("; {} more for this reason since the last warning", unreported - 1)
            } else {
                String::new()
            };
            log::warn!("refused a request of {peer}: {why} ({status}){more}");
        }
    }

    /// Counts a refusal, and returns how many a warning must report now, if one is due.
    fn count(&self, reason: RefusalReason, now: Instant) -> Option<u64> {
        let mut counts = lock(&self.counts);
        let count = counts.entry(reason).or_default();
        count.total += 1;
        count.unreported += 1;
        if count.warned.is_some_and(|warned| now.saturating_duration_since(warned) < WARN_PAUSE) {
            return None;
        }
        count.warned = Some(now);
        Some(std::mem::take(&mut count.unreported))
    }

    /// Returns how often clients were refused for each reason.
    pub(crate) fn totals(&self) -> Vec<(RefusalReason, u64)> {
        lock(&self.counts).iter().map(|(reason, count)| (*reason, count.total)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_warnings_are_bounded_for_each_reason() {
        let refusals = Refusals::default();
        let reason = |label, status| RefusalReason { label, status: Some(status) };
        let (bad, full) = (reason("bad_request", 400), reason("too_many_connections", 503));
        let began = Instant::now();
        assert_eq!(refusals.count(bad, began), Some(1));
        for _ in 0..1000 {
            assert_eq!(refusals.count(bad, began + WARN_PAUSE / 2), None);
        }
        assert_eq!(refusals.count(full, began), Some(1), "another reason has a warning of its own");
        assert_eq!(refusals.count(bad, began + WARN_PAUSE), Some(1001));
        assert_eq!(refusals.totals(), [(bad, 1002), (full, 1)]);
    }
}
