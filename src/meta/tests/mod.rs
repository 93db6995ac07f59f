//! The behaviour of metadata: the rules, the journal, and the state after every kind of end.
//!
//! | what | where |
//! |---|---|
//! | what a command may do | `rules/` |
//! | what the writer answers when | `writer/` |
//! | the index, and its replacement while it is in use | `index/` |
//! | what a start makes of what the last run left | `recovery/` |
//! | every kind of line, as each format writes it | `frozen` |
//! | any commands in any order, on both indexes and through the journal | `history` |
//! | an index that fails or counts as its test says | `hooked` |
//! | readers see what is durable, and nothing else | `visibility` |
//! | followers of the journal | `follow` |

mod follow;
mod frozen;
mod history;
mod hooked;
mod index;
mod recovery;
mod rules;
mod visibility;
mod writer;

pub(crate) use index::falsify;

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};

use crate::blobs::{BlobSource, ContentStore, LocalStore};
use crate::disk::{Disk, MemoryDisk};
use crate::meta::index::{Index, IndexError, MapIndex, RowReader, View};
use crate::meta::model::{
    Fact, ManifestRow, Optional, Pull, RowChange, Sweep, Tree, UploadId, UploadRow, changes_of,
};
use crate::meta::rules::{DecideError, Decision, PolicyChecks, Refusal, Stamp, decide};
use crate::meta::{
    Command, Condition, IndexKind, Meta, MetaError, MetaOptions, Protection, PutManifestCommand,
};
use crate::spec::{Algorithm, ContentDigest, Digest, MediaType, RepoName, Tag};

fn repo(name: &str) -> RepoName {
    name.parse().unwrap()
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn digest(content: &str) -> ContentDigest {
    ContentDigest::sha256_of(content.as_bytes())
}

/// Makes durable content, on a disk of its own.
fn blob(content: &str) -> BlobSource {
    static STORE: OnceLock<Arc<dyn ContentStore>> = OnceLock::new();
    let store = STORE.get_or_init(|| LocalStore::open_or_create(Arc::new(MemoryDisk::new())).unwrap());
    store.put(&UploadId::random().to_string(), digest(content), content.as_bytes()).unwrap().into()
}

fn upload_id(number: u8) -> UploadId {
    format!("00000000-0000-4000-8000-0000000000{number:02x}").parse().unwrap()
}

fn upload_row(name: &str, offset: u64) -> UploadRow {
    UploadRow {
        repo: repo(name),
        algorithm: Algorithm::Sha256,
        offset,
        state: None,
        at: None,
        optional: Optional::default(),
    }
}

fn summary(content: &str, subject: Option<Digest>) -> ManifestRow {
    ManifestRow {
        media_type: MediaType::OCI_MANIFEST.parse().unwrap(),
        size: content.len() as u64,
        subject,
        artifact_type: None,
        annotations: None,
        noted: 0,
        optional: Optional::default(),
    }
}

/// Returns the fact that a manifest is there since now: it was pushed, or lost its last tag.
fn manifest_fact(content: &str) -> Fact {
    let row = Some(summary(content, None).noted(NOW));
    Fact::Manifest { repo: repo("app"), digest: digest(content), row }
}

/// Makes the command that stores a manifest without references.
fn put(name: &str, content: &str, tags: &[&str]) -> PutManifestCommand {
    PutManifestCommand {
        repo: repo(name),
        blob: blob(content),
        row: summary(content, None),
        blobs: Arc::default(),
        references: Arc::default(),
        children: Arc::default(),
        tags: tags.iter().map(|name| tag(name)).collect(),
        condition: Condition::Always,
    }
}

fn put_manifest(name: &str, content: &str, tags: &[&str]) -> Command {
    Command::PutManifest(put(name, content, tags))
}

fn link(name: &str, content: &str) -> Command {
    Command::Link { repo: repo(name), blob: blob(content), upload: upload_id(0) }
}

/// An index and the commands applied to it, decided without a writer.
#[derive(Default)]
struct Rules {
    index: MapIndex,
    transactions: Vec<Vec<Fact>>,
}

impl Rules {
    fn view(&self) -> View<'_> {
        View::new(&self.index)
    }

    /// Decides without applying, at a time that distinguishes facts of this test from others.
    fn decide(&self, command: &Command) -> Result<Decision, DecideError> {
        decide(self.view(), stamp(NOW), PolicyChecks::default().check(), command)
    }

    /// Decides and applies, step by step, and returns each step's facts.
    fn steps(&mut self, command: &Command) -> Vec<Vec<Fact>> {
        let mut steps = Vec::new();
        loop {
            let Decision { facts, again } = self.decide(command).unwrap();
            self.apply(&facts);
            steps.push(facts);
            if again.is_none() {
                return steps;
            }
            assert!(steps.len() < 100, "it never ends");
        }
    }

    /// Decides and applies a command that takes one step, and returns the facts.
    fn carry_out(&mut self, command: &Command) -> Vec<Fact> {
        let mut steps = self.steps(command);
        assert_eq!(steps.len(), 1);
        steps.remove(0)
    }

    fn apply(&mut self, facts: &[Fact]) {
        self.transactions.push(facts.to_vec());
        self.index.apply(self.transactions.len() as u64, &changes_of(facts).unwrap()).unwrap();
    }

    fn refusal(&self, command: &Command) -> Refusal {
        match self.decide(command) {
            Err(DecideError::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }
}

const NOW: u64 = 1_700_000_000_000;

/// The order of the tags that these tests set.
const ORDER: u64 = 7;

fn stamp(now: u64) -> Stamp {
    Stamp { wall_ms: Some(now), noted: now, began: 0, order: ORDER }
}

/// Returns every row of every tree.
fn rows(index: &dyn RowReader) -> Vec<(Tree, Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    for tree in Tree::ALL {
        let mut visit = |key: &[u8], value: &[u8]| {
            rows.push((tree, key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Continue(())
        };
        index.scan(tree, &[], None, &mut visit).unwrap();
    }
    rows
}

fn apply_all(index: &dyn Index, transactions: &[Vec<Fact>]) {
    for (at, facts) in transactions.iter().enumerate() {
        let changes: Vec<RowChange> = changes_of(facts).unwrap();
        index.apply(at as u64 + 1, &changes).unwrap();
    }
}

fn open(disk: &Arc<dyn Disk>) -> Meta {
    Meta::open(Arc::clone(disk), MetaOptions::new(IndexKind::Map)).unwrap()
}

/// A protection without clients, so that every sweep succeeds.
#[derive(Debug)]
struct NobodyCounts;

impl Protection for NobodyCounts {
    fn release(&self, sweep: &Sweep) -> Sweep {
        sweep.clone()
    }

    fn release_manifest(&self, _: &RepoName, _: &ContentDigest) -> bool {
        true
    }

    fn end_sweep(&self) {}

    fn note(&self, _: &Command, _: View<'_>) {}

    fn take_pulls(&self) -> Vec<Pull> {
        Vec::new()
    }
}

fn open_sweeping(disk: &Arc<dyn Disk>) -> Meta {
    let protection = Arc::new(NobodyCounts);
    Meta::open(Arc::clone(disk), MetaOptions { protection, ..MetaOptions::new(IndexKind::Map) }).unwrap()
}

impl Meta {
    /// Returns which database the index is: a rebuilt one has another number.
    pub(crate) fn index_generation(&self) -> Option<u64> {
        self.index().generation()
    }
}

fn submit(meta: &Meta, command: Command) -> Receiver<Result<(), MetaError>> {
    let (sender, receiver) = channel();
    meta.submit(command, Box::new(move |done| drop(sender.send(done))));
    receiver
}

fn run(meta: &Meta, command: Command) -> Result<(), MetaError> {
    submit(meta, command).recv_timeout(std::time::Duration::from_secs(30)).unwrap()
}

/// Retries a command while the index is being rebuilt.
fn run_patiently(meta: &Meta, command: &Command) -> Result<(), MetaError> {
    for _ in 0..10_000 {
        match run(meta, command.clone()) {
            Err(MetaError::Index(IndexError::Rebuilding)) => {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            done => return done,
        }
    }
    panic!("the index is never there again");
}

/// Long enough for a busy machine; only a failing test waits this long.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Waits until another thread has made a condition true.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Waits until everything that was decided is durable and visible, or never will be.
fn settle(meta: &Meta) {
    let (sender, answered) = channel();
    meta.settle(Box::new(move |done| drop(sender.send(done))));
    drop(answered.recv_timeout(std::time::Duration::from_secs(30)).unwrap());
}

/// Removes what became of tags, as a collection does once it is old.
fn forget_tag_changes(meta: &Meta) {
    loop {
        let changes = meta.view().tag_changes(None, None, None, 64).unwrap();
        if changes.is_empty() {
            return;
        }
        let rows = changes.into_iter().map(|change| (change.repo, change.tag, change.order)).collect();
        run(meta, Command::Sweep(Sweep::History { rows })).unwrap();
    }
}

/// Returns how much is stored, without the order of the last tag: that tag may be gone, and a recount then
/// finds a lower order.
fn stored(meta: &Meta) -> (u64, u64, u64) {
    let totals = meta.totals();
    (totals.blobs, totals.blob_bytes, totals.uploads)
}

fn tags(meta: &Meta, name: &str) -> Vec<String> {
    let tags = meta.view().tags(&repo(name), None, usize::MAX).unwrap();
    tags.iter().map(|tag| tag.as_str().to_owned()).collect()
}

/// Returns the lines of a journal file, without the zeroes that are written ahead of them.
fn lines_of(disk: &dyn Disk, number: u64) -> Vec<u8> {
    let mut bytes = read(disk, &crate::meta::journal::journal_path(number));
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(end);
    bytes
}

/// Returns the lines of a journal file one after the other, as those of one batch are.
fn packed(mut lines: Vec<u8>) -> Vec<u8> {
    lines.retain(|byte| *byte != 0);
    lines
}

fn read(disk: &dyn Disk, path: &Path) -> Vec<u8> {
    let file = disk.open(path).unwrap();
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    let mut filled = 0;
    while filled < bytes.len() {
        let length = file.read_at(&mut bytes[filled..], filled as u64).unwrap();
        assert!(length > 0);
        filled += length;
    }
    bytes
}

fn write(disk: &dyn Disk, path: &Path, bytes: &[u8]) {
    let file = match disk.create(path) {
        Ok(file) => file,
        Err(_) => disk.open_writable(path).unwrap(),
    };
    file.truncate(0).unwrap();
    file.write_at(bytes, 0).unwrap();
}

/// Returns the names in the journal's folder.
fn journal_files(disk: &dyn Disk) -> Vec<String> {
    disk.list(Path::new("journal")).unwrap().into_iter().map(|entry| entry.name).collect()
}

/// Copies a memory disk's journal and marker to another disk, as a crash now would leave them.
fn copy(disk: &dyn Disk) -> Arc<dyn Disk> {
    let other = MemoryDisk::new();
    other.create_folder(Path::new("journal")).unwrap();
    for name in journal_files(disk) {
        let path = Path::new("journal").join(name);
        write(&other, &path, &read(disk, &path));
    }
    Arc::new(other)
}

/// Copies the content of a folder into another one.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
