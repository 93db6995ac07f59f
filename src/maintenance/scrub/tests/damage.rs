//! Damage is found, taken out of use, and healed by a push.

use std::path::Path;

use rustix::io::Errno;

use super::*;
use crate::disk::MemoryDisk;
use crate::disk::faulty::FaultyDisk;
use crate::maintenance::scrub::{Scrub, ScrubOptions, ScrubWatch};
use crate::registry::Condemned;

fn in_memory() -> (Registry, Arc<dyn Disk>) {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    (open_on(Arc::clone(&disk)), disk)
}

#[test]
fn a_damaged_blob_is_set_aside_and_a_push_heals_every_repository_that_had_it() {
    let (registry, disk) = in_memory();
    for name in ["one", "two"] {
        push(&registry, name, b"layer");
    }
    push(&registry, "one", b"sound");
    assert!(scrub(&registry).is_sound());
    damage(disk.as_ref(), b"layer");
    let report = scrub(&registry);
    assert_eq!((report.damaged, report.blobs, report.unreadable), (1, 2, 0));
    assert!(report.findings[0].contains("quarantine/"), "{:?}", report.findings);
    for name in ["one", "two"] {
        assert!(!has_blob(&registry, name, b"layer"));
    }
    assert!(has_blob(&registry, "one", b"sound"));
    assert_eq!(registry.quarantined().unwrap().len(), 1);
    assert_eq!(registry.totals().scrub.damaged, 1);

    push(&registry, "two", b"layer");
    for name in ["one", "two"] {
        assert!(has_blob(&registry, name, b"layer"));
    }
    assert!(scrub(&registry).is_sound());
    assert_eq!(registry.quarantined().unwrap().len(), 1, "what was set aside stays");
}

#[test]
fn a_damaged_manifest_is_unknown_until_it_is_pushed_again_and_keeps_its_tag() {
    let (registry, disk) = in_memory();
    push(&registry, "app", b"layer");
    let image = manifest(b"layer");
    put(&registry, "app", &image).unwrap();
    damage(disk.as_ref(), &image);
    assert_eq!(scrub(&registry).damaged, 1);
    assert!(!has_tag(&registry, "app"));
    put(&registry, "app", &image).unwrap();
    assert!(has_tag(&registry, "app"));
}

#[test]
fn a_missing_blob_is_unknown_until_it_is_pushed_again() {
    let (registry, disk) = in_memory();
    push(&registry, "app", b"layer");
    disk.remove(&file_of(b"layer")).unwrap();
    let report = scrub(&registry);
    assert_eq!(report.damaged, 1);
    assert!(report.findings[0].contains("is missing"), "{:?}", report.findings);
    assert!(!has_blob(&registry, "app", b"layer"));
    push(&registry, "app", b"layer");
    assert!(has_blob(&registry, "app", b"layer"));
}

#[test]
fn a_blob_that_is_missing_for_a_moment_stays_in_use() {
    struct PutsBack<'a>(&'a dyn Disk, usize);
    impl Drive for PutsBack<'_> {
        fn took(&mut self, _: u64) -> Result<(), ScrubError> {
            Ok(())
        }

        fn reached(&mut self, _: &Reached) {}

        fn rest(&mut self, _: Duration) -> Result<(), ScrubError> {
            self.1 += 1;
            self.0.rename(Path::new("uploads/away"), &file_of(b"layer")).unwrap();
            Ok(())
        }
    }
    let (registry, disk) = in_memory();
    push(&registry, "app", b"layer");
    disk.rename(&file_of(b"layer"), Path::new("uploads/away")).unwrap();
    let mut drive = PutsBack(disk.as_ref(), 0);
    let report = Pass::new(&registry, &mut drive, Reached::default(), Duration::ZERO).run().unwrap();
    assert_eq!((report.damaged, drive.1), (0, 1));
    assert!(has_blob(&registry, "app", b"layer"));
}

/// Ends a push of something that shares the lock of some content, when the scrub has rested so often.
struct LetsGo<T> {
    lock: Option<T>,
    after_rests: u32,
    rests: u32,
}

impl<T> Drive for LetsGo<T> {
    fn took(&mut self, _: u64) -> Result<(), ScrubError> {
        Ok(())
    }

    fn reached(&mut self, _: &Reached) {}

    fn rest(&mut self, _: Duration) -> Result<(), ScrubError> {
        self.rests += 1;
        if self.rests == self.after_rests {
            self.lock = None;
        }
        Ok(())
    }
}

#[test]
fn damage_that_an_unrelated_push_keeps_in_use_is_put_off_and_not_forgotten() {
    for missing in [false, true] {
        for after_rests in [1, 2] {
            let (registry, disk) = in_memory();
            push(&registry, "app", b"layer");
            damage(disk.as_ref(), b"layer");
            if missing {
                disk.remove(&file_of(b"layer")).unwrap();
            }
            let lock = Some(registry.seem_to_store(&digest(b"layer")));
            let mut drive = LetsGo { lock, after_rests, rests: 0 };
            let pass = Pass::new(&registry, &mut drive, Reached::default(), Duration::ZERO);
            let report = pass.run().unwrap();
            assert_eq!((report.damaged, report.unreadable), (1, 0), "{report:?}");
            assert!(!has_blob(&registry, "app", b"layer"));
        }
    }
}

#[test]
fn damage_in_use_to_the_end_of_a_pass_is_reported_and_quarantined_by_the_next() {
    let (registry, disk) = in_memory();
    push(&registry, "app", b"layer");
    damage(disk.as_ref(), b"layer");
    let lock = registry.seem_to_store(&digest(b"layer"));
    let report = scrub(&registry);
    assert_eq!((report.damaged, report.unreadable), (0, 1), "{report:?}");
    assert!(report.findings[0].contains("being pushed"), "{:?}", report.findings);
    drop(lock);
    assert_eq!(scrub(&registry).damaged, 1);
    assert!(!has_blob(&registry, "app", b"layer"));
}

#[test]
fn what_is_out_of_use_can_be_neither_mounted_nor_referenced() {
    let (registry, disk) = in_memory();
    push(&registry, "app", b"layer");
    damage(disk.as_ref(), b"layer");
    scrub(&registry);
    let layer = digest(b"layer").into();
    let mounted = block_on(registry.mount(&repo("other"), &layer, Some(&repo("app"))));
    assert!(matches!(mounted, Ok(false)));
    assert!(matches!(block_on(registry.mount(&repo("other"), &layer, None)), Ok(false)));
    let refused = put(&registry, "app", &manifest(b"layer"));
    assert!(matches!(refused, Err(RegistryError::ManifestBlobUnknown(_))));
}

#[test]
fn content_that_was_replaced_while_it_was_read_is_no_damage() {
    let (registry, disk) = in_memory();
    push(&registry, "app", b"layer");
    damage(disk.as_ref(), b"layer");
    let read = registry.content().open(&digest(b"layer")).unwrap().unwrap();
    push(&registry, "app", b"layer");
    assert_eq!(registry.condemn(digest(b"layer"), Some(read.as_ref())).unwrap(), Condemned::No);
    assert_eq!(registry.condemn(digest(b"layer"), None).unwrap(), Condemned::No);
    assert!(has_blob(&registry, "app", b"layer"));
    assert!(scrub(&registry).is_sound());
}

#[test]
fn content_that_nothing_names_any_more_is_left_alone() {
    let (registry, _) = in_memory();
    push(&registry, "app", b"layer");
    let other = digest(b"other");
    assert_eq!(registry.condemn(other, None).unwrap(), Condemned::No);
}

#[test]
fn a_read_that_fails_is_tried_again_and_counts_only_when_it_always_fails() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let faulty = FaultyDisk::new(Arc::clone(&disk));
    let faults = faulty.faults();
    let registry = open_on(Arc::new(faulty));
    push(&registry, "app", b"layer");
    let path = file_of(b"layer");
    let path = path.to_str().unwrap();
    for passing in 1..=2 {
        faults.fail_reads(path, passing, Errno::IO);
        let report = scrub(&registry);
        assert!(report.is_sound(), "{passing}: {report:?}");
        assert!(has_blob(&registry, "app", b"layer"));
    }
    faults.fail_reads(path, 3, Errno::IO);
    let report = scrub(&registry);
    assert_eq!((report.damaged, report.unreadable), (1, 1));
    assert!(!has_blob(&registry, "app", b"layer"));
}

#[test]
fn what_is_no_matter_of_the_medium_ends_the_pass_and_condemns_nothing() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let faulty = FaultyDisk::new(Arc::clone(&disk));
    let faults = faulty.faults();
    let registry = open_on(Arc::new(faulty));
    push(&registry, "app", b"layer");
    faults.fail_reads("blobs", 1, Errno::NOMEM);
    let mut drive = Until::the_end();
    assert!(Pass::new(&registry, &mut drive, Reached::default(), Duration::ZERO).run().is_err());
    assert!(has_blob(&registry, "app", b"layer"));
}

#[test]
fn a_device_that_gives_nothing_back_ends_the_pass() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let faulty = FaultyDisk::new(Arc::clone(&disk));
    let faults = faulty.faults();
    let registry = open_on(Arc::new(faulty));
    for number in 0..40 {
        push(&registry, "app", format!("layer {number}").as_bytes());
    }
    faults.fail_reads("blobs", u64::MAX, Errno::IO);
    let mut drive = Until::the_end();
    let ended = Pass::new(&registry, &mut drive, Reached::default(), Duration::ZERO).run();
    assert!(matches!(ended, Err(ScrubError::Device(_))));
    assert_eq!(registry.quarantined().unwrap().len(), 0);
    assert!(has_blob(&registry, "app", b"layer 7"));
}

#[test]
fn a_pull_that_finds_damage_reports_it_to_the_scrub() {
    let (registry, disk) = in_memory();
    push(&registry, "app", b"layer");
    let image = manifest(b"layer");
    put(&registry, "app", &image).unwrap();
    // The cache of manifests' bytes goes with the registry.
    block_on(registry.close()).unwrap();
    drop(registry);
    let registry = open_on(Arc::clone(&disk));
    damage(disk.as_ref(), &image);
    disk.remove(&file_of(b"layer")).unwrap();
    let woken = registry.scrub_waker().unwrap();
    assert!(block_on(registry.manifest(&repo("app"), &"v1".parse().unwrap())).is_err());
    assert!(block_on(registry.open_blob(&repo("app"), &digest(b"layer").into())).is_err());
    let told: Vec<_> = woken.try_iter().flatten().collect();
    assert_eq!(told, [digest(&image), digest(b"layer")]);
    for suspect in told {
        let mut drive = Until::the_end();
        Pass::new(&registry, &mut drive, Reached::default(), Duration::ZERO).suspect(suspect).unwrap();
    }
    assert!(!has_tag(&registry, "app"));
    assert!(!has_blob(&registry, "app", b"layer"));
}

#[test]
fn a_damaged_line_of_a_closed_journal_file_is_reported() {
    let (registry, disk) = in_memory();
    for number in 0..40 {
        push(&registry, "app", format!("layer {number}").as_bytes());
    }
    let report = scrub(&registry);
    assert!(report.is_sound() && report.journal_bytes > JOURNAL_MIN_BYTES, "{report:?}");
    let oldest = disk.list(Path::new("journal")).unwrap()[0].name.clone();
    let path = Path::new("journal").join(oldest);
    disk.open_writable(&path).unwrap().write_at(b"X", 400).unwrap();
    let report = scrub(&registry);
    assert_eq!((report.journal_damaged, report.damaged), (1, 0), "{report:?}");
    assert!(report.findings[0].starts_with("journal/"), "{report:?}");
}

#[test]
fn on_a_read_only_filesystem_nothing_is_set_aside() {
    /// A caller that waits for the end.
    struct Waits;
    impl ScrubWatch for Waits {
        fn goes_on(&mut self, _: u64, _: u64) -> bool {
            true
        }
    }
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open_on(Arc::clone(&disk));
    push(&registry, "a", b"layer");
    block_on(registry.close()).unwrap();
    damage(disk.as_ref(), b"layer");
    let faulty = FaultyDisk::new(disk);
    faulty.faults().set_read_only(true);
    let registry = open_on(Arc::new(faulty));
    let done = Scrub::new(&registry, ScrubOptions::default()).run(&mut Waits);
    assert!(matches!(done, Err(ScrubError::ReadOnly)), "{done:?}");
    assert!(has_blob(&registry, "a", b"layer"));
}
