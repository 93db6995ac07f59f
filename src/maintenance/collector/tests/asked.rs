//! Requested passes.

use std::sync::Arc;
use std::time::Duration;

use smol::block_on;

use super::clients::{push_all, push_blob, repo};
use super::content::blob_digest;
use super::{collect, in_memory};
use crate::disk::{Disk, MemoryDisk};
use crate::maintenance::collector::error::CollectError;
use crate::maintenance::collector::options::{CollectOptions, CollectWatch, CollectorOptions};
use crate::maintenance::collector::report::Verdict;
use crate::maintenance::collector::worker::Collector;
use crate::meta::{IndexKind, MetaOptions};
use crate::registry::{Backing, Registry, RegistryOptions, Storage};

const HOUR: Duration = Duration::from_secs(3600);

/// A caller that wants a pass until it has begun.
struct GivesUp {
    asked: usize,
}

impl CollectWatch for GivesUp {
    fn verdict(&mut self, _: &Verdict) {}

    fn is_wanted(&mut self, has_begun: bool) -> bool {
        self.asked += usize::from(has_begun);
        !has_begun
    }
}

#[test]
fn a_pass_that_its_client_gives_up_goes_no_further() {
    let registry = in_memory(None);
    for name in ["a", "b"] {
        block_on(push_blob(&registry, name, 0)).unwrap();
    }
    let collector = Collector::new(&registry, CollectorOptions::default());
    let mut watch = GivesUp { asked: 0 };
    let ended = collector.run_for(&CollectOptions::default(), &mut watch);
    assert!(matches!(ended, Err(CollectError::Unwanted)), "{ended:?}");
    assert_eq!(watch.asked, 1);
    let both = ["a", "b"].map(|name| registry.view().link(&repo(name), &blob_digest(0)).unwrap());
    assert!(both[1].is_some(), "{both:?}");
}

fn with_grace(disk: Arc<dyn Disk>) -> Registry {
    let mut options = RegistryOptions::new(Storage::Memory);
    (options.lease, options.grace) = (HOUR / 6, 4 * HOUR);
    let meta = MetaOptions::new(IndexKind::Map);
    Registry::open_on(options, Backing { disk, lock: None, meta }).unwrap()
}

#[test]
fn now_removes_what_is_young_and_spares_what_is_leased() {
    let registry = with_grace(Arc::new(MemoryDisk::new()));
    registry.upkeep().complete_now();
    block_on(push_blob(&registry, "a", 0)).unwrap();
    // This is longer than a lease, and shorter than the grace time.
    registry.upkeep().grow_older(HOUR);
    block_on(push_blob(&registry, "a", 1)).unwrap();
    let links = |now: bool| {
        let report = collect(&registry, &CollectOptions { now, ..CollectOptions::default() });
        (report.links.held.count, report.links.removed.count)
    };
    assert_eq!(links(false), (2, 0));
    assert_eq!(links(true), (1, 1));
    assert!(registry.view().link(&repo("a"), &blob_digest(1)).unwrap().is_some());
}

/// What a server knew of a mount is gone with it: the file is old, and only the journal tells.
#[test]
fn what_was_mounted_a_moment_before_the_server_stopped_stays() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = with_grace(Arc::clone(&disk));
    block_on(push_all(&registry, "a", 0, Some("v1"))).unwrap();
    let digest = blob_digest(0).into();
    assert!(block_on(registry.mount(&repo("b"), &digest, Some(&repo("a")))).unwrap());
    block_on(registry.close()).unwrap();
    drop(registry);
    let collected = |now: bool| {
        let registry = with_grace(Arc::clone(&disk));
        let report = collect(&registry, &CollectOptions { alone: true, now, ..CollectOptions::default() });
        assert!(report.complete, "{report:?}");
        block_on(registry.close()).unwrap();
        (report.links.held.count, report.links.removed.count)
    };
    assert_eq!(collected(false), (1, 0));
    assert_eq!(collected(true), (0, 1));
}
