//! Going on after a failure that refuses all writes, such as a failed sync.
//!
//! After a failed sync the medium may lack anything written since the last sync that succeeded, and the page
//! cache may show it as clean. So none of it is read back: the journal continues in a new file, right after
//! the last transaction that is known to be durable. The old file keeps everything that was acknowledged.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use crate::base::lock;
use crate::meta::error::MetaError;
use crate::meta::index::{RowTotals, View};
use crate::meta::writer::message::{Message, WriteFailure};
use crate::meta::writer::reopening::OnSyncFailure;
use crate::meta::writer::thread::Writer;

impl Writer {
    /// Waits for the next message. While the journal refuses writes, tries to reopen it from time to time.
    pub(super) fn receive(&mut self, messages: &Receiver<Message>) -> Option<Message> {
        loop {
            if self.journal.poisoned().is_none() || self.reopening.policy == OnSyncFailure::Exit {
                return messages.recv().ok();
            }
            let wait = self.reopening.wait();
            self.publish_failure(None);
            if wait.is_zero() {
                self.try_reopen();
                continue;
            }
            match messages.recv_timeout(wait) {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn try_reopen(&mut self) {
        self.reopening.tries += 1;
        let tries = self.reopening.tries;
        match self.reopen() {
            Ok(()) => {
                (self.reopening.next, self.reopening.reopened) = (None, Some(Instant::now()));
                *lock(&self.shared.failure) = None;
                self.shared.reopened.fetch_add(1, Ordering::SeqCst);
                log::warn!("the store is reopened after {tries} tries: writes resume");
            }
            Err(error) => {
                if self.journal.poisoned().is_none() {
                    self.journal.poison(error.to_string());
                }
                let pause = self.reopening.pause();
                self.reopening.next = Some(Instant::now() + pause);
                self.publish_failure(Some(error.to_string()));
                log::error!(
                    "try {tries} of reopening the store failed, the next one is in {} s: {error}",
                    pause.as_secs()
                );
            }
        }
    }

    /// Continues after the last transaction that is known to be durable.
    fn reopen(&mut self) -> Result<(), MetaError> {
        self.journal.reopen().map_err(|error| MetaError::Failed(error.to_string()))?;
        // INVARIANT: before anything else gets the numbers of the lines that are lost.
        if let Some(unfiled) = &self.unfiled {
            unfiled.forget_after(self.journal.synced());
        }
        // The last line that said how far content is filed may be lost.
        self.filed = 0;
        // The index has nothing that is not durable, so it is right as it is.
        self.pending.clear();
        self.repair()?;
        self.totals = RowTotals::of(View::new(self.index.as_ref()))?;
        self.checks.recount(View::new(self.index.as_ref()))?;
        self.publish_totals();
        Ok(())
    }

    fn publish_failure(&self, tried: Option<String>) {
        if let Some(failure) = lock(&self.shared.failure).as_mut() {
            failure.tries = self.reopening.tries;
            failure.next = self.reopening.next;
            failure.tried = tried.or_else(|| failure.tried.take());
        }
    }
}

impl WriteFailure {
    /// Describes why writes are refused, and until when.
    pub(in crate::meta) fn describe(&self) -> String {
        let Self { why, tries, next, tried } = self;
        let seconds = next.map(|next| next.saturating_duration_since(Instant::now()).as_secs() + 1);
        let until = match (seconds, tried) {
            (Some(seconds), Some(tried)) => {
                format!(
                    "; try {tries} of reopening the store failed ({tried}), the next one is in {seconds} s"
                )
            }
            (Some(_), None) => "; the store is being reopened".to_owned(),
            (None, _) => String::new(),
        };
        format!("{why}{until}")
    }
}
