//! Files of swept content: none is left over, after a stop between two steps or a disk failure.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use smol::block_on;

use super::clients::push_blob;
use super::content::{BLOBS, blob_digest};
use super::{collect, in_memory, no_step, open_on, open_with, pass, try_pass};
use crate::blobs::blob_path;
use crate::disk::faulty::{Faults, FaultyDisk, Operation};
use crate::disk::{Disk, MemoryDisk};
use crate::maintenance::collector::error::CollectError;
use crate::maintenance::collector::options::CollectOptions;
use crate::meta::{DAY_MS, IndexKind, MetaOptions, SetClock, TODAY_MS};
use crate::registry::{Backing, Registry, RegistryError, RegistryOptions, Storage};
use crate::spec::ContentDigest;

fn options() -> CollectOptions {
    CollectOptions::default()
}

/// Pushes all blobs to a repository without any manifest, so that they go with the next pass.
fn push_all_blobs(registry: &Registry) {
    for number in 0..BLOBS {
        block_on(push_blob(registry, "a", number)).unwrap();
    }
}

/// Tells which files of blobs are there.
fn files(disk: &dyn Disk) -> Vec<usize> {
    (0..BLOBS).filter(|number| disk.open(&blob_path(&blob_digest(*number))).is_ok()).collect()
}

#[test]
fn between_two_steps_of_a_pass_no_file_is_without_a_name() {
    let registry = in_memory(None);
    push_all_blobs(&registry);
    let mut steps = 0;
    let mut between = || {
        steps += 1;
        assert_eq!(registry.upkeep().unnamed(no_step).unwrap(), Vec::new(), "a stop at step {steps}");
    };
    let report = pass(&registry, &options(), &mut between, &mut |_| {});
    assert_eq!((report.content.removed.count, report.files.examined.count), (BLOBS as u64, 0));
    assert!(steps > 0);
}

/// Fills the journal's disk for this number of lines.
fn fill(faults: &Faults, lines: usize) {
    (0..lines).for_each(|_| faults.fail(Operation::Write, "journal", Errno::NOSPC));
}

#[test]
fn without_space_for_the_store_time_a_pass_removes_what_is_unneeded() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let faulty = FaultyDisk::new(Arc::clone(&disk));
    let faults = faulty.faults();
    let clock = SetClock::new(TODAY_MS);
    let registry = open_with(Arc::new(faulty), Duration::ZERO, None, clock.clock());
    push_all_blobs(&registry);
    clock.pass(2 * DAY_MS);
    let needs_ages = CollectOptions { untagged_older_than: Some(Duration::from_secs(1)), ..options() };
    fill(&faults, 1);
    let report = pass(&registry, &needs_ages, &mut || {}, &mut |_| {});
    assert_eq!((report.content.removed.count, files(disk.as_ref())), (BLOBS as u64, Vec::new()));
}

#[test]
fn without_space_for_the_removal_of_rows_a_pass_removes_the_files_that_have_none() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let faulty = FaultyDisk::new(Arc::clone(&disk));
    let faults = faulty.faults();
    let registry = open_on(Arc::new(faulty), Duration::ZERO, None);
    push_all_blobs(&registry);
    registry.content().write_files().unwrap();
    disk.create(Path::new("uploads/ended")).unwrap();
    fill(&faults, 1);
    let (report, done) = try_pass(&registry, &options(), &mut || {}, &mut |_| {});
    assert!(matches!(done, Err(CollectError::Registry(RegistryError::NoSpace))), "{done:?}");
    assert_eq!((report.files.removed.count, files(disk.as_ref()).len()), (1, BLOBS));
    let report = pass(&registry, &options(), &mut || {}, &mut |_| {});
    assert_eq!(report.content.removed.count, BLOBS as u64);
}

#[test]
fn a_file_that_cannot_be_removed_keeps_no_other_and_goes_with_the_next_pass() {
    for crash in [false, true] {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let faulty = FaultyDisk::new(Arc::clone(&disk));
        let faults = faulty.faults();
        let registry = open_on(Arc::new(faulty), Duration::ZERO, None);
        push_all_blobs(&registry);
        registry.content().write_files().unwrap();
        faults.fail(Operation::Remove, "blobs", Errno::IO);
        let (report, done) = try_pass(&registry, &options(), &mut || {}, &mut |_| {});
        assert!(done.is_err() && !report.complete, "the failure is reported");
        assert_eq!(files(disk.as_ref()).len(), 1, "the first failed, and the others are gone");
        let registry = if crash {
            // Without the marker, a stop is a crash.
            drop(registry);
            let _ = disk.remove(Path::new("clean"));
            open_on(Arc::clone(&disk), Duration::ZERO, None)
        } else {
            registry
        };
        assert_eq!(files(disk.as_ref()).len(), 1, "a start removes no content");
        assert_eq!(collect(&registry, &options()).files.removed.count, 1);
        assert!(files(disk.as_ref()).is_empty(), "after a crash: {crash}");
    }
}

/// Any number of files can lose their names, as when an old copy of the journal is put back.
#[test]
fn files_without_a_name_go_by_their_age_however_many_they_are() {
    const FILES: usize = 1000;
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    drop(open_on(Arc::clone(&disk), Duration::ZERO, None));
    for number in 0..FILES {
        let digest = ContentDigest::sha256_of(&number.to_le_bytes());
        let path = blob_path(&digest);
        disk.create_folder(path.parent().unwrap()).unwrap();
        disk.create(&path).unwrap().write_at(&number.to_le_bytes(), 0).unwrap();
    }
    let open = |grace| {
        let options =
            RegistryOptions { lease: Duration::ZERO, grace, ..RegistryOptions::new(Storage::Memory) };
        let meta = MetaOptions::new(IndexKind::Map);
        Registry::open_on(options, Backing { disk: Arc::clone(&disk), lock: None, meta }).unwrap()
    };
    let young = collect(&open(Duration::from_secs(3600)), &options());
    assert_eq!((young.files.held.count, young.files.removed.count), (FILES as u64, 0));
    let report = collect(&open(Duration::ZERO), &options());
    assert_eq!((report.complete, report.files.removed.count), (true, FILES as u64));
}

#[test]
fn on_a_read_only_filesystem_a_pass_shows_what_it_would_remove_and_removes_nothing() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open_on(Arc::clone(&disk), Duration::ZERO, None);
    push_all_blobs(&registry);
    block_on(registry.close()).unwrap();
    let faulty = FaultyDisk::new(Arc::clone(&disk));
    let faults = faulty.faults();
    let disk: Arc<dyn Disk> = Arc::new(faulty);
    faults.set_read_only(true);
    let check = |registry: &Registry| {
        let (_, done) = try_pass(registry, &options(), &mut || {}, &mut |_| {});
        assert!(matches!(done, Err(CollectError::Registry(RegistryError::ReadOnly))), "{done:?}");
        let dry = collect(registry, &CollectOptions { dry_run: true, ..options() });
        assert_eq!((dry.links.removed.count, files(disk.as_ref()).len()), (BLOBS as u64, BLOBS));
    };
    check(&open_on(Arc::clone(&disk), Duration::ZERO, None));

    faults.set_read_only(false);
    let registry = open_on(Arc::clone(&disk), Duration::ZERO, None);
    faults.set_read_only(true);
    block_on(push_blob(&registry, "a", 0)).unwrap_err();
    check(&registry);
}
