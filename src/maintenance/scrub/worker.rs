//! The handle of a scrub, and its thread.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::base::{lock, now_ms, wait};
use crate::maintenance::damage::note_damage;
use crate::maintenance::scrub::due::due_ms;
use crate::maintenance::scrub::error::ScrubError;
use crate::maintenance::scrub::options::ScrubOptions;
use crate::maintenance::scrub::pace::Pace;
use crate::maintenance::scrub::pass::{Drive, Pass, Reached};
use crate::maintenance::scrub::report::{ScrubReport, ScrubStatus};
use crate::maintenance::scrub::saved::Saved;
use crate::registry::{Registry, RegistryError};
use crate::spec::ContentDigest;

/// How long after a start the scrub begins, so that clients that waited for the start go first.
const START_PAUSE: Duration = Duration::from_secs(60);

/// How long the scrub rests after a pass that did not complete.
const FAILED_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The longest time between two readings of the clock, which may be set meanwhile.
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// How often the progress of a pass is saved.
const SAVE_PAUSE: Duration = Duration::from_secs(60 * 60);

/// How long the background waits before it retries unreadable content.
const RETRY_PAUSE: Duration = Duration::from_secs(60);

/// The same, while a caller waits.
const RETRY_PAUSE_ASKED: Duration = Duration::from_secs(1);

/// How many suspects are queued; the full pass finds the others by itself.
const SUSPECTS_KEPT_MAX: usize = 256;

/// Receives the progress of a requested scrub.
pub trait ScrubWatch {
    /// Receives how many bytes were read of about how many in total, and says whether to continue.
    fn goes_on(&mut self, done_bytes: u64, total_bytes: u64) -> bool;
}

/// The scrub of a registry. A clone is the same one; it stops when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Scrub {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    registry: Registry,
    options: ScrubOptions,
    start_pause: Duration,
    state: Mutex<ScrubState>,
    /// Held by the thread that reads: one at a time.
    working: Mutex<()>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct ScrubState {
    saved: Saved,
    /// Whether a full pass was requested; the background gives way to it.
    asked: bool,
    stopping: bool,
    /// The requested pass.
    asked_pass: Option<ScrubReport>,
    failed: Option<String>,
    not_before: Option<Instant>,
}

impl Scrub {
    /// Makes the scrub of a registry, which remembers what was done before.
    pub fn new(registry: &Registry, options: ScrubOptions) -> Self {
        Self::starting_after(registry, options, START_PAUSE)
    }

    pub(super) fn starting_after(registry: &Registry, options: ScrubOptions, start_pause: Duration) -> Self {
        let saved = Saved::load(registry.disk());
        let ended = saved.last.as_ref().map_or(0, |last| last.ended_ms / 1000);
        registry.scrub_counters().last_full_pass.store(ended, std::sync::atomic::Ordering::Relaxed);
        let state = Mutex::new(ScrubState { saved, ..ScrubState::default() });
        let shared = Shared {
            registry: registry.clone(),
            options,
            start_pause,
            state,
            working: Mutex::new(()),
            ended: Condvar::new(),
        };
        Self { handle: Arc::new(Handle { shared: Arc::new(shared), thread: Mutex::default() }) }
    }

    /// Begins to work in the background. Does nothing where that is turned off, or was done before.
    pub fn start(&self) -> io::Result<()> {
        let shared = Arc::clone(&self.handle.shared);
        if !shared.options.enabled {
            return Ok(());
        }
        let Some(woken) = shared.registry.scrub_waker() else { return Ok(()) };
        let work = move || shared.work(&woken);
        let thread = std::thread::Builder::new().name("pulk-scrub".to_owned()).spawn(work)?;
        *lock(&self.handle.thread) = Some(thread);
        Ok(())
    }

    /// Ends the work in the background at its next step, and waits for that.
    pub fn stop(&self) {
        self.handle.stop();
    }

    /// Reads everything now, at full speed. The pass in the background gives way.
    pub fn run(&self, watch: &mut dyn ScrubWatch) -> Result<ScrubReport, ScrubError> {
        let shared = self.handle.shared.as_ref();
        if shared.registry.is_read_only() {
            return Err(ScrubError::ReadOnly);
        }
        let _asked = shared.ask()?;
        let _working = lock(&shared.working);
        let total = shared.registry.totals().blob_bytes;
        let mut drive = Watched { shared, watch, done: 0, total };
        let pass = Pass::new(&shared.registry, &mut drive, begin(), RETRY_PAUSE_ASKED);
        let report = pass.run()?;
        Ok(shared.complete(report))
    }

    /// Returns the scrub's status.
    pub fn status(&self) -> Result<ScrubStatus, RegistryError> {
        let shared = &self.handle.shared;
        let quarantined = shared.registry.quarantined()?;
        let state = lock(&shared.state);
        let begun = state.saved.pass.as_ref().map(|pass| pass.report.clone());
        let pass = state.asked_pass.clone().or(begun);
        let next_ms = (shared.options.enabled && pass.is_none()).then(|| {
            state.saved.last.as_ref().map(|last| due_ms(last.ended_ms, shared.options.interval, now_ms()))
        });
        Ok(ScrubStatus {
            enabled: shared.options.enabled,
            rate_bytes: shared.options.rate_bytes,
            pass,
            last: state.saved.last.clone(),
            next_ms: next_ms.flatten(),
            failed: state.failed.clone(),
            quarantined: quarantined.len() as u64,
            quarantined_bytes: quarantined.iter().map(|file| file.length).sum(),
        })
    }
}

impl Handle {
    fn stop(&self) {
        lock(&self.shared.state).stopping = true;
        self.shared.registry.wake_scrub();
        self.shared.ended.notify_all();
        let thread = lock(&self.thread).take();
        if let Some(Err(_)) = thread.map(JoinHandle::join) {
            log::error!("the scrub panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Holds the background back until the returned guard is dropped.
    fn ask(&self) -> Result<Asked<'_>, ScrubError> {
        let mut state = lock(&self.state);
        if std::mem::replace(&mut state.asked, true) {
            return Err(ScrubError::Busy);
        }
        drop(state);
        self.registry.wake_scrub();
        Ok(Asked(self))
    }

    /// Keeps what a full pass found.
    fn complete(&self, report: ScrubReport) -> ScrubReport {
        let report = ScrubReport { ended_ms: now_ms(), ..report };
        let counters = self.registry.scrub_counters();
        counters.last_full_pass.store(report.ended_ms / 1000, std::sync::atomic::Ordering::Relaxed);
        let mut state = lock(&self.state);
        state.saved.pass = None;
        state.saved.last = Some(report.clone());
        state.failed = None;
        state.saved.save(self.registry.disk());
        report
    }

    /// Works until it is stopped.
    fn work(&self, woken: &Receiver<Option<ContentDigest>>) {
        lock(&self.state).not_before = Some(Instant::now() + self.start_pause);
        let mut suspects = VecDeque::new();
        // How long the last suspect took, if the full pass had no turn since: neither may starve the other.
        let mut owed: Option<Duration> = None;
        loop {
            let waits = owed.is_some() && self.is_due();
            let suspect = if waits { None } else { suspects.pop_front() };
            if let Some(digest) = suspect {
                let began = Instant::now();
                self.background(woken, &mut suspects, |pass| pass.suspect(digest));
                owed = Some(began.elapsed());
            } else if self.is_due() {
                self.resume(woken, &mut suspects, Turn::of(owed.take()));
            } else {
                match woken.recv_timeout(self.pause()) {
                    Ok(suspect) => suspect.into_iter().for_each(|suspect| keep(&mut suspects, suspect)),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            let mut state = lock(&self.state);
            while state.asked && !state.stopping {
                state = wait(&self.ended, state);
            }
            if state.stopping {
                if state.saved.pass.is_some() {
                    state.saved.save(self.registry.disk());
                }
                return;
            }
        }
    }

    /// Resumes the pass in progress, or begins one.
    fn resume(
        &self,
        woken: &Receiver<Option<ContentDigest>>,
        suspects: &mut VecDeque<ContentDigest>,
        turn: Turn,
    ) {
        let reached = lock(&self.state).saved.pass.clone().unwrap_or_else(begin);
        let mut ended = None;
        self.background_from((reached, turn), woken, suspects, |pass| {
            ended = Some(pass.run()?);
            Ok(())
        });
        if let Some(report) = ended {
            let report = self.complete(report);
            log::info!(
                "scrub: read {} bytes of content; {} damaged, {} unreadable",
                report.bytes,
                report.damaged,
                report.unreadable
            );
        }
    }

    fn background(
        &self,
        woken: &Receiver<Option<ContentDigest>>,
        suspects: &mut VecDeque<ContentDigest>,
        work: impl FnOnce(Pass<'_>) -> Result<(), ScrubError>,
    ) {
        // One suspect is verified before the next.
        let turn = Turn { whole: true, ..Turn::of(None) };
        self.background_from((Reached::default(), turn), woken, suspects, work);
    }

    fn background_from(
        &self,
        (reached, turn): (Reached, Turn),
        woken: &Receiver<Option<ContentDigest>>,
        suspects: &mut VecDeque<ContentDigest>,
        work: impl FnOnce(Pass<'_>) -> Result<(), ScrubError>,
    ) {
        let _working = lock(&self.working);
        let damaged = self.registry.totals().scrub.damaged;
        let pace = Pace::new(self.options.rate_bytes, Instant::now());
        let mut drive = Background { shared: self, woken, suspects, turn, pace, saved: Instant::now() };
        match work(Pass::new(&self.registry, &mut drive, reached, RETRY_PAUSE)) {
            Ok(()) | Err(ScrubError::Stopped) => {}
            Err(error) => {
                log::error!("the scrub pauses: {error}");
                let mut state = lock(&self.state);
                state.failed = Some(error.to_string());
                state.not_before = Some(Instant::now() + FAILED_PAUSE);
            }
        }
        if self.registry.totals().scrub.damaged > damaged {
            note_damage(&self.registry, &|| lock(&self.state).stopping);
        }
    }

    fn is_due(&self) -> bool {
        self.pause().is_zero()
    }

    /// Returns how long to wait before checking whether a pass is due.
    fn pause(&self) -> Duration {
        let state = lock(&self.state);
        let begins =
            state.not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
        let due = match (&state.saved.pass, &state.saved.last) {
            (None, Some(last)) => {
                let now = now_ms();
                let due = due_ms(last.ended_ms, self.options.interval, now);
                Duration::from_millis(due.saturating_sub(now))
            }
            _ => Duration::ZERO,
        };
        begins.max(due).min(LOOK_PAUSE_MAX)
    }
}

/// Keeps the background waiting.
struct Asked<'a>(&'a Shared);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.asked = false;
        state.asked_pass = None;
        drop(state);
        self.0.ended.notify_all();
    }
}

/// Reads at the configured rate, and gives way to everything else.
struct Background<'a> {
    shared: &'a Shared,
    woken: &'a Receiver<Option<ContentDigest>>,
    suspects: &'a mut VecDeque<ContentDigest>,
    turn: Turn,
    pace: Pace,
    saved: Instant,
}

/// How long the full pass continues although suspects wait.
#[derive(Debug)]
struct Turn {
    until: Instant,
    /// Whether content is read to its end in any case.
    whole: bool,
}

impl Turn {
    /// The turn of a full pass after suspects that took `owed`; `None` if none waited.
    fn of(owed: Option<Duration>) -> Self {
        Self { until: Instant::now() + owed.unwrap_or_default(), whole: owed.is_some() }
    }

    fn is_over(&self) -> bool {
        !self.whole && Instant::now() >= self.until
    }
}

/// Keeps a suspect for its turn.
fn keep(suspects: &mut VecDeque<ContentDigest>, suspect: ContentDigest) {
    if suspects.len() < SUSPECTS_KEPT_MAX && !suspects.contains(&suspect) {
        suspects.push_back(suspect);
    }
}

impl Drive for Background<'_> {
    fn took(&mut self, bytes: u64) -> Result<(), ScrubError> {
        let rest = self.pace.rest(bytes, Instant::now());
        self.rest(rest)
    }

    fn reached(&mut self, reached: &Reached) {
        self.turn.whole = false;
        let mut state = lock(&self.shared.state);
        state.saved.pass = Some(reached.clone());
        if self.saved.elapsed() >= SAVE_PAUSE {
            self.saved = Instant::now();
            state.saved.save(self.shared.registry.disk());
        }
    }

    fn rest(&mut self, pause: Duration) -> Result<(), ScrubError> {
        let until = Instant::now() + pause;
        loop {
            let state = lock(&self.shared.state);
            if state.stopping || state.asked {
                return Err(ScrubError::Stopped);
            }
            drop(state);
            // Content that a reader found damaged comes first, unless a suspect had the last turn.
            if !self.suspects.is_empty() && self.turn.is_over() {
                return Err(ScrubError::Stopped);
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.woken.recv_timeout(left) {
                Ok(Some(suspect)) => keep(self.suspects, suspect),
                Ok(None) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err(ScrubError::Stopped),
            }
            // There may always be another one.
            if left.is_zero() {
                return Ok(());
            }
        }
    }
}

/// Reads at full speed, and reports to a waiting caller.
struct Watched<'a> {
    shared: &'a Shared,
    watch: &'a mut dyn ScrubWatch,
    done: u64,
    total: u64,
}

impl Drive for Watched<'_> {
    fn took(&mut self, bytes: u64) -> Result<(), ScrubError> {
        self.done += bytes;
        if self.watch.goes_on(self.done, self.total.max(self.done)) {
            Ok(())
        } else {
            Err(ScrubError::Stopped)
        }
    }

    fn reached(&mut self, reached: &Reached) {
        lock(&self.shared.state).asked_pass = Some(reached.report.clone());
    }

    fn rest(&mut self, pause: Duration) -> Result<(), ScrubError> {
        std::thread::sleep(pause);
        self.took(0)
    }
}

/// Returns where a new pass stands.
fn begin() -> Reached {
    let report = ScrubReport { began_ms: now_ms(), ..ScrubReport::default() };
    Reached { report, ..Reached::default() }
}
