//! Files without a name after a start that may have lost their rows.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use smol::block_on;

use super::clients::push_all;
use super::collect;
use crate::blobs::blob_path;
use crate::disk::{Disk, RealDisk};
use crate::maintenance::collector::options::CollectOptions;
use crate::maintenance::collector::report::CollectReport;
use crate::meta::{DAY_MS, IndexKind, MetaOptions, SetClock, TODAY_MS};
use crate::registry::{Backing, Registry, RegistryOptions, Storage};
use crate::spec::ContentDigest;

const HOUR: Duration = Duration::from_secs(60 * 60);
const HOUR_MS: u64 = 60 * 60 * 1000;

const BYTES: &[u8] = b"content whose row is lost";

/// A store that was stopped cleanly, and holds a file that no row names.
struct Stopped {
    folder: tempfile::TempDir,
    disk: Arc<dyn Disk>,
    clock: SetClock,
}

impl Stopped {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
        let stopped = Self { folder, disk, clock: SetClock::new(TODAY_MS) };
        // The wall clock has run for long enough to be trusted.
        stopped.clock.pass(DAY_MS);
        let registry = stopped.open(HOUR);
        block_on(push_all(&registry, "a", 0, Some("v1"))).unwrap();
        stop(registry);
        let path = blob_path(&ContentDigest::sha256_of(BYTES));
        stopped.disk.create_folder(path.parent().unwrap()).unwrap();
        stopped.disk.create(&path).unwrap().write_at(BYTES, 0).unwrap();
        stopped
    }

    /// Makes the stop look like a crash.
    fn crash(&self) {
        self.disk.remove(Path::new("clean")).unwrap();
    }

    fn open(&self, grace: Duration) -> Registry {
        let mut options = RegistryOptions::new(Storage::Memory);
        (options.lease, options.grace) = (Duration::ZERO, grace);
        let index = IndexKind::Sled(self.folder.path().to_owned());
        let meta = MetaOptions { clock: self.clock.clock(), ..MetaOptions::new(index) };
        Registry::open_on(options, Backing { disk: Arc::clone(&self.disk), lock: None, meta }).unwrap()
    }

    /// Runs `pulk gc --now` without a server.
    fn collect(&self, grace: Duration, dry_run: bool) -> CollectReport {
        let registry = self.open(grace);
        let options = CollectOptions { alone: true, now: true, dry_run, ..CollectOptions::default() };
        let report = collect(&registry, &options);
        stop(registry);
        report
    }
}

fn stop(registry: Registry) {
    block_on(registry.close()).unwrap();
    drop(registry);
}

fn says_why(report: &CollectReport) -> bool {
    report.notes.iter().any(|note| note.starts_with("files that no row names stay for another"))
}

#[test]
fn after_an_unclean_stop_files_without_a_name_stay_for_the_grace_time_over_all_runs() {
    let store = Stopped::new();
    store.crash();
    for dry_run in [false, true] {
        let report = store.collect(HOUR, dry_run);
        assert_eq!((report.files.held.count, report.files.removed.count), (1, 0), "{report:?}");
        assert!(says_why(&report), "{report:?}");
        store.clock.pass(HOUR_MS / 3);
    }
    let report = store.collect(HOUR, false);
    assert_eq!((report.files.held.count, report.files.removed.count), (1, 0), "{report:?}");
    store.clock.pass(HOUR_MS / 3);
    let report = store.collect(HOUR, false);
    assert_eq!((report.files.held.count, report.files.removed.count), (0, 1), "{report:?}");
    assert!(!says_why(&report), "{report:?}");
}

#[test]
fn after_a_clean_stop_or_without_a_grace_time_they_go_at_once() {
    for (crashes, grace) in [(false, HOUR), (true, Duration::ZERO)] {
        let store = Stopped::new();
        if crashes {
            store.crash();
        }
        let report = store.collect(grace, false);
        assert_eq!((report.files.held.count, report.files.removed.count), (0, 1), "{report:?}");
        assert!(!says_why(&report), "{report:?}");
    }
}
