//! The cost of a collector pass over a large store, and what is left after everything is removed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use pulk::{
    CollectOptions, CollectReport, Collector, CollectorOptions, KeepRule, Policies, Policy, Registry,
    RegistryOptions, Storage, Untagged,
};

use crate::common::journal::{Bytes, Scale, write_store};
use crate::common::place;
use crate::common::process;
use crate::common::table::{self, kib, mib};

const SCALE: Scale = Scale { repositories: 100, manifests: 100_000 };

/// The unit of the blocks that stat(2) counts.
const BLOCK_SIZE_BYTES: u64 = 512;

/// Prints the cost of a full mark, and then of removing everything.
pub fn measure() {
    let folder = place::folder();
    let data = folder.path().join("data");
    let journal = write_store(&data, SCALE, Bytes::OfManifests);
    smol::block_on(open(&data, Policies::default()).close()).unwrap();
    table::heading(
        "Collecting",
        &format!(
            "A store of {} manifests, each with a tag, in {} repositories, and {} links, opened after a \
             clean stop; one pass without pauses, on one thread. *processor*: time of the whole process. \
             *memory*: how much the peak of resident memory during the pass exceeds the value before it. \
             *content left*, *index*: sizes of `blobs/` and `index/` afterwards; the journal has {}.",
            SCALE.manifests,
            SCALE.repositories,
            SCALE.links(),
            mib(journal),
        ),
    );
    table::columns(&["pass", "time", "processor", "memory", "removed", "content left", "index"]);
    pass("over everything, nothing to remove", &data, Policies::default());
    let none = Policy {
        repositories: vec!["*".parse().unwrap()],
        keep: vec![KeepRule::newest(0)],
        untagged: Some(Untagged::RemoveAfter(Duration::ZERO)),
        ..Policy::default()
    };
    pass("everything is removed", &data, Policies::new(vec![none]));
    left(&data, &folder.path().join("empty"));
}

/// Prints what remains on the disk, beside a store that never had content.
fn left(data: &Path, empty: &Path) {
    println!(
        "\nWhat remains on the disk, in blocks of files and folders, beside a store that was created and \
         closed empty. *opened again*: after another start and a clean stop.\n"
    );
    table::columns(&["store", "blobs", "uploads", "index", "journal"]);
    smol::block_on(open(empty, Policies::default()).close()).unwrap();
    row_of("new and empty", empty);
    row_of("everything removed", data);
    smol::block_on(open(data, Policies::default()).close()).unwrap();
    row_of("everything removed, opened again", data);
}

fn row_of(name: &str, data: &Path) {
    let folders = ["blobs", "uploads", "index", "journal"];
    let used = folders.map(|folder| kib(blocks_in(&data.join(folder)) as f64));
    table::row(&[&[name.to_owned()], used.as_slice()].concat());
}

/// Returns what a folder and everything in it take on the disk, in bytes.
fn blocks_in(folder: &Path) -> u64 {
    let own = fs::metadata(folder).unwrap().blocks() * BLOCK_SIZE_BYTES;
    let below = fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let is_folder = entry.file_type().unwrap().is_dir();
        if is_folder {
            blocks_in(&entry.path())
        } else {
            entry.metadata().unwrap().blocks() * BLOCK_SIZE_BYTES
        }
    });
    own + below.sum::<u64>()
}

fn open(data: &Path, policies: Policies) -> Registry {
    let mut options = RegistryOptions::new(Storage::Folder(data.to_owned()));
    (options.lease, options.grace, options.policies) = (Duration::ZERO, Duration::ZERO, policies);
    Registry::open(options).unwrap()
}

fn pass(what: &str, data: &Path, policies: Policies) {
    let registry = open(data, policies);
    let collector = Collector::new(&registry, CollectorOptions::default());
    let own = std::process::id();
    // Resets the peak.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let (resident, used) = (process::memory(own).resident, process::processor_seconds(own));
    let options = CollectOptions { unpaced: true, ..CollectOptions::default() };
    let report: CollectReport = collector.run(&options, &mut |_| {}).unwrap();
    let (peak, used) = (process::memory(own).peak, process::processor_seconds(own) - used);
    assert!(report.complete && report.unreadable.is_empty(), "{report:?}");
    smol::block_on(registry.close()).unwrap();
    drop((collector, registry));
    table::row(&[
        what.to_owned(),
        format!("{:.1} s", report.duration_ms as f64 / 1e3),
        format!("{used:.1} s"),
        mib(peak.saturating_sub(resident)),
        format!("{} manifests, {} links", report.manifests.removed.count, report.links.removed.count),
        mib(bytes_in(&data.join("blobs"))),
        mib(bytes_in(&data.join("index"))),
    ]);
}

/// Returns the bytes of all files below a folder.
fn bytes_in(folder: &Path) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        bytes += if kind.is_dir() { bytes_in(&entry.path()) } else { entry.metadata().unwrap().len() };
    }
    bytes
}
