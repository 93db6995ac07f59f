//! Rebuilding metadata from its remains and from the content itself.
//!
//! Salvage uses every line of every journal file and checkpoint that verifies by itself, in the order of
//! writing, including files that were set aside as damaged. It compares the resulting state with the content,
//! all of which it reads; then it searches the content that no line names for manifests. It writes the
//! outcome as a checkpoint, which is valid from the moment that it has its name.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::base::now_ms;
use crate::blobs::{ContentStore, Verification};
use crate::disk::Disk;
use crate::meta::checkpoint::{self, WalkError};
use crate::meta::clock::StoreTime;
use crate::meta::error::MetaOpenError;
use crate::meta::index::{Index, IndexError, MapIndex, RowSums, SledIndex, TemporaryCopy, View};
use crate::meta::journal::{
    self, Header, LineReader, LogPosition, NewFile, Record, Sum, damaged_path, header_of, journal_path,
    read_line,
};
use crate::meta::model::{Fact, Tree, changes_of};
use crate::meta::reconcile::{FactSink, Reconciler, Report, Unattributed};
use crate::meta::recovery::carried::CarriedContent;
use crate::meta::recovery::clean_marker::{self, CleanMarker};
use crate::meta::recovery::plan;
use crate::meta::recovery::start::make_folders;
use crate::meta::recovery::survey::is_damaged;
use crate::spec::{ContentDigest, RepoName};

/// The result of a rebuild.
#[derive(Debug, Default)]
pub struct Salvage {
    /// The number of readable lines in the journal and in checkpoints.
    pub lines: u64,
    /// The number of unreadable lines.
    pub bad_lines: u64,
    /// Whether the index of a clean stop was the only source.
    pub from_index: bool,
    /// The number of blobs and manifests whose bytes do not match their digest.
    pub damaged: u64,
    /// What reconciling changed.
    pub report: Report,
    /// The content that no line names.
    pub unattributed: Unattributed,
}

/// Rebuilds the metadata on a disk without touching the index. Manifests that cannot be attributed go into
/// `repo`. `root` is the data directory, and `read` gets the number of bytes of each read of content.
pub fn rebuild_from_content(
    shared: &Arc<dyn Disk>,
    root: &Path,
    blobs: &dyn ContentStore,
    repo: &RepoName,
    read: &mut dyn FnMut(u64),
) -> Result<Salvage, MetaOpenError> {
    let disk = shared.as_ref();
    make_folders(disk)?;
    set_unopened_aside(disk)?;
    let mut lines = Lines::of(Some(blobs));
    lines.gather(disk)?;
    // The checkpoint that replaces the lines carries no content.
    std::mem::take(&mut lines.carried).restore(blobs, 0);
    blobs.write_files()?;
    let marker = clean_marker::read(disk)?;
    let mut salvage = Salvage { lines: lines.good, bad_lines: lines.bad, ..Salvage::default() };
    if let Some(marker) = marker {
        if lines.good == 0 {
            salvage.from_index = lines.take_index(root, &marker)?;
        }
        lines.highest = lines.highest.max(marker.seq);
        lines.time.learn(&marker.time);
    }
    // Only now: until then the index of the clean stop may be all that is left.
    clean_marker::remove(disk)?;
    let Lines { index, seen, highest, time, .. } = lines;
    let damaged = forget_damaged(&index, blobs, read)?;
    let (now, noted) = (now_ms(), time.next_ms());
    salvage.report = Reconciler::new(&index, blobs, &mut Loading(&index), now, noted).run()?;
    let (report, unattributed) = Reconciler::new(&index, blobs, &mut Loading(&index), now, noted)
        .collect_lost(repo, &seen, &damaged)?;
    salvage.report.add(&report);
    salvage.damaged = damaged.len() as u64;
    salvage.unattributed = unattributed;
    publish(shared, &index, highest + 1, time)?;
    Ok(salvage)
}

/// Rebuilds the journal from the index of a clean stop when the journal or the checkpoints are damaged.
/// Returns whether there is such an index, with all rows that it had then.
pub fn rebuild_from_index(shared: &Arc<dyn Disk>, root: &Path) -> Result<bool, MetaOpenError> {
    let disk = shared.as_ref();
    let Some(marker) = clean_marker::read(disk)? else { return Ok(false) };
    let mut lines = Lines::of(None);
    if !lines.take_index(root, &marker)? {
        return Ok(false);
    }
    set_unopened_aside(disk)?;
    // The state gets a number that no line has, whatever the damaged lines say.
    let mut known = Lines::of(None);
    known.gather(disk)?;
    clean_marker::remove(disk)?;
    known.time.learn(&marker.time);
    publish(shared, &lines.index, known.highest.max(marker.seq) + 1, known.time)?;
    Ok(true)
}

/// The state that the readable lines yield.
struct Lines<'a> {
    /// The content, if what the lines carry is wanted. After a clean stop, all of it has files.
    blobs: Option<&'a dyn ContentStore>,
    /// What the lines carry and need not have files.
    carried: CarriedContent,
    index: MapIndex,
    /// Every manifest that any line names.
    seen: HashSet<ContentDigest>,
    /// The highest known transaction number.
    highest: u64,
    /// The store time after these lines.
    time: StoreTime,
    good: u64,
    bad: u64,
}

impl<'a> Lines<'a> {
    fn of(blobs: Option<&'a dyn ContentStore>) -> Self {
        Self {
            blobs,
            carried: CarriedContent::default(),
            index: MapIndex::new(),
            seen: HashSet::new(),
            highest: 0,
            time: StoreTime::default(),
            good: 0,
            bad: 0,
        }
    }

    fn gather(&mut self, disk: &dyn Disk) -> Result<(), MetaOpenError> {
        let files = journal::list(disk)?;
        let mut journals: Vec<(u64, PathBuf, u64)> = Vec::new();
        // A sound file's lines from the first one of a later file on were never acknowledged.
        let mut limit = u64::MAX;
        for number in files.finished.iter().rev() {
            journals.push((*number, journal_path(*number), limit));
            limit = header_of(disk, *number)?.map_or(limit, |header| limit.min(header.first));
        }
        journals.extend(files.damaged.iter().map(|number| (*number, damaged_path(*number), u64::MAX)));
        journals.sort_unstable();
        let mut checkpoints = checkpoint::find(disk)?.all();
        checkpoints.sort_unstable();
        let mut checkpoints = checkpoints.into_iter().peekable();
        for (_, path, limit) in journals {
            let first = first_of(disk, &path)?;
            // A checkpoint is the state before the file that it was taken for.
            while let Some((_, path)) = checkpoints.next_if(|(begin, _)| Some(*begin) <= first) {
                self.checkpoint(disk, &path)?;
            }
            self.journal(disk, &path, limit)?;
        }
        for (_, path) in checkpoints {
            self.checkpoint(disk, &path)?;
        }
        Ok(())
    }

    /// Takes the lines of a journal file up to transaction `limit`, which a later file has.
    fn journal(&mut self, disk: &dyn Disk, path: &Path, limit: u64) -> Result<(), MetaOpenError> {
        let file = disk.open_to_salvage(path)?;
        let mut lines = LineReader::new(file.as_ref());
        while let Some(line) = lines.next()? {
            if let Some((record, _)) = read_line::<Record>(path, &line)? {
                if record.seq >= limit {
                    break;
                }
                self.good += 1;
                self.highest = self.highest.max(record.seq);
                self.time.learn(&record.time);
                // What a file should have is taken from the line where it has not.
                if let Some(blobs) = self.blobs {
                    self.carried.learn_unless(&record, |digest, length| blobs.is_intact(digest, length));
                }
                self.facts(&record.facts)?;
            } else if let Some((header, _)) = read_line::<Header>(path, &line)? {
                self.highest = self.highest.max(header.first.saturating_sub(1));
            } else {
                self.bad += 1;
            }
        }
        Ok(())
    }

    fn checkpoint(&mut self, disk: &dyn Disk, path: &Path) -> Result<(), MetaOpenError> {
        let file = disk.open_to_salvage(path)?;
        if let Some(trailer) = checkpoint::verify(path, file.as_ref())? {
            self.highest = self.highest.max(trailer.end).max(trailer.begin.saturating_sub(1));
            self.time.learn(&trailer.time);
            // The checkpoint is intact: rows that it lacks no longer existed.
            self.index = MapIndex::new();
        }
        let (good, bad) = checkpoint::each_line(path, file.as_ref(), |facts| self.facts(facts))?;
        (self.good, self.bad) = (self.good + good, self.bad + bad);
        Ok(())
    }

    fn facts(&mut self, facts: &[Fact]) -> Result<(), MetaOpenError> {
        for fact in facts {
            if let Fact::Manifest { digest, .. } = fact {
                self.seen.insert(*digest);
            }
        }
        Loading(&self.index).load(facts)
    }

    /// Takes the facts from the index of a clean stop. Returns whether the index was usable. Fails for want
    /// of space: the index may be the last source.
    fn take_index(&mut self, root: &Path, marker: &CleanMarker) -> Result<bool, MetaOpenError> {
        let copy = match TemporaryCopy::beside(root, marker.generation) {
            Ok(copy) => copy,
            Err(error @ IndexError::NoSpace) => return Err(error.into()),
            Err(_) => return Ok(false),
        };
        match facts_left(copy.folder(), marker) {
            Ok(facts) => {
                self.facts(&facts)?;
                Ok(true)
            }
            Err(IndexError::NoSpace) => Err(IndexError::NoSpace.into()),
            Err(error) => {
                log::warn!("the index of the clean stop is not used: {error}");
                Ok(false)
            }
        }
    }
}

/// Returns the facts of an index that a clean stop left.
///
/// INVARIANT: only what the stop left becomes the truth, all of it, and not what the index has lost since.
fn facts_left(folder: &Path, marker: &CleanMarker) -> Result<Vec<Fact>, IndexError> {
    let index = SledIndex::open(folder)?;
    if index.applied()? != marker.seq {
        return Err(IndexError::Storage("it is not where the stop left it".to_owned()));
    }
    let mut sums = RowSums::default();
    for tree in Tree::ALL {
        sums.recount(&index, tree)?;
    }
    if let Some(difference) = marker.totals.sums.difference(&sums) {
        return Err(IndexError::Storage(difference));
    }
    let mut facts = Vec::new();
    for tree in Tree::ALL {
        View::new(&index).each_fact(tree, |fact| facts.push(fact))?;
    }
    index.close()?;
    Ok(facts)
}

/// Returns the transaction that a journal file begins with, or the first readable one where its header is
/// damaged.
fn first_of(disk: &dyn Disk, path: &Path) -> Result<Option<u64>, MetaOpenError> {
    let file = disk.open_to_salvage(path)?;
    let mut lines = LineReader::new(file.as_ref());
    while let Some(line) = lines.next()? {
        if let Some((record, _)) = read_line::<Record>(path, &line)? {
            return Ok(Some(record.seq));
        } else if let Some((header, _)) = read_line::<Header>(path, &line)? {
            return Ok(Some(header.first));
        }
    }
    Ok(None)
}

/// Reads all content that has a row, and drops the rows of content whose bytes do not match its digest.
fn forget_damaged(
    index: &MapIndex,
    blobs: &dyn ContentStore,
    read: &mut dyn FnMut(u64),
) -> Result<HashSet<ContentDigest>, MetaOpenError> {
    let mut named = Vec::new();
    View::new(index).blobs(|digest, _| named.push(digest))?;
    let mut damaged = HashSet::new();
    for digest in named {
        if blobs.verify(&digest, read)? == Verification::Damaged {
            log::warn!("{digest}: its bytes are not what its name says");
            damaged.insert(digest);
            Loading(index).load(&[Fact::Blob { digest, row: None, content: None }])?;
        }
    }
    Ok(damaged)
}

/// Writes the state durably, as the starting point of the next start. `before` is a number that no
/// transaction has.
fn publish(
    shared: &Arc<dyn Disk>,
    index: &MapIndex,
    before: u64,
    time: StoreTime,
) -> Result<(), MetaOpenError> {
    let disk = shared.as_ref();
    index.apply(before, &[])?;
    let number = journal::list(disk)?.highest + 1;
    // 1. A journal file to continue in: without it the checkpoint would look like one whose journal is lost.
    // Until the checkpoint exists, the file does not change what a recovery finds.
    let head = LogPosition { seq: before, sum: Sum::zero() };
    NewFile::create(shared, number, head, before - 1)?.publish()?;
    // 2. The checkpoint, which replaces everything else from then on. Listing removes unfinished ones.
    checkpoint::list(disk)?;
    let draft = checkpoint::walk(disk, index, (before + 1, Sum::zero()), 0, &AtomicBool::new(false));
    draft.and_then(|draft| draft.seal(time)).map_err(|error| match error {
        WalkError::Disk(error) | WalkError::NotNamed(error) => MetaOpenError::Disk(error),
        WalkError::Index(error) => MetaOpenError::Index(error),
        WalkError::Render(_) | WalkError::Interrupted | WalkError::Full => {
            MetaOpenError::Damaged(error.to_string())
        }
    })?;
    // 3. Damaged files are no longer used, but are kept.
    set_damaged_aside(disk)
}

/// Sets the journal files and checkpoints aside that the medium cannot open, before anything replaces them.
fn set_unopened_aside(disk: &dyn Disk) -> Result<(), MetaOpenError> {
    plan::set_aside(disk, &plan::unopened(disk, &journal::list(disk)?)?)?;
    for file in checkpoint::find(disk)?.finished {
        if !disk.can_open(&file.path())? {
            checkpoint::set_aside(disk, &file)?;
        }
    }
    Ok(())
}

fn set_damaged_aside(disk: &dyn Disk) -> Result<(), MetaOpenError> {
    for number in journal::list(disk)?.finished {
        let header = header_of(disk, number)?;
        if header.map_or(Ok(true), |header| is_damaged(disk, number, header))? {
            disk.rename(&journal_path(number), &damaged_path(number))?;
        }
    }
    for file in checkpoint::list(disk)? {
        if checkpoint::verify(&file.path(), disk.open_to_salvage(&file.path())?.as_ref())?.is_none() {
            checkpoint::set_aside(disk, &file)?;
        }
    }
    // Not made durable: a file that a crash brings back under its old name does no harm.
    Ok(())
}

/// Puts facts into an index that only this rebuild uses.
struct Loading<'a>(&'a MapIndex);

impl Loading<'_> {
    fn load(&self, facts: &[Fact]) -> Result<(), MetaOpenError> {
        let changes = changes_of(facts).map_err(|error| MetaOpenError::Damaged(error.to_string()))?;
        Ok(self.0.load(&changes)?)
    }
}

impl FactSink for Loading<'_> {
    fn take(&mut self, facts: Vec<Fact>) -> Result<(), MetaOpenError> {
        self.load(&facts)
    }
}
