//! All upload sessions, and which of them gives way when there are too many.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::session::UploadSession;
use crate::base::{ClientAddress, displaced, lock};
use crate::registry::error::RegistryError;
use crate::registry::types::UploadId;
use crate::spec::RepoName;

/// How old a session must be to give way to a client of an address that has fewer sessions than its own. The
/// client of a session that has just begun is about to send. Its idle time does not protect it: a client can
/// ask for the offset of all its sessions in turn.
const KEPT_FROM_OTHERS_MIN: Duration = Duration::from_secs(1);

/// How long at least an idle session keeps its place from a client of the same address, and one whose client
/// is unknown from any.
const KEPT_MIN: Duration = Duration::from_secs(60);

/// How much longer that is for what has come: the time in which the slowest client that keeps its connection
/// would send it again.
const RESENT_BYTES_PER_SECOND: u64 = 2 * 1024;

/// How long that is at most. Shorter than the usual idle limit: until a session gives way, all pushes of that
/// address are refused.
const KEPT_MAX: Duration = Duration::from_secs(60 * 60);

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
    /// Adds a session. At `max` sessions, another one gives way to it and is returned, to be given up.
    ///
    /// It is one of the address that has most, by [`displaced`], and one that no request works on. Of one
    /// address, those of a repository that crowds out the others ([`CROWDING_PART`], [`CROWDING_MIN`]) go
    /// first, then those that wait for their first byte, then those that have been idle longest.
    pub(in crate::registry) fn add(
        &self,
        session: UploadSession,
        max: usize,
    ) -> Result<Option<Arc<UploadSession>>, RegistryError> {
        let mut open = self.open();
        let mut gone = None;
        if open.len() >= max {
            let crowding = crowding_repos(&open, max);
            let at = Instant::now();
            let holders = open.values().map(|one| {
                let crowds = crowding.contains(one.repo());
                let idle = one.idle_unless_held(at);
                let idle = idle.filter(|idle| can_go(one, *idle, session.client(), crowds));
                (one.client(), one.id(), idle.map(|idle| (crowds, one.offset() == 0, idle)))
            });
            let goes = displaced(holders, &session.client());
            gone = goes.and_then(|id| open.remove(&id));
            if gone.is_none() {
                return Err(RegistryError::TooMany("too many unfinished uploads"));
            }
        }
        open.insert(session.id(), Arc::new(session));
        Ok(gone)
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
        let (at, open) = (Instant::now(), self.all(UploadSession::is_open));
        let idle = open.into_iter().filter_map(|one| Some((one.idle_unless_held(at)?, one)));
        let idle: Vec<_> = idle.collect();
        if idle.len() < max {
            return None;
        }
        idle.into_iter().max_by_key(|(time, _)| *time).map(|(_, one)| one)
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

/// Returns the repositories that have most sessions, if that keeps others from pushing.
fn crowding_repos(open: &HashMap<UploadId, Arc<UploadSession>>, max: usize) -> HashSet<RepoName> {
    let mut counts: HashMap<&RepoName, usize> = HashMap::new();
    for one in open.values() {
        *counts.entry(one.repo()).or_default() += 1;
    }
    let most = counts.values().copied().max().unwrap_or_default();
    let crowds = most >= CROWDING_MIN && most.saturating_mul(CROWDING_PART) >= max;
    counts.into_iter().filter(|(_, count)| crowds && *count == most).map(|(repo, _)| repo.clone()).collect()
}

/// Tells whether a session that has been idle for this long gives way to a newcomer.
fn can_go(session: &UploadSession, idle: Duration, newcomer: Option<ClientAddress>, crowds: bool) -> bool {
    if session.client().is_some() && session.client() != newcomer {
        return session.is_older_than(KEPT_FROM_OTHERS_MIN);
    }
    let worth = if crowds { 0 } else { session.offset() / RESENT_BYTES_PER_SECOND };
    idle >= KEPT_MIN.saturating_add(Duration::from_secs(worth)).min(KEPT_MAX)
}
