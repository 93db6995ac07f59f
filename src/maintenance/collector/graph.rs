//! What the manifests of one repository need of each other, and of its blobs; compact, since it is all that a
//! pass has in memory of a repository.

use std::collections::{HashMap, HashSet};

use crate::meta::ManifestRow;
use crate::spec::{ContentDigest, Digest, Manifest, ManifestKind, Tag};

/// Manifests, by their number.
type Number = u32;

/// A manifest, and where among the edges what it references begins.
#[derive(Debug)]
struct GraphNode {
    digest: ContentDigest,
    key: u64,
    size: u64,
    /// Its subject, if it has one, and that one's key.
    subject: Option<(ContentDigest, u64)>,
    edges_begin: usize,
    /// How many of its edges are children of an index; the others are blobs.
    children: u32,
    is_image: bool,
    /// Whether its bytes are lost, so that what it references is unknown.
    is_lost: bool,
    /// The store time of its last pull, in milliseconds.
    pulled: Option<u64>,
    reach: Reach,
}

/// What leads to a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Nothing: it goes.
    Nothing,
    /// What stays though no tag leads to it.
    Untagged,
    /// A tag.
    Tag,
}

/// The manifests of one repository.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<GraphNode>,
    /// The keys of what the manifests reference, manifest by manifest.
    edges: Vec<u64>,
    numbers: HashMap<u64, Number>,
    /// Subjects and their referrers, in order, once all manifests are there.
    referrers: Vec<(u64, Number)>,
    /// Those that have the tag of another one.
    belonging: HashSet<usize>,
    /// Whether two manifests have the same key by chance: then a reference to it is ambiguous.
    collides: bool,
}

/// How a manifest references something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// An index lists it.
    Child,
    /// It is an image's config.
    Config,
    /// It is a layer, or a blob of some other kind.
    Layer,
}

impl Graph {
    /// Adds a manifest. `key` gives each digest its key.
    pub(super) fn add(
        &mut self,
        digest: ContentDigest,
        row: &ManifestRow,
        manifest: &Manifest,
        key: impl Fn(&ContentDigest) -> u64,
    ) {
        let edges_begin = self.edges.len();
        self.edges.extend(manifest.kept_children().map(|child| key(&child)));
        let children = u32::try_from(self.edges.len() - edges_begin).unwrap_or(u32::MAX);
        self.edges.extend(manifest.kept_blobs().map(|blob| key(&blob)));
        self.push(digest, row, (edges_begin, children), key);
    }

    /// Adds a manifest whose bytes are lost. Its row still names its subject.
    pub(super) fn add_lost(
        &mut self,
        digest: ContentDigest,
        row: &ManifestRow,
        key: impl Fn(&ContentDigest) -> u64,
    ) {
        self.push(digest, row, (self.edges.len(), 0), key);
        if let Some(node) = self.nodes.last_mut() {
            node.is_lost = true;
        }
    }

    fn push(
        &mut self,
        digest: ContentDigest,
        row: &ManifestRow,
        (edges_begin, children): (usize, u32),
        key: impl Fn(&ContentDigest) -> u64,
    ) {
        let number = Number::try_from(self.nodes.len()).unwrap_or(Number::MAX);
        let subject = row.subject.as_ref().and_then(Digest::content).map(|subject| (subject, key(&subject)));
        if let Some((_, subject)) = subject {
            self.referrers.push((subject, number));
        }
        let own = key(&digest);
        self.collides |= self.numbers.insert(own, number).is_some();
        self.nodes.push(GraphNode {
            digest,
            key: own,
            size: row.size,
            subject,
            edges_begin,
            children,
            is_image: row.media_type.kind() == ManifestKind::Image,
            is_lost: false,
            pulled: row.last_pull_ms(),
            reach: Reach::Nothing,
        });
    }

    /// Returns the manifest that a tag belongs to. Manifests were added in the order of their digests.
    pub(super) fn subject_of(&self, tag: &Tag) -> Option<usize> {
        let subject = tag.subject()?;
        let at = self.nodes.partition_point(|node| subject.is_after(&node.digest));
        self.node(at).filter(|node| subject.is(&node.digest)).map(|_| at)
    }

    /// Adds that a manifest belongs to another one, as a referrer does.
    pub(super) fn add_referrer(&mut self, subject: usize, referrer: u64) {
        if let (Some(node), Some(number)) = (self.node(subject), self.numbers.get(&referrer)) {
            let found = (node.key, *number);
            self.referrers.push(found);
            self.belonging.insert(found.1 as usize);
        }
    }

    /// Returns the number of a manifest.
    pub(super) fn number(&self, key: u64) -> Option<usize> {
        self.numbers.get(&key).map(|number| *number as usize)
    }

    /// Says that all manifests are there.
    pub(super) fn finish(&mut self) {
        self.referrers.sort_unstable();
    }

    /// Notes the pull of a manifest at a store time, in milliseconds.
    pub(super) fn pulled(&mut self, key: u64, at_ms: u64) {
        let number = self.numbers.get(&key).map(|number| *number as usize);
        if let Some(node) = number.and_then(|number| self.nodes.get_mut(number)) {
            node.pulled = node.pulled.max(Some(at_ms));
        }
    }

    /// Returns the store time of the last pull of a manifest, or of one that it leads to.
    pub(super) fn last_pull(&self, key: u64) -> Option<u64> {
        let (mut next, mut visited) = (vec![key], HashSet::from([key]));
        let mut last = None;
        while let Some(key) = next.pop() {
            let Some(number) = self.numbers.get(&key).map(|number| *number as usize) else { continue };
            last = last.max(self.node(number).and_then(|node| node.pulled));
            next.extend(self.children(number).filter(|child| visited.insert(*child)));
        }
        last
    }

    /// Tells whether two manifests have the same key.
    pub(super) fn collides(&self) -> bool {
        self.collides
    }

    /// Returns how many manifests there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    fn node(&self, number: usize) -> Option<&GraphNode> {
        self.nodes.get(number)
    }

    /// Returns a manifest's digest and length.
    pub(super) fn manifest(&self, number: usize) -> Option<(ContentDigest, u64)> {
        self.node(number).map(|node| (node.digest, node.size))
    }

    /// Returns a manifest that stays and whose bytes are lost: it may need any blob of the repository. With
    /// `listing`, one that may also list any manifest.
    pub(super) fn lost(&self, listing: bool) -> Option<ContentDigest> {
        let may_need =
            |node: &&GraphNode| node.is_lost && node.reach != Reach::Nothing && !(listing && node.is_image);
        self.nodes.iter().find(may_need).map(|node| node.digest)
    }

    /// Returns what leads to a manifest.
    pub(super) fn reach(&self, number: usize) -> Reach {
        self.node(number).map_or(Reach::Nothing, |node| node.reach)
    }

    /// Tells whether a manifest belongs to another one of the repository: it refers to it, or has its tag.
    pub(super) fn has_subject(&self, number: usize) -> bool {
        let subject = self.node(number).and_then(|node| node.subject);
        subject.is_some_and(|(_, subject)| self.numbers.contains_key(&subject))
            || self.belonging.contains(&number)
    }

    /// Returns what a manifest refers to.
    pub(super) fn subject(&self, number: usize) -> Option<ContentDigest> {
        self.node(number)?.subject.map(|(subject, _)| subject)
    }

    /// Notes that something leads to a manifest, and by it to its children, to its referrers, and on.
    pub(super) fn reached(&mut self, number: usize, reach: Reach) {
        let mut next = vec![number];
        while let Some(number) = next.pop() {
            let Some(node) = self.nodes.get_mut(number) else { continue };
            if node.reach >= reach {
                continue;
            }
            node.reach = reach;
            next.extend(self.leads_to(number));
        }
    }

    /// Returns those that these lead to, themselves included.
    pub(super) fn led_to_by(&self, first: impl Iterator<Item = usize>) -> HashSet<usize> {
        let (mut found, mut next) = (HashSet::new(), first.collect::<Vec<_>>());
        while let Some(number) = next.pop() {
            if found.insert(number) {
                next.extend(self.leads_to(number));
            }
        }
        found
    }

    /// Returns those of these manifests that need each other, group by group, in the order in which they are
    /// given.
    pub(super) fn groups(&self, numbers: &[usize]) -> Vec<Vec<usize>> {
        let places: HashMap<usize, usize> =
            numbers.iter().enumerate().map(|(at, number)| (*number, at)).collect();
        let mut neighbours: Vec<Vec<usize>> = vec![Vec::new(); numbers.len()];
        for (at, number) in numbers.iter().enumerate() {
            for other in self.leads_to(*number).filter_map(|other| places.get(&other).copied()) {
                for (from, to) in [(at, other), (other, at)] {
                    neighbours.get_mut(from).into_iter().for_each(|all| all.push(to));
                }
            }
        }
        let (mut groups, mut seen) = (Vec::new(), HashSet::new());
        for first in 0..numbers.len() {
            let (mut group, mut next) = (Vec::new(), vec![first]);
            while let Some(at) = next.pop() {
                if seen.insert(at) {
                    group.push(at);
                    next.extend(neighbours.get(at).into_iter().flatten());
                }
            }
            group.sort_unstable();
            if !group.is_empty() {
                groups.push(group.into_iter().filter_map(|at| numbers.get(at).copied()).collect());
            }
        }
        groups
    }

    /// Returns the children and referrers of a manifest.
    fn leads_to(&self, number: usize) -> impl Iterator<Item = usize> + '_ {
        let children = self.children(number).filter_map(|key| self.number(key));
        let key = self.node(number).map(|node| node.key);
        children.chain(key.into_iter().flat_map(|key| self.referrers_of(key)))
    }

    fn children(&self, number: usize) -> impl Iterator<Item = u64> + '_ {
        let listed = self.node(number).and_then(|node| {
            let end = node.edges_begin + node.children as usize;
            self.edges.get(node.edges_begin..end)
        });
        listed.unwrap_or_default().iter().copied()
    }

    fn referrers_of(&self, key: u64) -> impl Iterator<Item = usize> + '_ {
        let begin = self.referrers.partition_point(|(subject, _)| *subject < key);
        let rest = self.referrers.get(begin..).unwrap_or_default();
        rest.iter().take_while(move |(subject, _)| *subject == key).map(|(_, number)| *number as usize)
    }

    /// Returns those of these that are not reached, each before what it lists: whatever a crash leaves of
    /// them, no manifest is there without what it references.
    pub(super) fn unreached_in_order(&self) -> Vec<usize> {
        let mut ordered = Vec::new();
        let mut visited = vec![false; self.nodes.len()];
        for first in 0..self.nodes.len() {
            // Each follows all that it lists; the whole list is reversed at the end.
            let mut path = vec![(first, false)];
            while let Some((number, done)) = path.pop() {
                if done {
                    ordered.push(number);
                    continue;
                }
                let seen = visited.get_mut(number).is_none_or(|seen| std::mem::replace(seen, true));
                if seen || self.reach(number) != Reach::Nothing {
                    continue;
                }
                path.push((number, true));
                let listed = self.children(number).filter_map(|key| self.numbers.get(&key));
                path.extend(listed.map(|number| (*number as usize, false)));
            }
        }
        ordered.reverse();
        ordered
    }

    /// Returns what the manifests need that `stays` says yes to, each with one manifest that needs it: one
    /// that a tag leads to, where there is any.
    pub(super) fn needed(&self, stays: impl Fn(usize) -> bool) -> HashMap<u64, Number> {
        let mut needed = HashMap::with_capacity(self.edges.len());
        for tagged in [true, false] {
            for (number, node) in self.nodes.iter().enumerate() {
                if (node.reach == Reach::Tag) == tagged && stays(number) {
                    let number_of = Number::try_from(number).unwrap_or(Number::MAX);
                    for key in self.edges_of(number) {
                        needed.entry(*key).or_insert(number_of);
                    }
                }
            }
        }
        needed
    }

    fn edges_of(&self, number: usize) -> &[u64] {
        let begin = self.node(number).map_or(0, |node| node.edges_begin);
        let end = self.node(number + 1).map_or(self.edges.len(), |next| next.edges_begin);
        self.edges.get(begin..end).unwrap_or_default()
    }

    /// Returns how a manifest references something.
    pub(super) fn role(&self, number: usize, key: u64) -> Option<Role> {
        let at = self.edges_of(number).iter().position(|edge| *edge == key)?;
        let node = self.node(number)?;
        Some(match at.checked_sub(node.children as usize) {
            None => Role::Child,
            Some(0) if node.is_image => Role::Config,
            Some(_) => Role::Layer,
        })
    }
}

#[cfg(test)]
mod tests;
