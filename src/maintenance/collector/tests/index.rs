//! What becomes of the index's files when what it was about has gone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use smol::block_on;

use super::clients::{push_all, push_blob, put, repo};
use super::content::manifest;
use super::{collect, pass};
use crate::disk::{Disk, RealDisk};
use crate::maintenance::collector::options::{CollectOptions, CollectorOptions};
use crate::maintenance::collector::worker::Collector;
use crate::meta::{IndexKind, MetaOptions, falsify};
use crate::registry::{Backing, Registry, RegistryOptions, Storage};

/// Opens a registry whose index is in sled, below a folder, and far too large as soon as it takes anything.
fn with_sled(folder: &Path) -> Registry {
    with_journal(folder, u64::MAX)
}

/// The same, with journal files of this length.
fn with_journal(folder: &Path, journal_min_bytes: u64) -> Registry {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder).unwrap());
    let mut options = RegistryOptions::new(Storage::Memory);
    (options.lease, options.grace) = (Duration::ZERO, Duration::ZERO);
    // What became of tags goes with them.
    options.history_keep = Duration::ZERO;
    options.index_worthwhile_bytes = 0;
    let kind = IndexKind::Sled(folder.to_owned());
    let meta = MetaOptions { journal_min_bytes, ..MetaOptions::new(kind) };
    Registry::open_on(options, Backing { disk, lock: None, meta }).unwrap()
}

fn generation(folder: &Path) -> Option<String> {
    let entries = std::fs::read_dir(folder.join("index")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.into_iter().find(|name| name.starts_with("generation"))
}

#[test]
fn a_pass_that_removed_something_looks_at_the_index_and_one_that_did_not_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let registry = with_sled(folder.path());
    block_on(push_all(&registry, "a", 0, Some("v1"))).unwrap();
    assert!(collect(&registry, &CollectOptions::default()).complete);
    assert_eq!(generation(folder.path()), None);
    block_on(push_blob(&registry, "a", 5)).unwrap();
    let dry = CollectOptions { dry_run: true, ..CollectOptions::default() };
    assert_eq!(collect(&registry, &dry).links.removed.count, 1);
    assert_eq!(generation(folder.path()), None);

    let mut pushed = 0;
    let mut push_meanwhile = || {
        pushed += 1;
        let name = format!("b{pushed}");
        block_on(push_all(&registry, &name, 1, Some("v1"))).unwrap();
    };
    let report = pass(&registry, &CollectOptions::default(), &mut push_meanwhile, &mut |_| {});
    assert!(report.complete && report.links.removed.count == 1, "{report:?}");
    assert_eq!(generation(folder.path()).as_deref(), Some("generation-1"));
    block_on(put(&registry, "a", 0, Some("v2"))).unwrap();
    for number in 1..=pushed {
        let digest = manifest(1).digest;
        let row = registry.view().manifest(&repo(&format!("b{number}")), &digest).unwrap();
        assert!(row.is_some(), "{number}");
    }
    assert!(collect(&registry, &CollectOptions::default()).complete);
    assert_eq!(generation(folder.path()).as_deref(), Some("generation-1"));
    block_on(registry.close()).unwrap();
}

fn checkpoints(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("checkpoint")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".checkpoint")).collect()
}

#[test]
fn what_is_gone_from_the_index_goes_from_the_checkpoints_with_the_same_pass() {
    let folder = tempfile::tempdir().unwrap();
    let registry = with_journal(folder.path(), 1000);
    let name = |number: usize| format!("a{number}");
    let mut pushed = 0;
    while pushed < 40 || checkpoints(folder.path()).len() < 2 {
        block_on(push_all(&registry, &name(pushed), 0, Some("v1"))).unwrap();
        pushed += 1;
        assert!(pushed < 10_000, "no checkpoints are taken");
    }
    block_on(registry.close()).unwrap();
    drop(registry);
    let registry = with_sled(folder.path());
    let before = checkpoints(folder.path());
    assert_eq!(before.len(), 2);
    // Almost nothing is left, so that both are far longer than a new one, whenever they were taken.
    for number in 0..pushed {
        block_on(registry.delete_manifest(&repo(&name(number)), &manifest(0).digest.into())).unwrap();
    }
    let report = collect(&registry, &CollectOptions::default());
    assert!(report.complete && report.links.removed.count > 0, "{report:?}");
    let after = checkpoints(folder.path());
    assert!(after.len() == 2 && !after.iter().any(|name| before.contains(name)), "{before:?} {after:?}");
    block_on(registry.close()).unwrap();
}

#[test]
fn a_collector_that_starts_looks_at_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let registry = with_sled(folder.path());
    block_on(push_all(&registry, "a", 0, Some("v1"))).unwrap();
    let collector = Collector::new(&registry, CollectorOptions::default());
    collector.start().unwrap();
    for _ in 0..10_000 {
        if generation(folder.path()).is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(generation(folder.path()).as_deref(), Some("generation-1"));
    collector.stop();
    block_on(put(&registry, "a", 0, Some("v2"))).unwrap();
    block_on(registry.close()).unwrap();
}

#[test]
fn nothing_is_removed_by_an_index_that_lost_rows_after_a_clean_stop() {
    let folder = tempfile::tempdir().unwrap();
    let registry = with_sled(folder.path());
    block_on(push_all(&registry, "a", 0, Some("v1"))).unwrap();
    let rows = registry.totals();
    block_on(registry.close()).unwrap();
    drop(registry);
    falsify(&folder.path().join("index"));
    let registry = with_sled(folder.path());
    // A pass that comes earlier ends with an error while the index is rebuilt.
    block_on(registry.settled()).unwrap();
    let report = collect(&registry, &CollectOptions::default());
    assert!(report.complete, "{report:?}");
    assert_eq!((report.content.removed.count, report.links.removed.count), (0, 0), "{report:?}");
    assert_eq!((registry.totals().blobs, registry.totals().blob_bytes), (rows.blobs, rows.blob_bytes));
    let reference = crate::spec::Reference::Tag("v1".parse().unwrap());
    block_on(registry.manifest(&repo("a"), &reference)).unwrap();
}
