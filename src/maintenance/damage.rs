//! Which images are damaged: what leads to content that is out of use, or that a check found to be wrong.
//!
//! Content that a repository has and that has no row as content of the store is out of use: it was found
//! damaged or missing, and comes back with the next push of it. So the state of damage is in the index, and
//! survives restarts; only the images that lead to such content are searched for.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::base::now_ms;
use crate::blobs::ContentStore;
use crate::meta::{IndexError, View};
use crate::registry::{
    DAMAGED_LISTED_MAX, DamageState, DamagedImage, DamagedKind, LACKS_LISTED_MAX, Registry, read_manifest,
};
use crate::spec::{ContentDigest, RepoName, Tag};

/// How many rows are read in one step.
const ROWS_PER_STEP: usize = 256;

/// Has the log, health checks and metrics say which images are damaged, unless `is_stopping` ends the search.
pub(in crate::maintenance) fn note_damage(registry: &Registry, is_stopping: &dyn Fn() -> bool) {
    let (upkeep, wrong) = (registry.upkeep(), BTreeSet::new());
    let mut step = || if is_stopping() { Err(SurveyEnd::Stopped) } else { Ok(()) };
    let survey = DamageSurvey::new(upkeep.view(), upkeep.blobs(), &wrong, DAMAGED_LISTED_MAX);
    match survey.run(&mut step) {
        Ok(state) => {
            for one in &state.list {
                log::error!("{} is damaged: a push of it, to any repository, heals it", one.reference());
            }
            upkeep.note_damage(state);
        }
        Err(SurveyEnd::Stopped) => {}
        Err(SurveyEnd::Index(error)) => log::error!("which images are damaged is not known: {error}"),
    }
}

/// Why a search in the background ended early.
enum SurveyEnd {
    Stopped,
    Index(IndexError),
}

impl From<IndexError> for SurveyEnd {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

/// A search for damaged images.
pub(crate) struct DamageSurvey<'a> {
    view: View<'a>,
    blobs: &'a dyn ContentStore,
    /// Content that is wrong although a row names it.
    wrong: &'a BTreeSet<ContentDigest>,
    listed_max: usize,
    lost: HashSet<ContentDigest>,
    state: DamageState,
}

impl<'a> DamageSurvey<'a> {
    /// Begins a search that lists this many images.
    pub(crate) fn new(
        view: View<'a>,
        blobs: &'a dyn ContentStore,
        wrong: &'a BTreeSet<ContentDigest>,
        listed_max: usize,
    ) -> Self {
        Self { view, blobs, wrong, listed_max, lost: HashSet::new(), state: DamageState::default() }
    }

    /// Searches all repositories. Manifests are read only of those that lack content. Calls `step` between
    /// two steps, to pause, or to end the search with an error.
    pub(crate) fn run<E: From<IndexError>>(
        mut self,
        step: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<DamageState, E> {
        let mut last: Option<RepoName> = None;
        loop {
            let after = last.as_ref().map(RepoName::as_str);
            let page = self.view.repositories(after, ROWS_PER_STEP, |_| Ok(true))?;
            for repo in &page {
                self.repository(repo, step)?;
            }
            if page.len() < ROWS_PER_STEP {
                break;
            }
            last = page.into_iter().next_back();
        }
        self.state.blobs = self.lost.len() as u64;
        self.state.examined_ms = now_ms();
        Ok(self.state)
    }

    fn repository<E: From<IndexError>>(
        &mut self,
        repo: &RepoName,
        step: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<(), E> {
        let (view, mut lost) = (self.view, BTreeSet::new());
        let mut examine = |digest: ContentDigest| {
            if self.is_lost(&digest)? {
                lost.insert(digest);
            }
            Ok(())
        };
        pages(|last| view.manifests(repo, last, ROWS_PER_STEP), |digest, _| examine(digest), step)?;
        pages(|last| view.links(repo, last, ROWS_PER_STEP), |digest, _| examine(digest), step)?;
        if lost.is_empty() {
            return Ok(());
        }
        self.lost.extend(&lost);
        let damaged = self.read(repo, lost, step)?;
        self.list(repo, &damaged, step)
    }

    fn is_lost(&self, digest: &ContentDigest) -> Result<bool, IndexError> {
        Ok(self.view.blob(digest)?.is_none() || self.wrong.contains(digest))
    }

    /// Reads what the manifests of a repository need of what is lost.
    fn read<E: From<IndexError>>(
        &self,
        repo: &RepoName,
        lost: BTreeSet<ContentDigest>,
        step: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<DamagedGraph, E> {
        let (view, blobs) = (self.view, self.blobs);
        let mut graph = DamagedGraph { lost, ..DamagedGraph::default() };
        pages(
            |last| view.manifests(repo, last, ROWS_PER_STEP),
            |digest, row| {
                if graph.lost.contains(&digest) {
                    return Ok(());
                }
                // The collector and pulls report what else cannot be read.
                let Ok(manifest) = read_manifest(blobs, &digest, &row) else { return Ok(()) };
                for needed in manifest.kept_blobs().filter(|blob| graph.lost.contains(blob)) {
                    graph.needs.entry(digest).or_default().insert(needed);
                }
                for child in manifest.kept_children() {
                    graph.needs.entry(digest).or_default().insert(child);
                }
                Ok(())
            },
            step,
        )?;
        graph.spread();
        Ok(graph)
    }

    /// Lists the tags that lead to what is lost, in their order, and then what no tag leads to.
    fn list<E: From<IndexError>>(
        &mut self,
        repo: &RepoName,
        graph: &DamagedGraph,
        step: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut last = None;
        loop {
            let page = self.view.tag_rows(repo, last.as_ref(), ROWS_PER_STEP)?;
            let at_end = page.len() < ROWS_PER_STEP;
            for (tag, row) in page {
                if graph.broken.contains(&row.digest) {
                    self.state.images += 1;
                    self.add(graph, repo, DamagedKind::Image, (Some(tag.clone()), row.digest));
                }
                last = Some(tag);
            }
            step()?;
            if at_end {
                break;
            }
        }
        for digest in graph.broken.iter().filter(|digest| !graph.parents.contains_key(*digest)) {
            let kind = match self.view.manifest(repo, digest)? {
                Some(_) if !self.view.tags_of(repo, digest, 1)?.is_empty() => continue,
                Some(_) => DamagedKind::Manifest,
                None => DamagedKind::Blob,
            };
            self.state.others += 1;
            self.add(graph, repo, kind, (None, *digest));
        }
        Ok(())
    }

    fn add(
        &mut self,
        graph: &DamagedGraph,
        repo: &RepoName,
        kind: DamagedKind,
        (tag, digest): (Option<Tag>, ContentDigest),
    ) {
        if self.state.list.len() >= self.listed_max {
            return;
        }
        let lacks = graph.lacks(digest);
        self.state.list.push(DamagedImage {
            kind,
            repository: repo.clone(),
            tag,
            digest,
            lacks_count: lacks.len() as u64,
            lacks: lacks.into_iter().take(LACKS_LISTED_MAX).collect(),
        });
    }
}

/// What the manifests of a repository need of what is lost.
#[derive(Default)]
struct DamagedGraph {
    lost: BTreeSet<ContentDigest>,
    /// For each manifest, its children and those of its blobs that are lost.
    needs: BTreeMap<ContentDigest, BTreeSet<ContentDigest>>,
    /// What needs something that is broken, by that.
    parents: HashMap<ContentDigest, Vec<ContentDigest>>,
    /// What is lost, and what leads to it.
    broken: BTreeSet<ContentDigest>,
}

impl DamagedGraph {
    /// Finds what leads to what is lost.
    fn spread(&mut self) {
        let mut parents: HashMap<ContentDigest, Vec<ContentDigest>> = HashMap::new();
        for (manifest, needed) in &self.needs {
            needed.iter().for_each(|needed| parents.entry(*needed).or_default().push(*manifest));
        }
        self.broken = self.lost.clone();
        let mut next: Vec<ContentDigest> = self.lost.iter().copied().collect();
        while let Some(digest) = next.pop() {
            let above = parents.get(&digest).map_or(&[][..], Vec::as_slice);
            next.extend(above.iter().filter(|above| self.broken.insert(**above)));
        }
        self.parents = parents;
    }

    /// Returns the lost content that a manifest leads to.
    fn lacks(&self, digest: ContentDigest) -> BTreeSet<ContentDigest> {
        let (mut lacks, mut seen) = (BTreeSet::new(), HashSet::from([digest]));
        let mut next = vec![digest];
        while let Some(digest) = next.pop() {
            if self.lost.contains(&digest) {
                lacks.insert(digest);
            }
            let needed = self.needs.get(&digest).into_iter().flatten();
            next.extend(needed.filter(|needed| self.broken.contains(*needed) && seen.insert(**needed)));
        }
        lacks
    }
}

/// Visits the rows of a repository page by page.
fn pages<R, E: From<IndexError>>(
    page_after: impl Fn(Option<&ContentDigest>) -> Result<Vec<(ContentDigest, R)>, IndexError>,
    mut visit: impl FnMut(ContentDigest, R) -> Result<(), IndexError>,
    step: &mut dyn FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let mut last: Option<ContentDigest> = None;
    loop {
        let page = page_after(last.as_ref())?;
        let at_end = page.len() < ROWS_PER_STEP;
        last = page.last().map(|(digest, _)| *digest);
        for (digest, row) in page {
            visit(digest, row)?;
        }
        step()?;
        if at_end {
            return Ok(());
        }
    }
}
