//! An upload session in memory: which request may write, how many bytes have come, and how long it has been
//! idle.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use event_listener::{Event, listener};
use smol::lock::{Mutex as AsyncMutex, MutexGuardArc as AsyncMutexGuard};

use crate::base::{ClientAddress, lock};
use crate::blobs::{BlobError, ContentStore, ContentUpload};
use crate::meta::{Optional, UploadRow};
use crate::registry::error::RegistryError;
use crate::registry::protection::leases::Leases;
use crate::registry::protection::leases::upload_hold::UploadHold;
use crate::registry::types::UploadId;
use crate::registry::uploads::saved::{open_saved, to_hex};
use crate::spec::{Algorithm, RepoName};

/// How long an upload without bytes may be idle.
const UNUSED_IDLE_MAX: Duration = Duration::from_secs(60 * 60);

/// How long at least an upload of an earlier run is kept after a start, so that its client can resume it.
const RESTORED_KEPT_MIN: Duration = Duration::from_secs(15 * 60);

/// The age from which an upload is slow.
const SLOW_MIN: Duration = Duration::from_secs(10);

/// An upload session. One request at a time writes to it. A later request takes it over, since a client whose
/// connection broke returns before the server has noticed.
#[derive(Debug)]
pub(in crate::registry) struct UploadSession {
    id: UploadId,
    repo: RepoName,
    algorithm: Algorithm,
    /// The client that began it, where that is known; not after a restart.
    client: Option<ClientAddress>,
    progress: Mutex<SessionProgress>,
    /// Readable while `progress` is locked.
    offsets: Mutex<Offsets>,
    /// Whether the upload's file is open, readable without a lock.
    is_open: AtomicBool,
    times: Mutex<IdleTimes>,
    exclusive: Arc<AsyncMutex<()>>,
    /// How many requests wait for `exclusive`.
    claimants: AtomicUsize,
    /// Notified when another one begins to wait, and of a stop.
    claimed: Event,
    /// Whether the server stops, and appending with it.
    appends_stopped: AtomicBool,
    /// Keeps what the push needs from the collector, as long as the session is there.
    _hold: UploadHold,
}

/// How far an upload is.
#[derive(Debug, Clone, Copy)]
struct Offsets {
    /// How many bytes have come.
    come: u64,
    /// Where the body of a request that finishes the upload began, if it states no range.
    ///
    /// INVARIANT: what comes after it stays only if the request ends well. Its client knows no offset to
    /// resume at, and sends the same body again.
    finishes_from: Option<u64>,
}

/// When a session was used: on the monotonic clock, except for the time before the start.
#[derive(Debug, Clone, Copy)]
struct IdleTimes {
    /// When the upload began; unknown for one of an earlier run.
    began: Option<Instant>,
    /// When a request last used the session, as far as this process knows.
    used: Instant,
    /// How long the session had been idle by then.
    idle_before: Duration,
}

#[derive(Debug)]
enum SessionProgress {
    /// As the index has it: the upload was not opened since the start.
    Saved(UploadRow),
    /// Open for writing.
    Live(Box<dyn ContentUpload>),
    /// Finished or cancelled.
    Ended,
}

/// The right to write to a session, until another request claims it. Each piece of work on the disk holds a
/// clone, and may outlast a request that is given up: the next claim is granted when all clones are dropped.
#[derive(Clone)]
pub(in crate::registry) struct SessionClaim {
    /// Whether a stop ends the request: its client can resume where it ended.
    is_append: bool,
    held: Arc<ClaimGuard>,
}

/// One of a session's `claimants`, until this is dropped.
struct Claimant<'a>(&'a UploadSession);

impl<'a> Claimant<'a> {
    fn of(session: &'a UploadSession) -> Self {
        session.claimants.fetch_add(1, Ordering::SeqCst);
        session.claimed.notify(usize::MAX);
        Self(session)
    }
}

impl Drop for Claimant<'_> {
    fn drop(&mut self) {
        self.0.claimants.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What all clones of a claim share, until the last of them is dropped.
struct ClaimGuard {
    session: Arc<UploadSession>,
    _guard: AsyncMutexGuard<()>,
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        // INVARIANT: the claim is still held, so no other request uses the file.
        let mut progress = self.session.progress();
        if let SessionProgress::Live(upload) = &mut *progress {
            upload.rewind();
            // Both change at once: no reader may take bytes that are dropped for bytes that stay.
            *self.session.offsets() = Offsets { come: upload.offset(), finishes_from: None };
            upload.pause();
            self.session.is_open.store(upload.is_open(), Ordering::SeqCst);
        }
        self.session.offsets().finishes_from = None;
    }
}

impl SessionClaim {
    pub(in crate::registry) fn session(&self) -> &UploadSession {
        &self.held.session
    }

    /// Makes it the claim of a request that appends and finishes nothing: it ends at a stop.
    pub(in crate::registry) fn for_append(self) -> Self {
        Self { is_append: true, ..self }
    }

    /// Makes it the claim of a request that finishes the upload, and whose body states no range: what comes
    /// is dropped with the claim, unless the upload has ended by then.
    pub(in crate::registry) fn for_finish(self) -> Self {
        let mut offsets = self.session().offsets();
        offsets.finishes_from = Some(offsets.come);
        drop(offsets);
        self
    }

    /// Tells whether a stop has ended the request.
    pub(in crate::registry) fn is_stopped(&self) -> bool {
        self.is_append && self.session().appends_stopped.load(Ordering::SeqCst)
    }

    /// Returns, with what the request gets, when another request claims the session, or at the stop.
    ///
    /// INVARIANT: any request that waits is reason enough, not only a later one. Which of two was granted the
    /// claim first is no order of their clients' doing, and one that is gone would hold the other up.
    pub(in crate::registry) async fn lost(&self) -> RegistryError {
        loop {
            let session = self.session();
            listener!(session.claimed => claimed);
            if session.claimants.load(Ordering::SeqCst) > 0 {
                return RegistryError::UploadTakenOver;
            }
            if self.is_stopped() {
                return RegistryError::upload_stopped();
            }
            claimed.await;
        }
    }
}

impl UploadSession {
    fn new(
        id: UploadId,
        row: &UploadRow,
        progress: SessionProgress,
        (began, hold): (Option<Instant>, UploadHold),
    ) -> Self {
        Self {
            id,
            repo: row.repo.clone(),
            algorithm: row.algorithm,
            client: None,
            progress: Mutex::new(progress),
            offsets: Mutex::new(Offsets { come: row.offset, finishes_from: None }),
            is_open: AtomicBool::new(false),
            times: Mutex::new(IdleTimes { began, used: Instant::now(), idle_before: Duration::ZERO }),
            exclusive: Arc::default(),
            claimants: AtomicUsize::new(0),
            claimed: Event::new(),
            appends_stopped: AtomicBool::new(false),
            _hold: hold,
        }
    }

    /// Makes a session that a client has just begun.
    pub(in crate::registry) fn begun(
        store: &dyn ContentStore,
        id: UploadId,
        row: &UploadRow,
        (client, leases): (Option<ClientAddress>, &Arc<Leases>),
    ) -> Self {
        let times = (Some(Instant::now()), leases.hold_for_upload(&row.repo, true));
        let upload = store.begin(&id.to_string(), row.algorithm);
        Self { client, ..Self::new(id, row, SessionProgress::Live(upload), times) }
    }

    /// Makes a session of an earlier run that was `idle` before the start, where uploads may be idle for
    /// `idle_max`.
    pub(in crate::registry) fn saved(
        id: UploadId,
        row: UploadRow,
        (idle, idle_max): (Duration, Duration),
        leases: &Arc<Leases>,
    ) -> Self {
        let hold = leases.hold_for_upload(&row.repo, false);
        let session = Self::new(id, &row.clone(), SessionProgress::Saved(row), (None, hold));
        // The clock that `idle` comes from may be wrong.
        let most = session.idle_max(idle_max).saturating_sub(RESTORED_KEPT_MIN);
        session.times().idle_before = idle.min(most);
        session
    }

    pub(in crate::registry) fn id(&self) -> UploadId {
        self.id
    }

    pub(in crate::registry) fn repo(&self) -> &RepoName {
        &self.repo
    }

    /// Returns the client that began it, where that is known.
    pub(in crate::registry) fn client(&self) -> Option<ClientAddress> {
        self.client
    }

    /// Returns the name of its file.
    pub(in crate::registry) fn name(&self) -> String {
        self.id.to_string()
    }

    /// Returns how many bytes have come.
    pub(in crate::registry) fn offset(&self) -> u64 {
        self.offsets().come
    }

    /// Returns how many bytes have come to stay.
    pub(in crate::registry) fn kept_offset(&self) -> u64 {
        let Offsets { come, finishes_from } = *self.offsets();
        finishes_from.map_or(come, |from| come.min(from))
    }

    /// Tells whether the upload's file is open.
    pub(in crate::registry) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::SeqCst)
    }

    /// Claims the session if no request holds it, without taking it over from a later one.
    pub(in crate::registry) fn claim_idle(self: &Arc<Self>) -> Option<SessionClaim> {
        let guard = self.exclusive.try_lock_arc()?;
        let held = Arc::new(ClaimGuard { session: Arc::clone(self), _guard: guard });
        Some(SessionClaim { is_append: false, held })
    }

    /// Takes the session over from the request that holds it.
    pub(in crate::registry) async fn claim(self: &Arc<Self>) -> SessionClaim {
        let waits = Claimant::of(self);
        let guard = self.exclusive.lock_arc().await;
        drop(waits);
        self.touch();
        let held = Arc::new(ClaimGuard { session: Arc::clone(self), _guard: guard });
        SessionClaim { is_append: false, held }
    }

    /// Restarts the idle time.
    pub(in crate::registry) fn touch(&self) {
        let mut times = self.times();
        (times.used, times.idle_before) = (Instant::now(), Duration::ZERO);
    }

    /// Tells whether the push that the session belongs to may take longer than a lease.
    pub(in crate::registry) fn is_slow(&self) -> bool {
        self.is_older_than(SLOW_MIN)
    }

    /// Tells whether the upload began this long ago, or before the start.
    pub(in crate::registry) fn is_older_than(&self, age: Duration) -> bool {
        self.times().began.is_none_or(|began| began.elapsed() >= age)
    }

    /// Tells whether no request holds the session and it has been idle for `idle_max`.
    pub(in crate::registry) fn is_idle(&self, idle_max: Duration) -> bool {
        self.exclusive.try_lock().is_some() && self.idle_at(Instant::now()) >= idle_max
    }

    /// Tells whether the session has been idle for longer than it may be.
    pub(in crate::registry) fn has_timed_out(&self, idle_max: Duration) -> bool {
        self.is_idle(self.idle_max(idle_max))
    }

    /// Returns how long the session may be idle. One without bytes is given up sooner: clients leave one each
    /// time they ask for a mount and then change their mind.
    fn idle_max(&self, idle_max: Duration) -> Duration {
        if self.offset() == 0 { idle_max.min(UNUSED_IDLE_MAX) } else { idle_max }
    }

    /// Returns how long the session has been idle at a moment, unless a request holds it.
    pub(in crate::registry) fn idle_unless_held(&self, at: Instant) -> Option<Duration> {
        self.exclusive.try_lock().map(|_| self.idle_at(at))
    }

    fn idle_at(&self, at: Instant) -> Duration {
        let times = *self.times();
        at.saturating_duration_since(times.used).saturating_add(times.idle_before)
    }

    fn times(&self) -> MutexGuard<'_, IdleTimes> {
        lock(&self.times)
    }

    /// Makes the session look `time` older, and idle for that time.
    #[cfg(test)]
    pub(in crate::registry) fn grow_older(&self, time: Duration) {
        let mut times = self.times();
        times.began = times.began.and_then(|began| began.checked_sub(time));
        times.idle_before += time;
    }

    /// Ends the requests that append, also later ones.
    pub(in crate::registry) fn stop_appends(&self) {
        self.appends_stopped.store(true, Ordering::SeqCst);
        self.claimed.notify(usize::MAX);
    }

    /// Runs `work`, which may block, with the upload. Opens the upload first when it is of an earlier run.
    pub(in crate::registry) fn with_upload<T>(
        &self,
        store: &dyn ContentStore,
        work: impl FnOnce(&mut dyn ContentUpload) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let done = self.with_idle_upload(store, work);
        self.touch();
        done
    }

    /// Does the same as [`Self::with_upload`], and lets the session stay idle.
    pub(in crate::registry) fn with_idle_upload<T>(
        &self,
        store: &dyn ContentStore,
        work: impl FnOnce(&mut dyn ContentUpload) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut progress = self.progress();
        if let SessionProgress::Saved(row) = &*progress {
            *progress = match open_saved(store, &self.name(), row) {
                Ok(upload) => SessionProgress::Live(upload),
                // A copy of the file had no room: it may have room later.
                Err(BlobError::Disk(error)) if error.is_full() => return Err(RegistryError::NoSpace),
                Err(error) => {
                    log::warn!("upload {} cannot continue: {error}", self.id);
                    SessionProgress::Ended
                }
            };
        }
        let SessionProgress::Live(upload) = &mut *progress else { return Err(RegistryError::UploadUnknown) };
        if self.offsets().finishes_from.is_some() {
            upload.mark();
        }
        let done = work(upload.as_mut());
        self.offsets().come = upload.offset();
        self.is_open.store(upload.is_open() && !upload.is_lost(), Ordering::SeqCst);
        if upload.is_lost() {
            *progress = SessionProgress::Ended;
        }
        done
    }

    /// Returns the row that records how many bytes have come.
    pub(in crate::registry) fn row(&self, upload: &dyn ContentUpload) -> UploadRow {
        let (offset, state) = upload.resume_point();
        let state = state.map(|state| to_hex(&state));
        let (repo, algorithm) = (self.repo.clone(), self.algorithm);
        UploadRow { repo, algorithm, offset, state, at: None, optional: Optional::default() }
    }

    /// Ends the session: later requests find nothing.
    pub(in crate::registry) fn end(&self) {
        *self.progress() = SessionProgress::Ended;
        self.is_open.store(false, Ordering::SeqCst);
    }

    /// Tells whether the upload may have bytes that the index does not record.
    pub(in crate::registry) fn is_live(&self) -> bool {
        matches!(&*self.progress(), SessionProgress::Live(_))
    }

    /// Tells whether the session has ended, so that no request can resume it.
    pub(in crate::registry) fn has_ended(&self) -> bool {
        matches!(&*self.progress(), SessionProgress::Ended)
    }

    fn offsets(&self) -> MutexGuard<'_, Offsets> {
        lock(&self.offsets)
    }

    fn progress(&self) -> MutexGuard<'_, SessionProgress> {
        lock(&self.progress)
    }
}
