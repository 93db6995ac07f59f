//! The tags of a repository, by policy.

use crate::maintenance::collector::error::CollectError;
use crate::maintenance::collector::pass::{About, Batch, End, Pass, ROWS_PER_STEP};
use crate::maintenance::collector::policy::{TagFacts, evaluate};
use crate::maintenance::collector::report::Thing;
use crate::maintenance::collector::repository::{Marked, TRIES_MAX};
use crate::meta::{Sweep, TagRow};
use crate::registry::RegistryError;
use crate::spec::{RepoName, Tag};

impl Pass<'_> {
    /// Removes the tags that no rule keeps.
    pub(super) fn tags(&mut self, marked: &mut Marked<'_>) -> Result<(), CollectError> {
        if !marked.policies.removes_tags() && !self.options.dry_run {
            return Ok(());
        }
        for _ in 0..TRIES_MAX {
            let counted = self.report.tags;
            // INVARIANT: if a client removes or sets a tag from here on, no tag chosen by these rows goes:
            // one of the images that `last` keeps may have lost its tag, so another one has to stay.
            self.upkeep.begin_tags();
            let tags = self.read_tags(marked)?;
            self.evaluate_tags(marked, &tags)?;
            if !self.upkeep.tags_changed() {
                return Ok(());
            }
            self.report.tags = counted.and_removed(&self.report.tags);
        }
        self.note(format!("tags of {} change too fast: the next pass continues", marked.repo));
        Ok(())
    }

    fn read_tags(&mut self, marked: &Marked<'_>) -> Result<Vec<(Tag, TagRow)>, CollectError> {
        let mut tags: Vec<(Tag, TagRow)> = Vec::new();
        loop {
            let last = tags.last().map(|(tag, _)| tag);
            let rows = self.upkeep.view().tag_rows(marked.repo, last, ROWS_PER_STEP);
            let rows = rows.map_err(RegistryError::from)?;
            let at_end = rows.len() < ROWS_PER_STEP;
            tags.extend(rows);
            self.step()?;
            if at_end {
                return Ok(tags);
            }
        }
    }

    fn evaluate_tags(&mut self, marked: &mut Marked<'_>, tags: &[(Tag, TagRow)]) -> Result<(), CollectError> {
        let facts: Vec<TagFacts<'_>> = tags
            .iter()
            .map(|(tag, row)| TagFacts {
                tag,
                digest: &row.digest,
                order: row.order,
                age: self.ages.of(row.noted),
                pulled: self.last_pull(marked, row).map(|at_ms| self.ages.of_pull(at_ms)),
            })
            .collect();
        let fates = evaluate(&marked.policies, &facts);
        let mut batch = Batch::new();
        for (one, fate) in tags.iter().zip(fates) {
            let about = about_tag(marked.repo, one);
            if !fate.goes() {
                self.verdict(&about, End::Needed, |_| format!("kept: {}", fate.why));
            } else if self.holds_tags_of(marked.repo, &one.1.digest) {
                self.verdict(&about, End::Held, |_| "kept for now: leased or young".to_owned());
            } else if let Some(full) = batch.add(one.clone()) {
                self.sweep_tags(marked, &full)?;
            }
        }
        self.sweep_tags(marked, &batch.rest())
    }

    /// Returns the store time of the last pull of an image, by this tag or any other reference.
    fn last_pull(&self, marked: &Marked<'_>, row: &TagRow) -> Option<u64> {
        if marked.policies.rules().all(|numbered| numbered.rule.pulled_within.is_none()) {
            return None;
        }
        row.last_pull_ms().max(marked.graph.last_pull(self.upkeep.key(&row.digest)))
    }

    fn sweep_tags(&mut self, marked: &mut Marked<'_>, tags: &[(Tag, TagRow)]) -> Result<(), CollectError> {
        if tags.is_empty() {
            return Ok(());
        }
        let repo = marked.repo;
        self.sweep(Sweep::Tags { repo: repo.clone(), tags: tags.to_vec() })?;
        for one in tags {
            let there = self.upkeep.view().tag(repo, &one.0).map_err(RegistryError::from)?;
            let held = if self.options.dry_run { self.waits() } else { there.as_ref() == Some(&one.1) };
            let end = if held { End::Held } else { End::Gone };
            self.verdict(&about_tag(repo, one), end, |_| "removed: no rule keeps it".to_owned());
            if self.options.dry_run && !held {
                marked.gone_tags.insert(one.0.clone());
            }
        }
        Ok(())
    }
}

fn about_tag<'a>(repo: &'a RepoName, (tag, row): &'a (Tag, TagRow)) -> About<'a> {
    About { what: Thing::Tag, repo: Some(repo), tag: Some(tag.as_str()), digest: Some(&row.digest), bytes: 0 }
}
