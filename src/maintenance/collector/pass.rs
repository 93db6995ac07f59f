//! One pass: every repository, then content, then files.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::base::{in_units, millis, now_ms};
use crate::maintenance::collector::error::CollectError;
use crate::maintenance::collector::index::compact;
use crate::maintenance::collector::options::CollectOptions;
use crate::maintenance::collector::origin::origin;
use crate::maintenance::collector::orphans::Orphans;
use crate::maintenance::collector::pace::Pace;
use crate::maintenance::collector::report::{CollectReport, Count, NOTES_MAX, Thing, Verdict};
use crate::maintenance::damage::DamageSurvey;
use crate::meta::{Ages, PLAUSIBLE_MIN_MS, SWEEP_CANDIDATES_MAX, Sweep};
use crate::registry::{DAMAGED_LISTED_MAX, Protected, RegistryError, Upkeep};
use crate::spec::{ContentDigest, RepoName};

/// How many rows are read in one step.
pub(super) const ROWS_PER_STEP: usize = 256;

/// The configuration line that frees untagged manifests.
pub(super) const UNTAGGED_ADVICE: &str = "untagged = \"remove after 7d\" in a [[policy]] that matches them";

/// What a note says before the reason why the wall clock cannot tell ages.
const UNCOUNTED: &str = "ages leave out the time that pulk was stopped before this start";

/// A pass in progress.
pub(super) struct Pass<'a> {
    pub(super) upkeep: &'a Upkeep,
    pub(super) options: &'a CollectOptions,
    pub(super) pace: Pace<'a>,
    pub(super) visit: &'a mut dyn FnMut(&Verdict),
    pub(super) orphans: &'a mut Orphans,
    /// Tells ages, as of the beginning of the pass.
    pub(super) ages: Ages,
    pub(super) report: CollectReport,
    /// Whether the pass left something out.
    pub(super) left_out: bool,
    /// Whether there are untagged manifests for which no policy says what happens to them.
    pub(super) unruled: bool,
    /// Receives what the pass is about to do.
    pub(super) doing: &'a dyn Fn(String),
}

/// What a verdict is about, while it is made.
pub(super) struct About<'a> {
    pub(super) what: Thing,
    pub(super) repo: Option<&'a RepoName>,
    pub(super) tag: Option<&'a str>,
    pub(super) digest: Option<&'a ContentDigest>,
    pub(super) bytes: u64,
}

/// What became of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Something needs it.
    Needed,
    /// Nothing needs it, but it is young or leased.
    Held,
    /// It is gone, or would be.
    Gone,
}

impl Pass<'_> {
    /// Runs the whole pass. The report is valid even if this fails.
    pub(super) fn run(&mut self) -> Result<(), CollectError> {
        let began = Instant::now();
        self.report.dry_run = self.options.dry_run;
        self.report.began_ms = now_ms();
        let clock = self.upkeep.clock();
        self.ages = match (self.options.alone, self.options.dry_run) {
            (true, true) => clock.ages_without_rest(),
            (true, false) => {
                clock.skip_rest();
                clock.ages()
            }
            (false, _) => clock.ages(),
        };
        let done = self.everything();
        self.upkeep.end_marking();
        let done = done.and_then(|()| self.damage());
        let done = done.and_then(|()| if self.has_removed() { self.index() } else { Ok(()) });
        let kept = !self.options.dry_run && self.upkeep.keeps_everything().is_some();
        self.report.complete = done.is_ok() && !kept && !self.left_out;
        self.report.duration_ms = millis(began.elapsed());
        if self.unruled {
            self.report.untagged_advice = Some(UNTAGGED_ADVICE.to_owned());
        }
        done
    }

    fn everything(&mut self) -> Result<(), CollectError> {
        if self.upkeep.is_read_only() && !self.options.dry_run {
            return Err(RegistryError::ReadOnly.into());
        }
        if self.options.alone && !self.options.now {
            self.upkeep.remember_young(now_ms())?;
        }
        if let Some(wait) = self.wait() {
            let wait = in_units(wait.saturating_add(Duration::from_secs(1)));
            self.note(format!("nothing is removed for another {wait}: leases and ages are not known yet"));
        }
        let ages =
            self.upkeep.options().policies.ask_for_ages() || self.options.untagged_older_than.is_some();
        if let Some(why) = self.upkeep.clock().uncounted().filter(|_| ages) {
            self.note(format!("{UNCOUNTED}: {why}"));
        }
        if let Some(why) = self.upkeep.keeps_everything()
            && !self.options.dry_run
        {
            self.note(format!("nothing is removed: {why}"));
            return Ok(());
        }
        if (ages || self.upkeep.has_pending_pulls()) && !self.options.dry_run {
            self.upkeep.note_time()?;
        }
        let rows = self.rows();
        // Files that no row names go without a line in the journal, and free space for it.
        if matches!(rows, Ok(()) | Err(CollectError::Registry(RegistryError::NoSpace))) {
            (self.doing)("searching for files that no row names".to_owned());
            self.files()?;
        }
        rows
    }

    /// Removes unneeded rows, and the files that lose their last row.
    fn rows(&mut self) -> Result<(), CollectError> {
        let mut last: Option<RepoName> = None;
        loop {
            let after = last.as_ref().map(RepoName::as_str);
            let found = self.upkeep.view().repositories(after, 1, |_| Ok(true));
            let Some(repo) = found.map_err(RegistryError::from)?.pop() else { break };
            (self.doing)(format!("checking repository {repo}"));
            self.repository(&repo)?;
            self.report.repositories += 1;
            self.step()?;
            last = Some(repo);
        }
        (self.doing)("searching for changes of tags that are no longer kept".to_owned());
        self.history()?;
        (self.doing)("searching for content that no repository has".to_owned());
        self.content()
    }

    /// Searches for damaged images, unless it is known that there are none.
    fn damage(&mut self) -> Result<(), CollectError> {
        let state = match self.report.damage.take() {
            Some(sound) => sound,
            None => {
                (self.doing)("searching for damaged images".to_owned());
                let (upkeep, wrong) = (self.upkeep, BTreeSet::new());
                DamageSurvey::new(upkeep.view(), upkeep.blobs(), &wrong, DAMAGED_LISTED_MAX)
                    .run(&mut || self.step())?
            }
        };
        self.upkeep.note_damage(state.clone());
        self.report.damage = Some(state);
        Ok(())
    }

    /// Tells whether anything went from the index.
    fn has_removed(&self) -> bool {
        let CollectReport { tags, manifests, links, content, .. } = &self.report;
        !self.options.dry_run && [tags, manifests, links, content].iter().any(|count| count.removed.count > 0)
    }

    fn index(&mut self) -> Result<(), CollectError> {
        (self.doing)("checking the size of the index".to_owned());
        compact(self.upkeep, &mut self.pace)
    }

    /// Ends a step. Fails while the registry takes no writes: a later pass does the rest.
    pub(super) fn step(&mut self) -> Result<(), CollectError> {
        self.pace.step()?;
        match self.upkeep.refuses_writes() {
            Some(why) if !self.options.dry_run => Err(RegistryError::Unavailable(why).into()),
            _ => Ok(()),
        }
    }

    /// Has the writer sweep candidates, except in a dry run.
    pub(super) fn sweep(&mut self, sweep: Sweep) -> Result<(), CollectError> {
        if !self.options.dry_run {
            self.sweep_now(sweep)?;
        }
        self.step()
    }

    /// Has the writer sweep candidates, and makes no pause.
    pub(super) fn sweep_now(&mut self, sweep: Sweep) -> Result<(), CollectError> {
        let by = origin(self.options, &self.upkeep.options().policies, &sweep);
        Ok(self.upkeep.sweep(sweep, by)?)
    }

    /// Returns what protects things that nothing needs.
    pub(super) fn keeps(&self) -> Protected {
        match self.options {
            CollectOptions { alone: true, now: true, .. } => Protected::Nothing,
            CollectOptions { alone: true, .. } => Protected::Young,
            CollectOptions { now: true, .. } => Protected::Leased,
            _ => Protected::LeasedOrYoung,
        }
    }

    /// Returns for how long nothing may be removed yet.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.upkeep.wait(self.keeps())
    }

    /// Tells whether a blob or a manifest of a repository is kept for now although nothing needs it.
    pub(super) fn holds(&self, repo: &RepoName, digest: &ContentDigest) -> bool {
        self.upkeep.holds(repo, digest) || self.is_young(digest)
    }

    /// Tells whether the tags that name a manifest are kept for now although nothing needs them.
    pub(super) fn holds_tags_of(&self, repo: &RepoName, digest: &ContentDigest) -> bool {
        self.upkeep.holds_tags_of(repo, digest) || self.is_young(digest)
    }

    /// Tells whether content is younger than the grace time, in a pass over a stopped store. The time of the
    /// file decides, so a wall clock that is behind, or was never set, makes everything young.
    pub(super) fn is_young(&self, digest: &ContentDigest) -> bool {
        if !self.options.alone || self.options.now {
            return false;
        }
        match self.upkeep.blobs().stored_at(digest) {
            Ok(Some(at)) if at < UNIX_EPOCH + Duration::from_millis(PLAUSIBLE_MIN_MS) => true,
            Ok(Some(at)) => at.elapsed().map_or(true, |age| age < self.upkeep.options().grace),
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Counts one thing and reports its verdict.
    pub(super) fn verdict(&mut self, about: &About<'_>, end: End, why: impl FnOnce(&Self) -> String) {
        let bytes = about.bytes;
        if let Some(count) = self.count(about.what) {
            count.examined.add(bytes);
            match end {
                End::Needed => {}
                End::Held => count.held.add(bytes),
                End::Gone => count.removed.add(bytes),
            }
        }
        // Why things are kept is reported only in a dry run.
        if end == End::Gone || self.options.dry_run {
            let verdict = Verdict {
                what: about.what,
                repo: about.repo.map(ToString::to_string),
                tag: about.tag.map(str::to_owned),
                digest: about.digest.map(ToString::to_string),
                bytes,
                stays: end != End::Gone,
                why: why(self),
            };
            (self.visit)(&verdict);
        }
    }

    fn count(&mut self, what: Thing) -> Option<&mut Count> {
        match what {
            Thing::Tag => Some(&mut self.report.tags),
            Thing::Manifest => Some(&mut self.report.manifests),
            Thing::Link => Some(&mut self.report.links),
            Thing::Content => Some(&mut self.report.content),
            Thing::File => Some(&mut self.report.files),
            Thing::Repository => None,
        }
    }

    /// Notes something that was postponed or refused.
    pub(super) fn note(&mut self, note: String) {
        log::debug!("collector: {note}");
        if self.report.notes.len() < NOTES_MAX {
            self.report.notes.push(note);
        }
    }

    /// Notes something that could not be read.
    pub(super) fn unreadable(&mut self, what: String) {
        self.left_out = true;
        log::warn!("the collector skips a repository: {what}");
        if self.report.unreadable.len() < NOTES_MAX {
            self.report.unreadable.push(what);
        }
    }
}

/// Collects candidates until there are enough of them for a sweep.
pub(super) struct Batch<T>(Vec<T>);

impl<T> Batch<T> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one, and returns all of them when there are enough.
    pub(super) fn add(&mut self, candidate: T) -> Option<Vec<T>> {
        self.0.push(candidate);
        (self.0.len() >= SWEEP_CANDIDATES_MAX).then(|| self.rest())
    }

    /// Returns those that are left.
    pub(super) fn rest(&mut self) -> Vec<T> {
        std::mem::take(&mut self.0)
    }
}
