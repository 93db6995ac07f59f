//! Histories: operations of clients, run once on the real registry over a disk that records every step.

use std::sync::Arc;
use std::time::Duration;

use smol::future::zip;

use super::client::{Key, Op, Upload};
use super::reads::{InProgress, read_at_syncs};
use crate::crash_tests::trials::model::{Model, Record, Seen, began, ended};
use crate::disk::Disk;
use crate::disk::simulated::{Medium, SimulatedDisk, Step};
use crate::meta::{IndexKind, MetaOptions};
use crate::registry::{Backing, OpenError, Registry, RegistryError, RegistryOptions, Storage};

/// One event of a history.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A client runs an operation, and waits for the answer.
    Do(Op),
    /// Two clients run operations concurrently.
    AtOnce(Op, Op),
    /// The registry is closed and opened again.
    Reopen,
    /// The process dies, the machine keeps running, and the registry is opened again.
    Kill,
}

/// The events of a history and the disk they start on.
pub(crate) struct History {
    pub(crate) name: &'static str,
    /// Whether it begins on an empty disk, so that it includes the first start.
    pub(crate) from_nothing: bool,
    pub(crate) events: Vec<Event>,
}

/// A history that was run.
pub(crate) struct Recording {
    pub(crate) name: &'static str,
    pub(crate) base: Medium,
    pub(crate) steps: Vec<Step>,
    pub(crate) records: Vec<Record>,
    pub(crate) uploads: Vec<Upload>,
}

/// The pause after a try to reopen a store that failed.
const REOPEN_PAUSE: Duration = Duration::from_millis(10);

/// How many uploads a history may identify by number.
const SLOTS: usize = 4;

/// Opens a registry on a simulated disk, for one client.
pub(crate) fn open(disk: &SimulatedDisk) -> Result<Registry, OpenError> {
    open_on(Arc::new(disk.clone()), IndexKind::Map, true)
}

/// Opens a registry on any disk.
pub(crate) fn open_on(
    disk: Arc<dyn Disk>,
    index: IndexKind,
    blocks_inline: bool,
) -> Result<Registry, OpenError> {
    let meta = MetaOptions {
        journal_min_bytes: crate::crash_tests::JOURNAL_MIN_BYTES,
        history_max_bytes: crate::crash_tests::HISTORY_MAX_BYTES,
        reopen_pause: REOPEN_PAUSE,
        ..MetaOptions::new(index)
    };
    let mut options = RegistryOptions::new(Storage::Memory);
    options.upload_durable_step_bytes = crate::crash_tests::DURABLE_STEP_BYTES;
    options.carried_max_bytes = crate::crash_tests::CARRIED_MAX_BYTES;
    options.blocks_inline = blocks_inline;
    Registry::open_on(options, Backing { disk, lock: None, meta })
}

fn open_for_many(disk: &SimulatedDisk) -> Option<Registry> {
    Some(open_on(Arc::new(disk.clone()), IndexKind::Map, false).unwrap())
}

/// Returns a medium on which a registry was opened once and closed.
pub(crate) fn prepared() -> Medium {
    let disk = SimulatedDisk::new(Medium::new().garbling());
    smol::block_on(open(&disk).unwrap().close()).unwrap();
    disk.medium().settled()
}

/// Runs a history. The disk keeps its steps when the process dies: only pending operations are lost.
pub(crate) fn record(history: &History, prepared: &Medium) -> Recording {
    let base = if history.from_nothing { Medium::new().garbling() } else { prepared.clone() };
    let mut run = Run::start(SimulatedDisk::new(base.clone()));
    for event in &history.events {
        match event {
            Event::Do(op) => {
                let done = smol::block_on(run.carry_out(op));
                done.unwrap_or_else(|error| panic!("{}: {op:?}: {error}", history.name));
            }
            Event::AtOnce(one, other) => run.carry_out_both(one, other),
            Event::Reopen => run.reopen(),
            Event::Kill => run.kill(),
        }
    }
    run.stop();
    Recording { name: history.name, base, steps: run.steps, records: run.records, uploads: run.uploads }
}

/// A registry on a disk, and the operations on it.
pub(crate) struct Run {
    pub(crate) disk: SimulatedDisk,
    pub(crate) registry: Option<Registry>,
    pub(crate) records: Vec<Record>,
    pub(crate) uploads: Vec<Upload>,
    pub(crate) seen: Seen,
    /// The steps on earlier disks.
    pub(crate) steps: Vec<Step>,
    starts: usize,
    in_progress: InProgress,
}

impl Run {
    pub(crate) fn start(disk: SimulatedDisk) -> Self {
        let registry = open_for_many(&disk);
        let run = Self::on(disk, registry);
        run.read_at_syncs();
        run
    }

    /// Has a reader look at the effects of operations in progress before each sync of the journal.
    fn read_at_syncs(&self) {
        if let Some(registry) = self.registry.clone() {
            read_at_syncs(&self.disk, registry, self.in_progress.clone());
        }
    }

    pub(crate) fn on(disk: SimulatedDisk, registry: Option<Registry>) -> Self {
        let uploads = vec![Upload { repo: "", blob: 0, id: None }; SLOTS];
        Self {
            disk,
            registry,
            records: Vec::new(),
            uploads,
            seen: Seen::default(),
            steps: Vec::new(),
            starts: 1,
            in_progress: InProgress::default(),
        }
    }

    fn begin(&mut self, op: &Op) -> usize {
        let slot = op.slot().unwrap_or(0);
        if let Op::Begin { repo, blob, .. } = op {
            self.uploads[slot] = Upload { repo, blob: *blob, id: None };
        }
        let model = Model { records: &self.records, seen: &self.seen };
        let named = |repo, digest| {
            let keys = crate::crash_tests::TAGS.iter().map(|tag| Key::Tag(repo, tag));
            keys.filter(|key| model.possible(key, None).contains(&Some(digest))).collect()
        };
        let effects = op.effects(&self.uploads[slot], named);
        let number = self.records.len();
        let (op, starts) = (op.clone(), self.starts);
        self.records.push(Record { op, effects, from: 0, starts, done: false });
        self.mark(began(number));
        let model = Model { records: &self.records, seen: &self.seen };
        self.in_progress.add(number, model.telling(number));
        number
    }

    fn mark(&mut self, mark: usize) {
        self.disk.mark(mark);
        self.seen.pass(mark);
    }

    fn end(&mut self, number: usize, upload: Upload, done: &Result<u64, RegistryError>) {
        if let Some(slot) = self.records[number].op.slot() {
            self.uploads[slot] = upload;
        }
        if let Ok(from) = done {
            self.records[number].done = true;
            self.records[number].from = *from;
        }
        self.in_progress.remove(number);
        self.mark(ended(number));
    }

    /// Runs an operation and records its result.
    pub(crate) async fn carry_out(&mut self, op: &Op) -> Result<(), RegistryError> {
        let number = self.begin(op);
        let mut upload = self.uploads[op.slot().unwrap_or(0)].clone();
        let registry = self.registry.clone().unwrap();
        let done = op.run(&registry, &mut upload).await;
        self.end(number, upload, &done);
        done.map(drop)
    }

    fn carry_out_both(&mut self, one: &Op, other: &Op) {
        let numbers = [self.begin(one), self.begin(other)];
        let registry = self.registry.clone().unwrap();
        let mut uploads = [one, other].map(|op| self.uploads[op.slot().unwrap_or(0)].clone());
        let [first, second] = &mut uploads;
        let (disk, in_progress) = (self.disk.clone(), self.in_progress.clone());
        let noted = async |number: usize, op: &Op, upload: &mut Upload| {
            let done = op.run(&registry, upload).await;
            in_progress.remove(number);
            disk.mark(ended(number));
            done
        };
        let both = zip(noted(numbers[0], one, first), noted(numbers[1], other, second));
        let (first_done, second_done) = smol::block_on(both);
        for ((number, upload), done) in numbers.into_iter().zip(uploads).zip([first_done, second_done]) {
            if let Some(slot) = self.records[number].op.slot() {
                self.uploads[slot] = upload;
            }
            self.records[number].from = done.unwrap();
            self.records[number].done = true;
            self.seen.pass(ended(number));
        }
    }

    fn reopen(&mut self) {
        self.disk.before_sync(None);
        let registry = self.registry.take().unwrap();
        smol::block_on(registry.close()).unwrap();
        drop(registry);
        self.starts += 1;
        self.registry = open_for_many(&self.disk);
        self.read_at_syncs();
    }

    fn kill(&mut self) {
        self.disk.before_sync(None);
        let (medium, steps) = self.disk.cut();
        self.steps.extend(steps);
        self.disk = SimulatedDisk::new(medium);
        self.registry = None;
        self.starts += 1;
        self.registry = open_for_many(&self.disk);
        self.read_at_syncs();
    }

    fn stop(&mut self) {
        self.disk.before_sync(None);
        let registry = self.registry.take().unwrap();
        smol::block_on(registry.close()).unwrap();
        self.steps.extend(self.disk.steps());
    }
}
