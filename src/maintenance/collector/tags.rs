//! The tags of a repository, by policy.

use crate::maintenance::collector::error::CollectError;
use crate::maintenance::collector::graph::Reach;
use crate::maintenance::collector::pass::{About, Batch, End, Pass, ROWS_PER_STEP};
use crate::maintenance::collector::policy::{Outcome, TagFacts, evaluate};
use crate::maintenance::collector::report::Thing;
use crate::maintenance::collector::repository::{LeavingTag, Marked};
use crate::meta::{Sweep, TagRow};
use crate::registry::RegistryError;
use crate::spec::{RepoName, Tag};

impl Pass<'_> {
    /// Finds the tags that no rule keeps, and those that belong to another manifest.
    pub(super) fn evaluate_tags(&mut self, marked: &mut Marked<'_>) -> Result<(), CollectError> {
        // INVARIANT: if a client removes or sets a tag from here on, no tag chosen by these rows goes: one of
        // the images that `last` keeps may have lost its tag, so another one has to stay.
        self.upkeep.begin_tags();
        let tags = self.read_tags(marked)?;
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
        for (one, fate) in tags.iter().zip(fates) {
            let (tag, row) = one;
            let key = self.upkeep.key(&row.digest);
            let number = match fate.outcome {
                Outcome::Stays => None,
                Outcome::Goes if self.holds_tags_of(marked.repo, &row.digest) => {
                    let about = about_tag(marked.repo, one);
                    self.verdict(&about, End::Held, |_| "kept for now: leased or young".to_owned());
                    continue;
                }
                Outcome::Goes => marked.graph.number(key),
                Outcome::Follows => marked.graph.subject_of(tag),
            };
            let Some(number) = number else {
                let why = match fate.outcome {
                    Outcome::Follows => "the repository does not have what it belongs to",
                    _ => &fate.why,
                };
                self.verdict(&about_tag(marked.repo, one), End::Needed, |_| format!("kept: {why}"));
                continue;
            };
            if fate.outcome == Outcome::Follows {
                marked.graph.add_referrer(number, key);
            }
            let why = (fate.outcome == Outcome::Goes).then_some(fate.why);
            marked.leaving.insert(tag.clone(), LeavingTag { row: row.clone(), why, number });
        }
        marked.graph.finish();
        Ok(())
    }

    /// Reads the tags; where none is judged, only those that belong to another manifest.
    fn read_tags(&mut self, marked: &Marked<'_>) -> Result<Vec<(Tag, TagRow)>, CollectError> {
        let all = marked.policies.removes_tags() || self.options.dry_run;
        let mut tags: Vec<(Tag, TagRow)> = Vec::new();
        let mut last: Option<Tag> = None;
        loop {
            let view = self.upkeep.view();
            let names = view.tags(marked.repo, last.as_ref().map(Tag::as_str), ROWS_PER_STEP);
            let names = names.map_err(RegistryError::from)?;
            let at_end = names.len() < ROWS_PER_STEP;
            last = names.last().cloned();
            for tag in names.into_iter().filter(|tag| all || tag.subject().is_some()) {
                let row = view.tag(marked.repo, &tag).map_err(RegistryError::from)?;
                tags.extend(row.map(|row| (tag, row)));
            }
            self.step()?;
            if at_end {
                return Ok(tags);
            }
        }
    }

    /// Removes of the images that stay the tags that no rule keeps, and reports those that belong to them.
    pub(super) fn tags(&mut self, marked: &mut Marked<'_>) -> Result<(), CollectError> {
        let mut batch = Batch::new();
        let leaving: Vec<_> = marked.leaving.iter().map(|(tag, one)| (tag.clone(), one.clone())).collect();
        for (tag, LeavingTag { row, why, number }) in leaving {
            let one = (tag, row);
            if marked.graph.reach(number) == Reach::Nothing {
                continue;
            }
            if why.is_none() {
                let why = || "kept: what it belongs to stays".to_owned();
                self.verdict(&about_tag(marked.repo, &one), End::Needed, |_| why());
            } else if let Some(full) = batch.add(one) {
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

    pub(super) fn sweep_tags(
        &mut self,
        marked: &mut Marked<'_>,
        tags: &[(Tag, TagRow)],
    ) -> Result<(), CollectError> {
        if tags.is_empty() {
            return Ok(());
        }
        self.sweep(Sweep::Tags { repo: marked.repo.clone(), tags: tags.to_vec() })?;
        tags.iter().try_for_each(|one| self.swept_tag(marked, one))
    }

    /// Reports what became of a tag that was to go.
    pub(super) fn swept_tag(
        &mut self,
        marked: &mut Marked<'_>,
        one: &(Tag, TagRow),
    ) -> Result<(), CollectError> {
        let there = self.upkeep.view().tag(marked.repo, &one.0).map_err(RegistryError::from)?;
        let held = if self.options.dry_run { self.waits() } else { there.as_ref() == Some(&one.1) };
        marked.has_unswept |= held;
        let end = if held { End::Held } else { End::Gone };
        let why = marked.leaving.get(&one.0).map(|leaving| leaving.why.clone());
        self.verdict(&about_tag(marked.repo, one), end, |_| match (end, why.flatten()) {
            (End::Gone, Some(why)) => format!("removed: {why}"),
            (End::Gone, None) => "removed with what it belongs to".to_owned(),
            _ => "kept for now: a client set it or asked for it".to_owned(),
        });
        if held {
            marked.leaving.remove(&one.0);
        }
        Ok(())
    }
}

pub(super) fn about_tag<'a>(repo: &'a RepoName, (tag, row): &'a (Tag, TagRow)) -> About<'a> {
    About { what: Thing::Tag, repo: Some(repo), tag: Some(tag.as_str()), digest: Some(&row.digest), bytes: 0 }
}
