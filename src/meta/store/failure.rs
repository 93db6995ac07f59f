//! What the registry asks of metadata that refuses writes.

use std::sync::atomic::Ordering;

use crate::base::lock;
use crate::meta::store::Meta;
use crate::meta::writer::{Message, WriteFailure};

impl Meta {
    /// Returns how often the store was tried to be reopened since writes are refused.
    pub fn reopen_tries(&self) -> u64 {
        lock(&self.shared.failure).as_ref().map_or(0, |failure| u64::from(failure.tries))
    }

    /// Returns how often the store was reopened after a failure.
    pub fn reopened(&self) -> u64 {
        self.shared.reopened.load(Ordering::SeqCst)
    }

    /// Returns why writes are refused, if they are, and when the store is reopened.
    pub fn poisoned(&self) -> Option<String> {
        lock(&self.shared.failure).as_ref().map(WriteFailure::describe)
    }

    /// Tells whether the store still lacks a journal, for want of disk space, and so cannot be written to.
    pub fn is_without_journal(&self) -> bool {
        self.shared.is_without_journal()
    }

    /// Refuses writes until the store is reopened.
    pub fn poison(&self, why: String) {
        self.send(Message::Poison(why));
    }
}
