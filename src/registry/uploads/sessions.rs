//! All upload sessions, and which of them gives way when there are too many.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::session::UploadSession;
use crate::base::lock;
use crate::registry::error::RegistryError;
use crate::registry::types::UploadId;
use crate::spec::RepoName;

/// How long an idle upload without bytes keeps its place when the sessions reach their limit.
const UNUSED_KEPT_MIN: Duration = Duration::from_secs(60);

/// How long an idle upload with bytes keeps its place when the sessions reach their limit. Shorter than the
/// usual idle limit: until a session is evicted, all pushes are refused.
const USED_KEPT_MIN: Duration = Duration::from_secs(60 * 60);

/// A repository crowds out the others if it has at least the session limit divided by this, and at least
/// [`CROWDING_MIN`] sessions.
const CROWDING_PART: usize = 4;

/// A repository with fewer sessions than this crowds out no other.
const CROWDING_MIN: usize = 16;

/// All sessions that have not ended.
#[derive(Debug, Default)]
pub(in crate::registry) struct UploadSessions {
    open: Mutex<HashMap<UploadId, Arc<UploadSession>>>,
}

impl UploadSessions {
    /// Adds a session. At `max` sessions, evicts one and returns it, to be given up.
    ///
    /// The candidate is the session that has waited longest for its first byte, if that is at least
    /// [`UNUSED_KEPT_MIN`], else the one that has been idle longest, if that is at least [`USED_KEPT_MIN`].
    /// If a repository crowds out the others ([`CROWDING_PART`], [`CROWDING_MIN`]), one of its sessions is
    /// evicted first, and [`UNUSED_KEPT_MIN`] is enough for any of them: no repository may keep others from
    /// pushing.
    pub(in crate::registry) fn add(
        &self,
        session: UploadSession,
        max: usize,
    ) -> Result<Option<Arc<UploadSession>>, RegistryError> {
        let mut open = self.open();
        let mut evicted = None;
        if open.len() >= max {
            let mut counts: HashMap<&RepoName, usize> = HashMap::new();
            for one in open.values() {
                *counts.entry(one.repo()).or_default() += 1;
            }
            let most = counts.values().copied().max().unwrap_or_default();
            let too_many = most >= CROWDING_MIN && most.saturating_mul(CROWDING_PART) >= max;
            let crowds = |one: &UploadSession| too_many && counts.get(one.repo()) == Some(&most);
            let can_go = |one: &&Arc<UploadSession>| {
                let soon = one.offset() == 0 || crowds(one);
                one.is_idle(if soon { UNUSED_KEPT_MIN } else { USED_KEPT_MIN })
            };
            let first = |one: &&Arc<UploadSession>| (!crowds(one), one.offset() != 0, Reverse(one.idle()));
            let Some(oldest) = open.values().filter(can_go).min_by_key(first).cloned() else {
                return Err(RegistryError::TooMany("too many unfinished uploads"));
            };
            open.remove(&oldest.id());
            evicted = Some(oldest);
        }
        open.insert(session.id(), Arc::new(session));
        Ok(evicted)
    }

    /// Adds a session of an earlier run.
    pub(in crate::registry) fn restore(&self, session: UploadSession) {
        self.open().insert(session.id(), Arc::new(session));
    }

    /// Returns a session of a repository; those of other repositories are unknown to it.
    pub(in crate::registry) fn find(
        &self,
        repo: &RepoName,
        id: UploadId,
    ) -> Result<Arc<UploadSession>, RegistryError> {
        let found = self.open().get(&id).filter(|session| session.repo() == repo).cloned();
        found.ok_or(RegistryError::UploadUnknown)
    }

    /// Ends the requests that append to a session. No connection brings another one by then.
    pub(in crate::registry) fn stop_appends(&self) {
        for session in self.open().values() {
            session.stop_appends();
        }
    }

    /// Returns the longest idle session that keeps its file open, if `max` or more do.
    pub(in crate::registry) fn file_to_close(&self, max: usize) -> Option<Arc<UploadSession>> {
        let open = self.all(|one| one.is_open() && one.is_idle(Duration::ZERO));
        if open.len() >= max { open.into_iter().max_by_key(|one| one.idle()) } else { None }
    }

    /// Forgets a session.
    pub(in crate::registry) fn remove(&self, id: UploadId) {
        self.open().remove(&id);
    }

    /// Tells whether an open session has a file of this name.
    pub(in crate::registry) fn has(&self, name: &str) -> bool {
        name.parse().is_ok_and(|id: UploadId| self.open().contains_key(&id))
    }

    /// Returns the sessions for which `wanted` is true.
    pub(in crate::registry) fn all(
        &self,
        mut wanted: impl FnMut(&UploadSession) -> bool,
    ) -> Vec<Arc<UploadSession>> {
        self.open().values().filter(|session| wanted(session)).cloned().collect()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<UploadId, Arc<UploadSession>>> {
        lock(&self.open)
    }
}
