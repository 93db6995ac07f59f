//! Content that no repository has, and files that no row names.

use std::collections::HashSet;
use std::time::Duration;

use crate::base::now_ms;
use crate::maintenance::collector::error::CollectError;
use crate::maintenance::collector::pass::{About, Batch, End, Pass, ROWS_PER_STEP};
use crate::maintenance::collector::report::Thing;
use crate::meta::{Sweep, Tree};
use crate::registry::{DamageState, RegistryError, Removal, Scope};
use crate::spec::ContentDigest;

impl Pass<'_> {
    /// Marks what any repository has, and removes the rest: first its rows, durably, then its files.
    pub(super) fn content(&mut self) -> Result<(), CollectError> {
        // INVARIANT: the barrier is raised before anything is read.
        self.upkeep.begin_marking(Scope::Content, self.keeps());
        let mut had = HashSet::new();
        for tree in [Tree::Links, Tree::Manifests] {
            let mut last: Option<Vec<u8>> = None;
            loop {
                let rows = self.upkeep.view().digests(tree, last.as_deref(), ROWS_PER_STEP);
                let mut rows = rows.map_err(RegistryError::from)?;
                let at_end = rows.len() < ROWS_PER_STEP;
                had.extend(rows.iter().map(|(_, digest)| self.upkeep.key(digest)));
                last = rows.pop().map(|(key, _)| key);
                self.step()?;
                if at_end {
                    break;
                }
            }
        }
        // If each piece of content that a repository has is stored, nothing is damaged.
        let whole = self.sweep_all_but(&had)? == had.len();
        self.report.damage = whole.then(|| DamageState { examined_ms: now_ms(), ..DamageState::default() });
        Ok(())
    }

    /// Returns how much content stays because a repository has it.
    fn sweep_all_but(&mut self, had: &HashSet<u64>) -> Result<usize, CollectError> {
        let mut needed = 0;
        let mut batch = Batch::new();
        let mut last: Option<ContentDigest> = None;
        loop {
            let rows = self.upkeep.view().content(last.as_ref(), ROWS_PER_STEP);
            let rows = rows.map_err(RegistryError::from)?;
            let at_end = rows.len() < ROWS_PER_STEP;
            last = rows.last().map(|(digest, _)| *digest);
            for (digest, row) in rows {
                let about = about(Thing::Content, &digest, row.size);
                if had.contains(&self.upkeep.key(&digest)) {
                    needed += 1;
                    self.verdict(&about, End::Needed, |_| "kept: some repository has it".to_owned());
                } else if self.upkeep.holds_content(&digest) || self.is_young(&digest) {
                    self.verdict(&about, End::Held, |_| "kept for now: it is young".to_owned());
                } else if let Some(full) = batch.add((digest, row.size)) {
                    self.sweep_content(full)?;
                }
            }
            self.step()?;
            if at_end {
                break;
            }
        }
        let rest = batch.rest();
        if !rest.is_empty() {
            self.sweep_content(rest)?;
        }
        Ok(needed)
    }

    fn sweep_content(&mut self, content: Vec<(ContentDigest, u64)>) -> Result<(), CollectError> {
        let digests: Vec<ContentDigest> = content.iter().map(|(digest, _)| *digest).collect();
        if !self.options.dry_run {
            // No pause follows: a stop in it would leave the files without a name.
            self.sweep_now(Sweep::Content { content: digests })?;
        }
        let mut gone = Vec::new();
        for (digest, size) in content {
            let there = self.upkeep.view().blob(&digest).map_err(RegistryError::from)?.is_some();
            let held = if self.options.dry_run { self.wait().is_some() } else { there };
            let end = if held { End::Held } else { End::Gone };
            self.verdict(&about(Thing::Content, &digest, size), end, |_| match end {
                End::Gone => "removed: no repository has it".to_owned(),
                _ => "kept for now: a client pushed it or asked for it".to_owned(),
            });
            if end == End::Gone && !self.options.dry_run {
                gone.push(digest);
            }
        }
        // The sweep is durable: no crash brings its rows back, so nothing refers to the files.
        if !gone.is_empty() {
            self.upkeep.remove_files(&gone)?;
        }
        self.step()
    }

    /// Returns how much of the grace time is left since a start that may have lost rows. Until then, the age
    /// of a file does not show that it has had no name for long.
    fn recovery_wait(&self) -> Option<Duration> {
        let since = self.upkeep.clock().unclean_start()?;
        let grace = self.upkeep.options().grace;
        grace.checked_sub(Duration::from_millis(self.ages.of(since))).filter(|wait| !wait.is_zero())
    }

    /// Removes files that no row names: of uploads whose session ended, and content that was stored for a
    /// request that was then refused, that lost its row in a recovery, or whose removal a crash undid. Their
    /// age decides, however many there are.
    pub(super) fn files(&mut self) -> Result<(), CollectError> {
        if !self.options.dry_run {
            self.upkeep.expire_uploads();
            self.report.files.removed.count += self.upkeep.remove_ended_uploads()?;
        }
        let upkeep = self.upkeep;
        let unnamed = upkeep.unnamed(|| self.step())?;
        self.step()?;
        let wait = self.recovery_wait();
        let grace = match wait {
            None if self.options.alone => Duration::ZERO,
            _ => self.upkeep.options().grace,
        };
        if let Some(wait) = wait.filter(|_| self.options.alone && !unnamed.is_empty()) {
            self.note(format!(
                "files that no row names stay for another {} s, since pulk was not stopped cleanly and \
                 their rows may have been lost; `collector.grace = 0` removes them now",
                wait.as_secs().saturating_add(1)
            ));
        }
        let old = self.orphans.old(unnamed.iter().map(|(digest, _)| *digest), grace);
        for (digest, length) in unnamed {
            let about = about(Thing::File, &digest, length);
            let goes = old.contains(&digest) && !self.is_young(&digest);
            let removed = goes
                && (self.options.dry_run || self.upkeep.remove_files(&[digest])?.contains(&Removal::Removed));
            let end = if removed { End::Gone } else { End::Held };
            self.verdict(&about, end, |_| match end {
                End::Gone => "removed: no row names it".to_owned(),
                _ => "kept for now: no row names it, but only recently".to_owned(),
            });
            self.step()?;
        }
        Ok(())
    }
}

fn about(what: Thing, digest: &ContentDigest, bytes: u64) -> About<'_> {
    About { what, repo: None, tag: None, digest: Some(digest), bytes }
}
