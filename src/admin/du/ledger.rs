//! Which content is used by whom: one entry for each piece of content.

use std::collections::HashMap;

use crate::spec::ContentDigest;

/// The first bytes of a digest, which tell it from all others.
type DigestPrefix = [u8; 16];

#[derive(Debug, Clone, Copy)]
struct LedgerEntry {
    size: u64,
    first: u32,
    last: u32,
    /// Whether another user has it, too.
    shared: bool,
    /// Whether it is also used outside of the users counted here.
    outside: bool,
}

/// Which users have which content. It takes some 50 bytes for each piece of content.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: HashMap<DigestPrefix, LedgerEntry>,
}

impl Ledger {
    /// Notes that a user has some content, and returns whether this is new for the user.
    ///
    /// Content of one user is noted before that of the next: an entry remembers only the last user.
    pub(super) fn note(&mut self, user: u32, digest: &ContentDigest, size: u64) -> bool {
        let mut new = true;
        self.entries
            .entry(key(digest))
            .and_modify(|entry| {
                new = entry.last != user;
                entry.shared |= entry.first != user;
                entry.last = user;
            })
            .or_insert(LedgerEntry { size, first: user, last: user, shared: false, outside: false });
        new
    }

    /// Notes that content of the ledger is also used outside of its users.
    pub(super) fn note_outsider(&mut self, digest: &ContentDigest) {
        if let Some(entry) = self.entries.get_mut(&key(digest)) {
            entry.outside = true;
        }
    }

    /// Returns whether any user has it.
    pub(super) fn has(&self, digest: &ContentDigest) -> bool {
        self.entries.contains_key(&key(digest))
    }

    /// Returns the bytes of all content, each counted once.
    pub(super) fn distinct_bytes(&self) -> u64 {
        self.entries.values().map(|entry| entry.size).sum()
    }

    /// Returns the bytes of all content that is used only by users of the ledger.
    pub(super) fn own_bytes(&self) -> u64 {
        self.entries.values().filter(|entry| !entry.outside).map(|entry| entry.size).sum()
    }

    /// Returns for each user the bytes that no other user has.
    pub(super) fn unique_bytes(&self, users: usize) -> Vec<u64> {
        let mut unique = vec![0; users];
        for entry in self.entries.values().filter(|entry| !entry.shared && !entry.outside) {
            if let Some(bytes) = unique.get_mut(entry.first as usize) {
                *bytes += entry.size;
            }
        }
        unique
    }
}

fn key(digest: &ContentDigest) -> DigestPrefix {
    let mut key = DigestPrefix::default();
    for (to, from) in key.iter_mut().zip(digest.bytes()) {
        *to = *from;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_of_one_user_is_unique_and_that_of_two_is_not() {
        let digest = |name: &str| ContentDigest::sha256_of(name.as_bytes());
        let mut ledger = Ledger::default();
        assert!(ledger.note(0, &digest("own"), 1));
        assert!(ledger.note(0, &digest("shared"), 10));
        assert!(!ledger.note(0, &digest("shared"), 10), "the same user twice");
        assert!(ledger.note(1, &digest("shared"), 10));
        assert!(ledger.note(1, &digest("outside"), 100));
        ledger.note_outsider(&digest("outside"));
        ledger.note_outsider(&digest("nowhere"));
        assert_eq!(ledger.unique_bytes(2), [1, 0]);
        assert_eq!((ledger.distinct_bytes(), ledger.own_bytes()), (111, 11));
        assert!(!ledger.has(&digest("nowhere")));
    }
}
