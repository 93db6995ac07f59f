//! Stores whose medium is damaged, and their state when the start that repairs one dies at any moment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::blobs::blob_path;
use crate::crash_tests::histories::client::Op;
use crate::crash_tests::histories::content::blob;
use crate::crash_tests::histories::history::{Recording, Run, open, prepared};
use crate::crash_tests::trials::left_out::missed;
use crate::crash_tests::trials::model::Found;
use crate::crash_tests::trials::observe::{check_probe, observe, probe};
use crate::crash_tests::trials::states::each_power_cut;
use crate::disk::simulated::{Medium, Place, SimulatedDisk};
use crate::disk::{Disk, DiskFile};
use crate::registry::Registry;

/// How many lines the newest file of the journal has, so that one in the middle can be damaged.
const LINES_MIN: usize = 4;

/// How often the creation of such a store is tried.
const STORES_MADE_MAX: usize = 50;

/// A damaged store.
pub(crate) struct DamagedStore {
    pub(crate) name: &'static str,
    pub(crate) medium: Medium,
    /// The content of its damaged files.
    kept: Vec<Vec<u8>>,
}

/// A start that repairs a damaged store, and its result.
pub(crate) struct Repair {
    pub(crate) recording: Recording,
    kept: Vec<Vec<u8>>,
    /// How many steps it took until the store was open, and until a push was acknowledged.
    opened: usize,
    pushed: usize,
    found: Found,
}

/// Makes stores with two checkpoints and content of every kind, each damaged in another way.
pub(crate) fn damaged_stores() -> Vec<DamagedStore> {
    let whole = whole_store();
    let journal = |disk: &SimulatedDisk| newest(disk, "journal", ".log");
    let checkpoint = |disk: &SimulatedDisk| newest(disk, "checkpoint", ".checkpoint");
    let damaged = |name, damage: &dyn Fn(&SimulatedDisk) -> Vec<Vec<u8>>| {
        let disk = SimulatedDisk::new(whole.clone());
        let kept = damage(&disk);
        DamagedStore { name, medium: disk.medium().settled(), kept }
    };
    vec![
        damaged("a line of the journal is damaged", &|disk| vec![flip(disk, &journal(disk), 2)]),
        damaged("the newest checkpoint is damaged", &|disk| vec![flip(disk, &checkpoint(disk), 2)]),
        damaged("checkpoint and journal are damaged", &|disk| {
            vec![flip(disk, &checkpoint(disk), 2), flip(disk, &journal(disk), 2)]
        }),
        damaged("a block of the journal cannot be read", &|disk| {
            rot(disk, &journal(disk), 2);
            Vec::new()
        }),
        damaged("the newest checkpoint cannot be read", &|disk| {
            rot(disk, &checkpoint(disk), 1);
            Vec::new()
        }),
        damaged("pulk.json and the header of the journal cannot be read", &|disk| {
            disk.rot(Path::new("pulk.json"), 0);
            disk.rot(&journal(disk), 0);
            Vec::new()
        }),
        damaged("the newest file of the journal is lost", &|disk| {
            disk.remove(&journal(disk)).unwrap();
            Vec::new()
        }),
        damaged("a line of the journal is damaged and content lost", &|disk| {
            disk.remove(&blob_path(&blob(1).digest)).unwrap();
            vec![flip(disk, &journal(disk), 2)]
        }),
    ]
}

/// Returns a store with content of every kind, as a clean stop leaves it.
pub(crate) fn whole_store() -> Medium {
    // If the journal was rotated just before the stop, the new file has too few lines.
    let lines = |medium: &Medium| {
        let disk = SimulatedDisk::new(medium.clone());
        let journal = bytes_of(disk.open(&newest(&disk, "journal", ".log")).unwrap().as_ref());
        journal.iter().filter(|byte| **byte == b'\n').count()
    };
    let mut stores = (0..STORES_MADE_MAX).map(|_| stopped_store());
    stores.find(|medium| lines(medium) >= LINES_MIN).expect("the journal always went on in a new file")
}

fn stopped_store() -> Medium {
    let mut run = worked();
    smol::block_on(run.registry.take().unwrap().close()).unwrap();
    run.disk.medium().settled()
}

/// Returns a store whose server was killed: the journal alone has some of its content.
pub(super) fn killed_store() -> Medium {
    // A checkpoint that is being taken may have filed the content of a first store.
    let mut stores = (0..STORES_MADE_MAX).filter_map(|_| {
        let mut run = worked();
        smol::block_on(run.carry_out(&Op::Put { repo: "a", manifest: 5, tags: &[], by_digest: true }))
            .unwrap();
        let registry = run.registry.as_ref().unwrap();
        let medium = run.disk.medium().settled();
        (registry.content().unfiled().bytes() > 0).then_some(medium)
    });
    stores.next().expect("the content was always filed at once")
}

/// Returns a store in use that has seen every kind of operation.
fn worked() -> Run {
    let push = |repo, blob| Op::Push { repo, blob };
    let put = |repo, manifest, tags| Op::Put { repo, manifest, tags, by_digest: true };
    let mut run = Run::start(SimulatedDisk::new(prepared()));
    let mut ops = vec![push("a", 0), push("a", 1), put("a", 0, &["v1"]), push("a", 2), put("a", 1, &["v2"])];
    ops.extend([put("a", 3, &[]), put("a", 6, &["v3"]), push("b", 3), push("b", 1), push("b", 4)]);
    ops.extend([put("b", 2, &["v1", "v2"]), Op::DeleteTag { repo: "b", tag: "v2" }]);
    ops.extend([Op::Mount { repo: "b", from: "a", blob: 0 }, put("b", 0, &["v3"]), put("b", 4, &["v2"])]);
    for op in ops {
        smol::block_on(run.carry_out(&op)).unwrap();
    }
    // Until the store has two checkpoints and some lines after them.
    for number in 0..200 {
        let checkpoints = count(&run.disk, "checkpoint", ".checkpoint");
        let journal = bytes_of(run.disk.open(&newest(&run.disk, "journal", ".log")).unwrap().as_ref());
        let lines = journal.iter().filter(|byte| **byte == b'\n').count();
        // The store may be about to rotate a longer file. The bytes between and after the lines are zeroes.
        let length = journal.iter().filter(|byte| **byte != 0).count() as u64;
        if checkpoints >= 2 && lines >= LINES_MIN && length < crate::crash_tests::JOURNAL_MIN_BYTES {
            break;
        }
        smol::block_on(run.carry_out(&put("a", number % 2, &["v1"]))).unwrap();
    }
    run
}

fn count(disk: &SimulatedDisk, folder: &str, ending: &str) -> usize {
    let entries = disk.list(Path::new(folder)).unwrap();
    entries.iter().filter(|entry| entry.name.ends_with(ending)).count()
}

pub(super) fn newest(disk: &SimulatedDisk, folder: &str, ending: &str) -> PathBuf {
    let entries = disk.list(Path::new(folder)).unwrap();
    let last = entries.iter().rev().find(|entry| entry.name.ends_with(ending));
    Path::new(folder).join(&last.expect("there is none").name)
}

fn bytes_of(file: &dyn DiskFile) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    // The writer may cut off the zeroes ahead of its lines at this moment.
    let read = file.read_at(&mut bytes, 0).unwrap();
    bytes.truncate(read);
    bytes
}

/// Changes a byte of the line that is `lines_from_end` lines before the end, and returns the file's new
/// content.
fn flip(disk: &SimulatedDisk, path: &Path, lines_from_end: usize) -> Vec<u8> {
    let file = disk.open_writable(path).unwrap();
    let bytes = bytes_of(file.as_ref());
    let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
    assert!(ends.len() > lines_from_end, "{} has {} lines", path.display(), ends.len());
    let end = ends[ends.len() - 1 - lines_from_end];
    let at = (end + 1..bytes.len()).find(|at| bytes[*at] != 0).unwrap_or(end) + 8;
    file.write_at(&[bytes[at] ^ 1], at as u64).unwrap();
    bytes_of(file.as_ref())
}

/// Makes the block unreadable that holds the end of the line `lines_from_end` lines before the end.
fn rot(disk: &SimulatedDisk, path: &Path, lines_from_end: usize) {
    let bytes = bytes_of(disk.open(path).unwrap().as_ref());
    let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
    disk.rot(path, ends[ends.len() - 1 - lines_from_end] as u64);
}

/// Counts the items of `kept` that the metadata folders do not hold under any name.
fn missing(disk: &SimulatedDisk, kept: &[Vec<u8>]) -> usize {
    let mut held = BTreeSet::new();
    for folder in ["journal", "checkpoint"] {
        // A thread of the store may rename a new file meanwhile.
        let opened = (0..1000).find_map(|_| {
            let files = disk.list(Path::new(folder)).unwrap().into_iter();
            files.map(|entry| disk.open(&Path::new(folder).join(entry.name)).ok()).collect::<Option<Vec<_>>>()
        });
        for file in opened.expect("the files are never at rest") {
            let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
            if let Ok(read) = file.read_at(&mut bytes, 0) {
                bytes.truncate(read);
                held.insert(bytes);
            }
        }
    }
    kept.iter().filter(|bytes| !held.contains(*bytes)).count()
}

/// Reads everything that a registry has, and closes it.
pub(crate) fn look(registry: &Registry) -> Result<Found, String> {
    smol::block_on(observe(registry))
}

impl Repair {
    fn of(store: DamagedStore) -> Self {
        let disk = SimulatedDisk::new(store.medium.clone());
        let registry = open(&disk).unwrap();
        let found = look(&registry).unwrap();
        let opened = disk.steps().len();
        smol::block_on(probe(&registry)).unwrap();
        let pushed = disk.steps().len();
        drop(registry);
        assert_eq!(missing(&disk, &store.kept), 0, "{}", store.name);
        let recording = Recording {
            name: store.name,
            base: store.medium,
            steps: disk.steps(),
            records: Vec::new(),
            uploads: Vec::new(),
        };
        Self { recording, kept: store.kept, opened, pushed, found }
    }

    /// Opens what a power cut left, and checks that it finds what the undisturbed start found.
    fn check(&self, at: usize, left: Medium) -> Result<(), String> {
        let disk = SimulatedDisk::new(left);
        let registry = open(&disk).map_err(|error| format!("it does not open: {error}"))?;
        let found = look(&registry)?;
        let differ = |(key, value): &(&_, &_)| self.found.get(key) != Some(value);
        if let Some((key, value)) = found.iter().find(differ) {
            return Err(format!("{key:?} is {value:?}, and was {:?}", self.found.get(key)));
        }
        if at >= self.opened && missing(&disk, &self.kept) > 0 {
            return Err("a damaged file is not kept any more".to_owned());
        }
        if at >= self.pushed {
            smol::block_on(check_probe(&registry))?;
        }
        smol::block_on(probe(&registry))
    }

    /// Returns the first state that fails when the syncs of a place have no effect, and why it does.
    pub(crate) fn missed(&self, place: Place) -> Option<String> {
        let Recording { name, base, steps, .. } = &self.recording;
        missed(name, (base, steps), place, |at, left| self.check(at, left))
    }

    /// Tries states at one moment in `one_in`. Returns the number of states and the failures.
    fn try_states(&self, one_in: usize, each: u64) -> (u64, Vec<String>) {
        let mut failures = Vec::new();
        let Recording { name, base, steps, .. } = &self.recording;
        let tried = each_power_cut(base, steps, one_in, each, |at, left| {
            failures.extend(self.check(at, left).err().map(|why| format!("`{name}`, step {at}: {why}")));
        });
        (tried, failures)
    }
}

/// Returns the starts that repair a damaged store.
pub(crate) fn repairs() -> Vec<Repair> {
    damaged_stores().into_iter().map(Repair::of).collect()
}

#[test]
fn a_start_that_repairs_damage_can_die_at_any_moment() {
    let (one_in, each) = if crate::crash_tests::is_soak() { (1, 6) } else { (9, 1) };
    let (mut tried, mut failures) = (0, Vec::new());
    for repair in repairs() {
        let (count, failed) = repair.try_states(one_in, each);
        tried += count;
        failures.extend(failed);
    }
    eprintln!("{tried} crash states of starts that repair damage tried");
    assert!(
        failures.is_empty(),
        "{} states failed\n\n{}",
        failures.len(),
        failures[..failures.len().min(3)].join("\n\n")
    );
}

/// A medium that reports its damage costs no more than one that hides it.
#[test]
fn what_cannot_be_read_is_damage_like_any_other() {
    let whole = look(&open(&SimulatedDisk::new(whole_store())).unwrap()).unwrap();
    for store in damaged_stores() {
        let disk = SimulatedDisk::new(store.medium);
        let registry = open(&disk).unwrap_or_else(|error| panic!("{}: {error}", store.name));
        let found = look(&registry).unwrap_or_else(|why| panic!("{}: {why}", store.name));
        let present = |found: &Found| found.values().filter(|value| value.is_some()).count();
        assert!(present(&found) > present(&whole) / 2, "{}", store.name);
        let aside = count(&disk, "journal", ".damaged") + count(&disk, "checkpoint", ".damaged");
        assert!(aside > 0 || store.name.contains("is lost"), "{}: the damage is not reported", store.name);
        smol::block_on(probe(&registry)).unwrap_or_else(|why| panic!("{}: {why}", store.name));
    }
}
