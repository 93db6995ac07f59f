//! Maintenance jobs, run once on a disk that records every step, and what must hold if the power is cut
//! during one.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use smol::block_on;

use crate::blobs::blob_path;
use crate::crash_tests::{each_power_cut, is_soak, missed, places};
use crate::disk::Disk;
use crate::disk::simulated::{Medium, Place, SimulatedDisk, Step};
use crate::maintenance::{CollectOptions, Collector, CollectorOptions, Scrub, ScrubOptions, ScrubWatch};
use crate::meta::{IndexKind, MetaOptions, Policies, Policy, SWEEP_CANDIDATES_MAX, remembered_policies};
use crate::registry::{Backing, Chunk, Registry, RegistryError, RegistryOptions, Storage};
use crate::spec::ContentDigest;

const DAMAGED: &[u8] = b"damaged layer";

/// How much content a collection removes: several sweeps of it.
const COLLECTED: usize = 6 * SWEEP_CANDIDATES_MAX;

/// Returns what is wrong with the state that a power cut left after a number of steps.
type Check = Box<dyn Fn(usize, Medium) -> Result<(), String> + Send + Sync>;

/// A maintenance job that was run on a store.
pub(crate) struct Job {
    name: &'static str,
    /// The store when the job began.
    base: Medium,
    steps: Vec<Step>,
    /// The power is cut after one step in `one_in`.
    one_in: usize,
    check: Check,
}

impl Job {
    /// Returns all places that made something durable.
    pub(crate) fn places(&self) -> BTreeSet<Place> {
        places(&self.steps)
    }

    /// Returns the first state that fails when the syncs of a place have no effect, and why it does.
    pub(crate) fn missed(&self, place: Place) -> Option<String> {
        missed(self.name, (&self.base, &self.steps), place, &self.check)
    }
}

/// Runs each job once.
pub(crate) fn jobs() -> Vec<Job> {
    vec![scrub(), healing(), collection(), policies()]
}

fn open(medium: Medium) -> Result<(Registry, SimulatedDisk), String> {
    let disk = SimulatedDisk::new(medium);
    let opened = Backing { disk: Arc::new(disk.clone()), lock: None, meta: MetaOptions::new(IndexKind::Map) };
    // Without a grace time, a collection removes files without a name right after a power cut. The jobs are
    // about files.
    let options = RegistryOptions {
        grace: Duration::ZERO,
        carried_max_bytes: 0,
        ..RegistryOptions::new(Storage::Memory)
    };
    let registry = Registry::open_on(options, opened);
    Ok((registry.map_err(|error| format!("it does not open: {error}"))?, disk))
}

fn push(registry: &Registry, content: &[u8]) -> Result<(), RegistryError> {
    let repo = "app".parse().unwrap();
    block_on(async {
        let id = registry.begin_upload(&repo, None).await?;
        let chunk = Chunk { body: content, length: Some(content.len() as u64), range: None };
        registry.finish_upload(&repo, id, &ContentDigest::sha256_of(content).into(), chunk).await
    })
    .map(drop)
}

fn is_served(registry: &Registry, content: &[u8]) -> Result<bool, String> {
    let (repo, digest) = ("app".parse().unwrap(), ContentDigest::sha256_of(content).into());
    match block_on(registry.blob_size(&repo, &digest)) {
        Ok(_) => Ok(true),
        Err(RegistryError::BlobUnknown(_)) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

fn bytes_of(disk: &SimulatedDisk, path: &Path) -> Vec<u8> {
    let file = disk.open(path).unwrap();
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

struct Patient;

impl ScrubWatch for Patient {
    fn goes_on(&mut self, _: u64, _: u64) -> bool {
        true
    }
}

/// A scrub finds damage, sets it aside, and records that; a scrub without findings preceded it.
fn scrub() -> Job {
    let path = blob_path(&ContentDigest::sha256_of(DAMAGED));
    let (registry, disk) = open(Medium::new().garbling()).unwrap();
    push(&registry, DAMAGED).unwrap();
    push(&registry, b"sound layer").unwrap();
    let first = Scrub::new(&registry, ScrubOptions::default()).run(&mut Patient).unwrap();
    assert!(first.is_sound());
    disk.open_writable(&path).unwrap().write_at(b"X", 1).unwrap();
    let damaged = bytes_of(&disk, &path);
    block_on(registry.close()).unwrap();

    let (registry, disk) = open(disk.medium().settled()).unwrap();
    let (base, before) = disk.cut();
    let second = Scrub::new(&registry, ScrubOptions::default()).run(&mut Patient).unwrap();
    assert_eq!(second.damaged, 1);
    let steps = disk.steps().split_off(before.len());
    let ended = steps.len();
    let check = move |at: usize, left: Medium| {
        let (registry, disk) = open(left)?;
        let folder = Path::new("quarantine");
        let entries = disk.list(folder).map_err(|error| error.to_string())?;
        let aside = entries.iter().any(|entry| bytes_of(&disk, &folder.join(&entry.name)) == damaged);
        // Before the end, a new scrub finds it, damaged or missing: the scrub's own tests try that.
        if at >= ended && !aside {
            return Err("what was set aside is not in quarantine".to_owned());
        }
        if at >= ended && is_served(&registry, DAMAGED)? {
            return Err("damaged content is served".to_owned());
        }
        if !is_served(&registry, b"sound layer")? {
            return Err("sound content is lost".to_owned());
        }
        let last = Scrub::new(&registry, ScrubOptions::default()).status().map(|status| status.last);
        match last.map_err(|error| error.to_string())? {
            Some(last) if last == first || last == second => {}
            last => return Err(format!("the last full pass is neither of the two: {last:?}")),
        }
        push(&registry, DAMAGED).map_err(|error| error.to_string())?;
        let healed = is_served(&registry, DAMAGED)? && bytes_of(&disk, &path) == DAMAGED;
        if healed { Ok(()) } else { Err("a push does not heal it".to_owned()) }
    };
    Job { name: "a scrub that finds damage", base, steps, one_in: 1, check: Box::new(check) }
}

/// A push replaces a damaged file. No history can: content whose file is sound is not stored again.
fn healing() -> Job {
    let path = blob_path(&ContentDigest::sha256_of(DAMAGED));
    let (registry, disk) = open(Medium::new().garbling()).unwrap();
    push(&registry, DAMAGED).unwrap();
    disk.open_writable(&path).unwrap().write_at(b"X", 1).unwrap();
    block_on(registry.close()).unwrap();

    let (registry, disk) = open(disk.medium().settled()).unwrap();
    let (base, before) = disk.cut();
    let damaged = bytes_of(&disk, &path);
    push(&registry, DAMAGED).unwrap();
    let steps = disk.steps().split_off(before.len());
    let ended = steps.len();
    let check = move |at: usize, left: Medium| {
        let (_registry, disk) = open(left)?;
        let bytes = bytes_of(&disk, &path);
        if bytes == DAMAGED || at < ended && bytes == damaged {
            return Ok(());
        }
        Err(format!("the file has {} bytes that are neither the old nor the new ones", bytes.len()))
    };
    Job { name: "a push that replaces a damaged file", base, steps, one_in: 1, check: Box::new(check) }
}

/// A start with other policies than the store remembers.
fn policies() -> Job {
    let policies = |pattern: &str| {
        let (repositories, immutable) = (vec!["*".parse().unwrap()], vec![pattern.parse().unwrap()]);
        Policies::new(vec![Policy { repositories, immutable, ..Policy::default() }])
    };
    let serve = |medium: Medium, policies: &Policies| {
        let disk = SimulatedDisk::new(medium);
        let meta = MetaOptions::new(IndexKind::Map);
        let opened = Backing { disk: Arc::new(disk.clone()), lock: None, meta };
        let options = RegistryOptions { policies: policies.clone(), ..RegistryOptions::new(Storage::Memory) };
        let registry = Registry::open_on(options, opened).unwrap();
        (registry, disk)
    };
    let (old, new) = (policies("v*"), policies("release-*"));
    let (registry, disk) = serve(Medium::new().garbling(), &old);
    block_on(registry.close()).unwrap();
    let base = disk.medium().settled();
    let (_registry, disk) = serve(base.clone(), &new);
    let steps = disk.steps();
    let ended = steps.len();
    let check = move |at: usize, left: Medium| match remembered_policies(&SimulatedDisk::new(left)) {
        Ok(Some(read)) if read == new || at < ended && read == old => Ok(()),
        read => Err(format!("the store remembers {read:?}")),
    };
    Job { name: "a start with other policies", base, steps, one_in: 1, check: Box::new(check) }
}

fn layer(number: usize) -> Vec<u8> {
    format!("layer {number}").into_bytes()
}

/// A collection of several sweeps. Whatever of it a power cut brings back, another collection removes.
fn collection() -> Job {
    let (registry, disk) = open(Medium::new().garbling()).unwrap();
    for number in 0..COLLECTED {
        push(&registry, &layer(number)).unwrap();
    }
    block_on(registry.close()).unwrap();

    let (registry, disk) = open(disk.medium().settled()).unwrap();
    let (base, before) = disk.cut();
    let collector = Collector::new(&registry, CollectorOptions::default());
    let options = CollectOptions { alone: true, now: true, unpaced: true, ..CollectOptions::default() };
    let report = collector.run(&options, &mut |_| {}).unwrap();
    assert_eq!(report.content.removed.count, COLLECTED as u64);
    let steps = disk.steps().split_off(before.len());
    // It shows after the last removal; opening each earlier state would take too long.
    let shows = steps.iter().rposition(|step| matches!(step, Step::Remove(_))).unwrap();
    let check = move |at: usize, left: Medium| {
        if at <= shows {
            return Ok(());
        }
        let (registry, disk) = open(left)?;
        let collector = Collector::new(&registry, CollectorOptions::default());
        let report = collector.run(&options, &mut |_| {}).map_err(|error| error.to_string())?;
        let came_back = (0..COLLECTED).map(|number| ContentDigest::sha256_of(&layer(number)));
        match came_back.filter(|digest| disk.open(&blob_path(digest)).is_ok()).count() {
            0 if report.complete => Ok(()),
            left => Err(format!("{left} files are left: {:?}", report.notes)),
        }
    };
    Job { name: "a collection", base, one_in: steps.len(), steps, check: Box::new(check) }
}

#[test]
fn a_scrub_a_healing_push_a_collection_and_a_start_with_other_policies_can_die_at_any_moment() {
    let each = if is_soak() { 64 } else { 4 };
    let mut tried = 0;
    for Job { name, base, steps, one_in, check } in jobs() {
        tried += each_power_cut(&base, &steps, one_in, each, |at, left| {
            check(at, left).unwrap_or_else(|why| panic!("{name}, step {at}: {why}"));
        });
    }
    assert!(tried > 50, "{tried} states were tried");
}
