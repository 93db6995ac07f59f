//! One repository: tags by policy, manifests by policy, links that nothing references.

mod images;

use std::collections::{BTreeMap, HashMap};

use crate::maintenance::collector::error::CollectError;
use crate::maintenance::collector::graph::{Graph, Reach, Role};
use crate::maintenance::collector::pass::{About, Batch, End, Pass, ROWS_PER_STEP};
use crate::maintenance::collector::policy::{Fate, evaluate_untagged};
use crate::maintenance::collector::report::Thing;
use crate::meta::{PolicySet, Sweep, TagRow, Untagged};
use crate::registry::{RegistryError, Scope, UnreadableManifest, read_manifest};
use crate::spec::{ContentDigest, RepoName, Tag};

/// How often a repository is marked in one pass, where clients keep changing what was marked.
pub(super) const TRIES_MAX: usize = 3;

/// What is known of the repository being marked.
pub(super) struct Marked<'a> {
    pub(super) repo: &'a RepoName,
    pub(super) policies: PolicySet,
    pub(super) graph: Graph,
    /// The tags that keep nothing.
    pub(super) leaving: BTreeMap<Tag, LeavingTag>,
    /// Whether any tag that was to go is still there.
    pub(super) has_unswept: bool,
}

/// A tag that keeps nothing: what it names stays only if something else leads to it.
#[derive(Debug, Clone)]
pub(super) struct LeavingTag {
    pub(super) row: TagRow,
    /// Why no rule keeps it; `None` if it belongs to another manifest.
    pub(super) why: Option<String>,
    /// The number of the manifest by which it stays or goes: the one it names, or the one it belongs to.
    pub(super) number: usize,
}

impl Pass<'_> {
    /// Marks a repository and sweeps it. Starts over if something happens meanwhile that the marks do not
    /// cover.
    pub(super) fn repository(&mut self, repo: &RepoName) -> Result<(), CollectError> {
        for _ in 0..TRIES_MAX {
            let counted = (self.report.tags, self.report.manifests, self.report.links, self.report.untagged);
            if self.mark_and_sweep(repo)? {
                return Ok(());
            }
            // What was removed stays counted; the rest is examined and counted again.
            let (tags, manifests, links, untagged) = counted;
            self.report.tags = tags.and_removed(&self.report.tags);
            self.report.manifests = manifests.and_removed(&self.report.manifests);
            self.report.links = links.and_removed(&self.report.links);
            self.report.untagged = untagged;
        }
        self.note(format!("repository {repo} changes too fast: the next pass continues"));
        self.left_out = true;
        Ok(())
    }

    /// Returns whether the repository stayed as it was marked.
    fn mark_and_sweep(&mut self, repo: &RepoName) -> Result<bool, CollectError> {
        let policies = self.upkeep.options().policies.of(repo);
        // INVARIANT: the barrier is raised before anything is read.
        // What the writer takes between two reads of the pulls is in the rows that are read then.
        let pulls = self.upkeep.pending_pulls(repo);
        self.upkeep.begin_marking(Scope::Repository(repo.clone()), self.keeps());
        let pulls = pulls.into_iter().chain(self.upkeep.pending_pulls(repo));
        let Some(mut graph) = self.load(repo)? else { return Ok(true) };
        pulls.for_each(|pull| graph.pulled(self.upkeep.key(&pull.digest), pull.at_ms));
        let mut marked = Marked { repo, policies, graph, leaving: BTreeMap::new(), has_unswept: false };
        self.evaluate_tags(&mut marked)?;
        self.manifests(&mut marked)?;
        if self.upkeep.is_disturbed() || marked.has_unswept && self.upkeep.tags_changed() {
            return Ok(false);
        }
        self.links(&marked)?;
        if self.upkeep.is_disturbed() {
            return Ok(false);
        }
        self.emptied(repo)?;
        Ok(true)
    }

    /// Reads what the repository's manifests reference; `None` when one of them cannot be read for now.
    fn load(&mut self, repo: &RepoName) -> Result<Option<Graph>, CollectError> {
        let mut graph = Graph::default();
        let mut last: Option<ContentDigest> = None;
        loop {
            let rows = self.upkeep.view().manifests(repo, last.as_ref(), ROWS_PER_STEP);
            let rows = rows.map_err(RegistryError::from)?;
            let at_end = rows.len() < ROWS_PER_STEP;
            last = rows.last().map(|(digest, _)| *digest);
            for (at, (digest, row)) in rows.into_iter().enumerate() {
                let upkeep = self.upkeep;
                let read = read_manifest(upkeep.blobs(), &digest, &row);
                let failed = match read {
                    Ok(manifest) => {
                        graph.add(digest, &row, &manifest, |digest| upkeep.key(digest));
                        None
                    }
                    Err(failed) => Some(failed),
                };
                if let Some(failed) = failed
                    && upkeep.view().manifest(repo, &digest).map_err(RegistryError::from)?.is_some()
                {
                    if !self.is_lost(repo, &digest, &failed)? {
                        return Ok(None);
                    }
                    graph.add_lost(digest, &row, |digest| upkeep.key(digest));
                }
                if at % MANIFESTS_PER_STEP == 0 {
                    self.step()?;
                }
            }
            if at_end {
                if graph.collides() {
                    self.note(format!(
                        "two manifests of {repo} have the same key by chance: it is skipped until a restart"
                    ));
                    return Ok(None);
                }
                return Ok(Some(graph));
            }
        }
    }

    /// Tells whether a manifest that cannot be read stays so until it is pushed again. Otherwise the scrub
    /// examines it, and takes it out of use if it is damaged.
    fn is_lost(
        &mut self,
        repo: &RepoName,
        digest: &ContentDigest,
        why: &UnreadableManifest,
    ) -> Result<bool, CollectError> {
        let is_malformed = matches!(why, UnreadableManifest::Malformed(_));
        let manifest = format!("manifest {repo}@{digest}");
        if is_malformed || self.upkeep.view().blob(digest).map_err(RegistryError::from)?.is_none() {
            let state = if is_malformed { why.to_string() } else { "it is damaged or missing".to_owned() };
            self.note(format!("what only {manifest} may need stays: {state}"));
            return Ok(true);
        }
        log::warn!("cannot read {manifest}: {why}");
        self.upkeep.report_damage(digest);
        self.unreadable(format!("{manifest} cannot be read"));
        Ok(false)
    }

    /// Tells whether nothing may be removed yet.
    pub(super) fn waits(&self) -> bool {
        self.wait().is_some()
    }

    fn manifests(&mut self, marked: &mut Marked<'_>) -> Result<(), CollectError> {
        let repo = marked.repo;
        let mut loose = Vec::new();
        for number in 0..marked.graph.len() {
            let Some((digest, _)) = marked.graph.manifest(number) else { continue };
            match self.tag_of(marked, &digest)? {
                Some(_) => marked.graph.reached(number, Reach::Tag),
                None => loose.push(number),
            }
            if number % ROWS_PER_STEP == 0 {
                self.step()?;
            }
        }
        // An image that loses its last tag by a rule goes with all that only it leads to, whatever else is
        // said of untagged manifests.
        let by_rule = marked.leaving.values().filter(|leaving| leaving.why.is_some());
        let falling = marked.graph.led_to_by(by_rule.map(|leaving| leaving.number));
        let mut fates: HashMap<usize, Fate> = HashMap::new();
        for number in loose.iter().copied().filter(|number| !falling.contains(number)) {
            let Some((digest, ..)) = marked.graph.manifest(number) else { continue };
            let held = self.holds(repo, &digest);
            // It shares the fate of its subject. A lease on it protects what it leads to as well.
            if marked.graph.has_subject(number) && !held {
                continue;
            }
            let age = self.untagged_age(marked, &digest)?;
            let fate = evaluate_untagged(&marked.policies, age, self.options.untagged_older_than);
            if !fate.goes() || held {
                marked.graph.reached(number, Reach::Untagged);
            }
            fates.insert(number, fate);
        }
        // INVARIANT: nothing goes that nothing was judged by: tags that belong to each other keep each other.
        let judged = fates.iter().filter(|(_, fate)| fate.goes()).map(|(number, _)| *number);
        let judged = marked.graph.led_to_by(judged.chain(falling.iter().copied()));
        for number in loose.iter().filter(|number| !judged.contains(number)) {
            marked.graph.reached(*number, Reach::Untagged);
        }
        self.keep_beside_lost(marked, &mut fates);
        let images = self.leaving_images(marked);
        let going = marked.graph.unreached_in_order();
        let digests: Vec<ContentDigest> = going
            .iter()
            .filter_map(|number| marked.graph.manifest(*number))
            .map(|(digest, ..)| digest)
            .collect();
        // A subject that appears meanwhile makes its referrers needed.
        let subjects: Vec<ContentDigest> =
            going.iter().filter_map(|number| marked.graph.subject(*number)).collect();
        self.upkeep.mark_for_removal(repo, digests.iter().chain(&subjects));
        for number in 0..marked.graph.len() {
            self.staying(marked, number, fates.get(&number));
        }
        self.tags(marked)?;
        self.sweep_leaving(marked, images)
    }

    /// Returns the age of an untagged manifest. The row is read again, since this pass may have removed its
    /// last tag.
    fn untagged_age(&self, marked: &Marked<'_>, digest: &ContentDigest) -> Result<u64, CollectError> {
        let view = self.upkeep.view();
        if !view.tags_of(marked.repo, digest, 1).map_err(RegistryError::from)?.is_empty() {
            // In a dry run, the tags to be removed still exist.
            return Ok(0);
        }
        let row = view.manifest(marked.repo, digest).map_err(RegistryError::from)?;
        Ok(row.map_or(0, |row| self.ages.of(row.noted)))
    }

    /// Reports why a manifest stays, if it does.
    fn staying(&mut self, marked: &Marked<'_>, number: usize, fate: Option<&Fate>) {
        let Some((digest, bytes)) = marked.graph.manifest(number) else { return };
        let reach = marked.graph.reach(number);
        let about = about_digest(Thing::Manifest, marked.repo, &digest, bytes);
        match reach {
            Reach::Nothing => return,
            Reach::Untagged => {
                self.report.untagged.add(bytes);
                self.unruled |= marked.policies.untagged() == (Untagged::Keep, None);
            }
            Reach::Tag => {}
        }
        let held = fate.is_some_and(Fate::goes) && reach == Reach::Untagged;
        let end = if held { End::Held } else { End::Needed };
        self.verdict(&about, end, |this| match (reach, fate) {
            _ if held => "kept: young, leased, or needed by something that is".to_owned(),
            (Reach::Tag, _) => match this.tag_of(marked, &digest) {
                Ok(Some(tag)) => format!("kept: tagged {tag}"),
                _ => "kept: a tagged manifest leads to it".to_owned(),
            },
            (_, Some(fate)) => format!("kept: {}", fate.why),
            (_, None) => "kept: an untagged manifest that stays leads to it".to_owned(),
        });
    }

    /// Reports what became of a manifest that was to be removed.
    pub(super) fn remove_marked(
        &mut self,
        marked: &mut Marked<'_>,
        number: usize,
    ) -> Result<(), CollectError> {
        let Some((digest, bytes)) = marked.graph.manifest(number) else { return Ok(()) };
        let there = self.upkeep.view().manifest(marked.repo, &digest).map_err(RegistryError::from)?.is_some();
        let held = if self.options.dry_run { self.waits() } else { there };
        if held {
            marked.graph.reached(number, Reach::Untagged);
        }
        let end = if held { End::Held } else { End::Gone };
        let about = about_digest(Thing::Manifest, marked.repo, &digest, bytes);
        self.verdict(&about, end, |_| match end {
            End::Gone => "removed: no tag leads to it".to_owned(),
            _ => "kept for now: a client pushed it or asked for it".to_owned(),
        });
        Ok(())
    }

    /// Returns a tag that names a manifest.
    fn tag_of(&self, marked: &Marked<'_>, digest: &ContentDigest) -> Result<Option<Tag>, CollectError> {
        let limit = marked.leaving.len() + 1;
        let tags = self.upkeep.view().tags_of(marked.repo, digest, limit).map_err(RegistryError::from)?;
        Ok(tags.into_iter().find(|tag| !marked.leaving.contains_key(tag)))
    }

    fn links(&mut self, marked: &Marked<'_>) -> Result<(), CollectError> {
        let repo = marked.repo;
        // INVARIANT: an existing manifest keeps all that it references, even if it is to be removed.
        let needed = marked.graph.needed(|number| marked.graph.reach(number) != Reach::Nothing);
        let lost = marked.graph.lost(false);
        let mut batch = Batch::new();
        let mut last: Option<ContentDigest> = None;
        loop {
            let rows = self.upkeep.view().links(repo, last.as_ref(), ROWS_PER_STEP);
            let rows = rows.map_err(RegistryError::from)?;
            let at_end = rows.len() < ROWS_PER_STEP;
            last = rows.last().map(|(digest, _)| *digest);
            for (digest, row) in rows {
                let about = about_digest(Thing::Link, repo, &digest, row.size);
                let key = self.upkeep.key(&digest);
                if let Some(number) = needed.get(&key) {
                    let number = *number as usize;
                    if marked.graph.reach(number) == Reach::Untagged {
                        self.report.untagged.bytes += row.size;
                    }
                    self.verdict(&about, End::Needed, |this| this.needed_by(marked, number, key));
                } else if let Some(lost) = lost {
                    self.verdict(&about, End::Needed, |_| {
                        format!("kept: the damaged manifest {lost} may need it")
                    });
                } else if self.holds(repo, &digest) {
                    self.verdict(&about, End::Held, |_| "kept for now: leased or young".to_owned());
                } else if let Some(full) = batch.add((digest, row.size)) {
                    self.sweep_links(repo, full)?;
                }
            }
            self.step()?;
            if at_end {
                break;
            }
        }
        let rest = batch.rest();
        if rest.is_empty() { Ok(()) } else { self.sweep_links(repo, rest) }
    }

    fn needed_by(&self, marked: &Marked<'_>, number: usize, key: u64) -> String {
        let role = match marked.graph.role(number, key) {
            Some(Role::Config) => "config",
            Some(Role::Child) => "child",
            Some(Role::Layer) | None => "layer",
        };
        let Some((digest, ..)) = marked.graph.manifest(number) else { return "kept".to_owned() };
        let repo = marked.repo;
        match (self.tag_of(marked, &digest), marked.graph.reach(number)) {
            (Ok(Some(tag)), _) => format!("kept: {role} of {repo}@{digest} tagged {tag}"),
            (_, Reach::Tag) => format!("kept: {role} of {repo}@{digest}, which a tagged manifest leads to"),
            _ => format!("kept: {role} of {repo}@{digest}, untagged"),
        }
    }

    fn sweep_links(&mut self, repo: &RepoName, links: Vec<(ContentDigest, u64)>) -> Result<(), CollectError> {
        let digests = links.iter().map(|(digest, _)| *digest).collect();
        self.sweep(Sweep::Links { repo: repo.clone(), links: digests })?;
        for (digest, size) in links {
            let there = self.upkeep.view().link(repo, &digest).map_err(RegistryError::from)?.is_some();
            let held = if self.options.dry_run { self.waits() } else { there };
            let end = if held { End::Held } else { End::Gone };
            self.verdict(&about_digest(Thing::Link, repo, &digest, size), end, |_| match end {
                End::Gone => format!("removed: no manifest of {repo} references it"),
                _ => "kept for now: a client pushed it or asked for it".to_owned(),
            });
        }
        Ok(())
    }

    /// Removes the row of a repository that is empty.
    fn emptied(&mut self, repo: &RepoName) -> Result<(), CollectError> {
        if self.upkeep.view().has_anything(repo).map_err(RegistryError::from)? {
            return Ok(());
        }
        self.sweep(Sweep::Repository { repo: repo.clone() })?;
        let gone = self.upkeep.view().repository(repo).map_err(RegistryError::from)?.is_none();
        if gone || self.options.dry_run {
            self.report.repositories_removed += 1;
            let about =
                About { what: Thing::Repository, repo: Some(repo), tag: None, digest: None, bytes: 0 };
            self.verdict(&about, End::Gone, |_| "removed: nothing is left in it".to_owned());
        }
        Ok(())
    }
}

/// How many manifests are read in one step.
const MANIFESTS_PER_STEP: usize = 16;

fn about_digest<'a>(what: Thing, repo: &'a RepoName, digest: &'a ContentDigest, bytes: u64) -> About<'a> {
    About { what, repo: Some(repo), tag: None, digest: Some(digest), bytes }
}
