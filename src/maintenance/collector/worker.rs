//! The collector's handle, and its thread.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::base::{in_units, lock};
use crate::maintenance::collector::error::CollectError;
use crate::maintenance::collector::index::compact;
use crate::maintenance::collector::options::{CollectOptions, CollectWatch, CollectorOptions};
use crate::maintenance::collector::pace::{Pace, WakeUp};
use crate::maintenance::collector::pass::Pass;
use crate::maintenance::collector::report::{CollectReport, CollectorStatus, Verdict};
use crate::maintenance::collector::turn::{Turn, Turns};
use crate::meta::Ages;
use crate::registry::{Registry, Upkeep};

/// How long the collector rests after an aborted pass, unless the interval is shorter.
const RETRY: Duration = Duration::from_secs(60);

/// How much lower the priority of the collector's thread is.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// The collector of a registry. A clone is the same one; it stops when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Collector {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    upkeep: Upkeep,
    options: CollectorOptions,
    wake_up: WakeUp,
    /// There is one pass at a time.
    turns: Turns,
    status: Mutex<CollectorStatus>,
    /// When the next pass begins by itself.
    next: Mutex<Option<Instant>>,
}

impl Collector {
    /// Makes the collector of a registry; [`Self::start`] has it work in the background.
    pub fn new(registry: &Registry, options: CollectorOptions) -> Self {
        let status = CollectorStatus { enabled: false, ..CollectorStatus::default() };
        let shared = Arc::new(Shared {
            upkeep: registry.upkeep(),
            options,
            wake_up: WakeUp::default(),
            turns: Turns::default(),
            status: Mutex::new(status),
            next: Mutex::default(),
        });
        Self { handle: Arc::new(Handle { shared, thread: Mutex::default() }) }
    }

    /// Begins to work in the background, if the options say so. A second call does nothing.
    pub fn start(&self) -> Result<(), CollectError> {
        let shared = Arc::clone(&self.handle.shared);
        let mut thread = lock(&self.handle.thread);
        if !shared.options.enabled || thread.is_some() {
            return Ok(());
        }
        let status = Arc::clone(&self.handle.shared);
        let name = "pulk-collector".to_owned();
        let started = std::thread::Builder::new().name(name).spawn(move || shared.work());
        *thread = Some(started.map_err(|error| CollectError::Thread(error.to_string()))?);
        lock(&status.status).enabled = true;
        Ok(())
    }

    /// Ends the running pass within a step, and the work in the background. Nothing runs afterwards.
    pub fn stop(&self) {
        self.handle.stop();
    }

    /// Tells whether it is stopping.
    #[cfg(test)]
    pub(crate) fn is_stopped(&self) -> bool {
        self.handle.shared.wake_up.is_stopped()
    }

    /// Tells whether a caller waits for the running pass.
    #[cfg(test)]
    pub(crate) fn is_awaited(&self) -> bool {
        self.handle.shared.wake_up.is_hurried()
    }

    /// Runs one pass on this thread, which blocks, and gives `visit` a verdict for each thing removed; in a
    /// dry run, also for each kept. A pass in the background completes first, without pauses.
    pub fn run(
        &self,
        options: &CollectOptions,
        visit: &mut dyn FnMut(&Verdict),
    ) -> Result<CollectReport, CollectError> {
        /// A caller that waits for the end.
        struct Visit<'a>(&'a mut dyn FnMut(&Verdict));
        impl CollectWatch for Visit<'_> {
            fn verdict(&mut self, verdict: &Verdict) {
                (self.0)(verdict);
            }
            fn is_wanted(&mut self, _: bool) -> bool {
                true
            }
        }
        self.run_for(options, &mut Visit(visit))
    }

    /// The same for a caller that may abort the pass.
    pub fn run_for(
        &self,
        options: &CollectOptions,
        watch: &mut dyn CollectWatch,
    ) -> Result<CollectReport, CollectError> {
        let shared = &self.handle.shared;
        let hurry = shared.wake_up.hurry();
        let turn = shared.turns.take(&mut || !shared.wake_up.is_stopped() && watch.is_wanted(false));
        drop(hurry);
        let Some(turn) = turn else {
            return Err(if shared.wake_up.is_stopped() {
                CollectError::Stopped
            } else {
                CollectError::Unwanted
            });
        };
        let (report, done) = shared.pass(turn, options, watch);
        done.map(|()| report)
    }

    /// Returns the collector's status, without waiting for anything.
    pub fn status(&self) -> CollectorStatus {
        let shared = &self.handle.shared;
        let mut status = lock(&shared.status).clone();
        status.waits = shared.upkeep.lease_wait().map(|wait| {
            let wait = in_units(wait.saturating_add(Duration::from_secs(1)));
            format!("nothing is removed for another {wait}: leases and ages are not known yet")
        });
        let ages = shared.upkeep.options().policies.ask_for_ages();
        status.ages = shared.upkeep.clock().uncounted().filter(|_| ages);
        let next = *lock(&shared.next);
        status.next_seconds = next.map(|at| at.saturating_duration_since(Instant::now()).as_secs());
        status
    }
}

impl Handle {
    fn stop(&self) {
        self.shared.wake_up.stop();
        let thread = lock(&self.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("the collector's thread panicked");
        }
        // A requested pass ends, too, before the registry is closed.
        drop(self.shared.turns.take(&mut || true));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The watch of a pass in the background.
struct Unwatched;

impl CollectWatch for Unwatched {
    fn verdict(&mut self, _: &Verdict) {}

    fn is_wanted(&mut self, _: bool) -> bool {
        true
    }
}

impl Shared {
    fn work(&self) {
        lower_priority();
        if let Some(why) = self.upkeep.keeps_everything() {
            log::warn!("the collector removes nothing: {why}");
        }
        // An earlier run may have been stopped before it.
        if compact(&self.upkeep, &mut Pace::new(&self.wake_up, self.options.pace_percent)).is_err() {
            return;
        }
        // A dry run reports untagged manifests soon after the start, before anything may be removed.
        let dry = CollectOptions { dry_run: true, ..CollectOptions::default() };
        if self.upkeep.lease_wait().is_some() {
            self.in_background(&dry);
        }
        while !self.wake_up.is_stopped() {
            let wait = self.upkeep.lease_wait().unwrap_or_default();
            if !self.rest(wait) {
                return;
            }
            let done = self.in_background(&CollectOptions::default());
            let interval = self.options.interval;
            if !self.rest(if done { interval } else { interval.min(RETRY) }) {
                return;
            }
        }
    }

    fn rest(&self, time: Duration) -> bool {
        *lock(&self.next) = Instant::now().checked_add(time);
        let goes_on = self.wake_up.rest(time);
        *lock(&self.next) = None;
        goes_on
    }

    /// Returns whether the pass completed.
    fn in_background(&self, options: &CollectOptions) -> bool {
        let Some(turn) = self.turns.take(&mut || !self.wake_up.is_stopped()) else { return false };
        let (report, done) = self.pass(turn, options, &mut Unwatched);
        match &done {
            Ok(()) => tell(&report),
            Err(CollectError::Stopped | CollectError::Unwanted) => {}
            Err(error) => log::info!("collector: {error}"),
        }
        self.has_ended(options, &done)
    }

    /// Tells whether a pass completed, even if it skipped what cannot be read.
    fn has_ended(&self, options: &CollectOptions, done: &Result<(), CollectError>) -> bool {
        done.is_ok() && (options.dry_run || self.upkeep.keeps_everything().is_none())
    }

    fn pass(
        &self,
        mut turn: Turn<'_>,
        options: &CollectOptions,
        watch: &mut dyn CollectWatch,
    ) -> (CollectReport, Result<(), CollectError>) {
        let percent = if options.unpaced { 100 } else { self.options.pace_percent };
        let watch = RefCell::new(watch);
        let wanted = || watch.borrow_mut().is_wanted(true);
        let doing = |what: String| lock(&self.status).doing = Some(what);
        let mut pass = Pass {
            upkeep: &self.upkeep,
            options,
            pace: Pace::new(&self.wake_up, percent).while_wanted(&wanted),
            visit: &mut |verdict| watch.borrow_mut().verdict(verdict),
            orphans: &mut turn.orphans,
            ages: Ages::default(),
            report: CollectReport::default(),
            left_out: false,
            unruled: false,
            doing: &doing,
        };
        let done = pass.run();
        let report = pass.report;
        let mut status = lock(&self.status);
        status.doing = None;
        if !options.dry_run {
            status.passes += 1;
            status.removed_bytes += report.content.removed.bytes;
            status.last = Some(report.clone());
        }
        self.upkeep.note(|collected| {
            if self.has_ended(options, &done) {
                collected.untagged_bytes = report.untagged.bytes;
            }
            if !options.dry_run {
                collected.passes += 1;
                collected.removed_bytes += report.content.removed.bytes;
                collected.last_duration_ms = report.duration_ms;
            }
        });
        (report, done)
    }
}

/// Logs the result of a pass, if there is any.
fn tell(report: &CollectReport) {
    let removed = &report.content.removed;
    if !report.dry_run && removed.count > 0 {
        log::info!(
            "collector: removed {} blobs, {} bytes, in {} ms",
            removed.count,
            removed.bytes,
            report.duration_ms
        );
    }
    let tags = report.tags.removed.count;
    if !report.dry_run && tags > 0 {
        log::info!("collector: removed {tags} tags that no policy keeps");
    }
    let unnamed = &report.files.held;
    if report.dry_run && unnamed.count > 0 {
        log::warn!(
            "{} files of content, {} bytes, have no name: the collector removes them once they have had none \
             for the grace time, unless `pulk rebuild --from-content` finds manifests among them",
            unnamed.count,
            unnamed.bytes
        );
    }
    if report.dry_run && report.untagged.count > 0 {
        const GIB: f64 = (1_u64 << 30) as f64;
        log::info!(
            "{} untagged manifests are kept, with {:.2} GiB that only they need{}",
            report.untagged.count,
            report.untagged.bytes as f64 / GIB,
            report.untagged_advice.as_ref().map(|line| format!("; to free them: {line}")).unwrap_or_default()
        );
    }
}

/// Lowers the priority of this thread; on Linux, a priority belongs to a thread.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        log::debug!("the collector runs with normal priority: {error}");
    }
}
