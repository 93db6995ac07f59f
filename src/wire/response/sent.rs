//! Reports to the application how its answer was sent.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::wire::{OnSent, Sent};

/// Calls an [`OnSent`] exactly once, when it is dropped: after success, failure and cancellation.
pub(in crate::wire) struct SentGuard {
    on_sent: Option<OnSent>,
    /// What will be reported.
    pub(in crate::wire) sent: Sent,
}

impl SentGuard {
    /// Starts with nothing sent.
    pub(in crate::wire) fn new(on_sent: Option<OnSent>, bytes_in: u64) -> Self {
        Self { on_sent, sent: Sent { bytes_in, bytes_out: 0, complete: false } }
    }
}

impl Drop for SentGuard {
    fn drop(&mut self) {
        if let Some(on_sent) = self.on_sent.take() {
            let sent = self.sent;
            // This may run while a panic unwinds: a second panic would abort the process.
            if catch_unwind(AssertUnwindSafe(move || (on_sent.0)(sent))).is_err() {
                log::error!("the callback for a sent answer panicked");
            }
        }
    }
}
