//! How old things are, and noting the right time where it was not known.

use crate::maintenance::collector::error::CollectError;
use crate::maintenance::collector::pass::Pass;
use crate::maintenance::collector::policy::Age;
use crate::maintenance::collector::repository::Marked;
use crate::meta::{Clock, Redate, SWEEP_CANDIDATES_MAX, TagRow, Untagged};
use crate::registry::RegistryError;
use crate::spec::{ContentDigest, Tag};

/// Tells ages at one moment, and remembers what was noted wrongly.
pub(super) struct Dates<'a> {
    clock: &'a Clock,
    /// The time, in milliseconds since 1970; none while nothing counts as old.
    now: Option<u64>,
    tags: Vec<(Tag, TagRow, u64)>,
    manifests: Vec<(ContentDigest, Option<u64>, u64)>,
}

impl Dates<'_> {
    /// Returns the age of what was noted at a time, in milliseconds since 1970.
    pub(super) fn age(&self, noted: Option<u64>) -> Age {
        Age::of(self.clock.corrected(noted), self.now)
    }

    /// Returns what ought to be noted instead, if that is something else: at the latest it was now.
    fn right(&self, noted: Option<u64>) -> Option<u64> {
        let right = self.clock.corrected(noted).unwrap_or(self.now?);
        (self.now.is_some() && noted != Some(right)).then_some(right)
    }

    /// Remembers a tag that stays, if its time is wrong.
    pub(super) fn tag(&mut self, (tag, row): &(Tag, TagRow)) {
        let right = self.right(row.at);
        self.tags.extend(right.map(|right| (tag.clone(), row.clone(), right)));
    }

    fn manifest(&mut self, digest: &ContentDigest, noted: Option<u64>) {
        let right = self.right(noted);
        self.manifests.extend(right.map(|right| (*digest, noted, right)));
    }
}

impl<'a> Pass<'a> {
    /// Begins to tell ages.
    pub(super) fn dates(&self) -> Dates<'a> {
        let upkeep = self.upkeep;
        let now = upkeep.now().ok();
        Dates { clock: upkeep.clock(), now, tags: Vec::new(), manifests: Vec::new() }
    }

    /// Returns the age of a manifest that no tag leads to: by its row as it is now, for it may have lost its
    /// last tag only by this pass.
    pub(super) fn untagged_age(
        &self,
        marked: &Marked<'_>,
        dates: &mut Dates<'_>,
        digest: &ContentDigest,
    ) -> Result<Age, CollectError> {
        let view = self.upkeep.view();
        let still_tagged = !view.tags_of(marked.repo, digest, 1).map_err(RegistryError::from)?.is_empty();
        if still_tagged {
            // In a dry run, the tags that would go are still there.
            return Ok(Age::of(dates.now, dates.now));
        }
        let row = view.manifest(marked.repo, digest).map_err(RegistryError::from)?;
        let noted = row.and_then(|row| row.since);
        dates.manifest(digest, noted);
        Ok(dates.age(noted))
    }

    /// Notes the right time for tags, where the policy asks for their age.
    pub(super) fn redate_tags(&mut self, marked: &Marked<'_>, dates: &Dates<'_>) -> Result<(), CollectError> {
        if marked.policy.keep_younger_than.is_some() {
            for tags in dates.tags.chunks(SWEEP_CANDIDATES_MAX) {
                self.redate(Redate {
                    repo: marked.repo.clone(),
                    tags: tags.to_vec(),
                    manifests: Vec::new(),
                })?;
            }
        }
        Ok(())
    }

    /// Notes the right time for manifests that no tag leads to, where somebody may ask for their age.
    pub(super) fn redate_manifests(
        &mut self,
        marked: &Marked<'_>,
        dates: &Dates<'_>,
    ) -> Result<(), CollectError> {
        let asks = marked.policy.untagged != Untagged::Keep || self.options.untagged_older_than.is_some();
        // Somebody may ask one day, by `untagged_older_than`. Then what was noted must be right; what was not
        // is noted only then.
        let due: Vec<_> = dates.manifests.iter().filter(|(_, noted, _)| asks || noted.is_some()).collect();
        for manifests in due.chunks(SWEEP_CANDIDATES_MAX) {
            let (repo, manifests) = (marked.repo.clone(), manifests.iter().copied().copied().collect());
            self.redate(Redate { repo, tags: Vec::new(), manifests })?;
        }
        Ok(())
    }

    fn redate(&mut self, redate: Redate) -> Result<(), CollectError> {
        if !self.options.dry_run {
            self.upkeep.redate(redate)?;
        }
        self.step()
    }
}
