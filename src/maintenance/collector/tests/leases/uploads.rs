//! An upload that is silent for longer than leases last.

use std::sync::Arc;
use std::time::Duration;

use smol::block_on;
use smol::io::Cursor;

use super::super::clients::{push_blob, put, repo};
use super::super::clocks::HOUR;
use super::super::collect;
use super::super::content::{blob, blob_digest};
use crate::disk::{Disk, MemoryDisk};
use crate::maintenance::collector::options::CollectOptions;
use crate::meta::{IndexKind, MetaOptions};
use crate::registry::{Backing, Chunk, Registry, RegistryOptions, Storage, UploadId};

fn open(disk: &Arc<dyn Disk>, lease: Duration) -> Registry {
    let mut options = RegistryOptions::new(Storage::Memory);
    (options.lease, options.grace) = (lease, lease);
    let backing = Backing { disk: Arc::clone(disk), lock: None, meta: MetaOptions::new(IndexKind::Map) };
    let registry = Registry::open_on(options, backing).unwrap();
    registry.upkeep().complete_now();
    registry
}

/// Pushes the first blobs of image 0, and half of the last one.
async fn begin_push(registry: &Registry) -> UploadId {
    let id = registry.begin_upload(&repo("a"), None).await.unwrap();
    push_blob(registry, "a", 0).await.unwrap();
    push_blob(registry, "a", 1).await.unwrap();
    let half = Cursor::new(blob(2)[..20].to_vec());
    registry.append(&repo("a"), id, Chunk { body: half, length: Some(20), range: None }).await.unwrap();
    id
}

async fn end_push(registry: &Registry, id: UploadId) {
    // After a restart, what is not a whole block is gone.
    let offset = registry.upload_offset(&repo("a"), id).await.unwrap();
    let rest = Cursor::new(blob(2)[usize::try_from(offset).unwrap()..].to_vec());
    let chunk = Chunk { body: rest, length: None, range: None };
    registry.finish_upload(&repo("a"), id, &blob_digest(2).into(), chunk).await.unwrap();
}

fn has(registry: &Registry, number: usize) -> bool {
    registry.view().link(&repo("a"), &blob_digest(number)).unwrap().is_some()
}

/// Lets time pass while nothing comes, with passes of the collector.
fn be_silent(registry: &Registry, (times, lease): (usize, Duration)) {
    for _ in 0..times {
        registry.upkeep().grow_older(lease);
        collect(registry, &CollectOptions::default());
        collect(registry, &CollectOptions { now: true, ..CollectOptions::default() });
    }
}

#[test]
fn an_upload_that_is_silent_for_longer_than_a_lease_keeps_what_was_pushed_since_it_began() {
    block_on(async {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let registry = open(&disk, HOUR);
        push_blob(&registry, "a", 3).await.unwrap();
        registry.upkeep().grow_older(HOUR);
        let id = begin_push(&registry).await;
        be_silent(&registry, (10, HOUR));
        assert!(!has(&registry, 3), "it came before the upload");
        end_push(&registry, id).await;
        // The manifest comes a little later.
        collect(&registry, &CollectOptions::default());
        put(&registry, "a", 0, Some("v1")).await.unwrap();
        be_silent(&registry, (5, HOUR));
        assert!((0..3).all(|number| has(&registry, number)));
    });
}

#[test]
fn after_a_restart_an_unfinished_upload_keeps_all_of_its_repository() {
    // An upload of which nothing is durable is given up after an hour.
    let lease = HOUR / 6;
    block_on(async {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let registry = open(&disk, lease);
        let id = begin_push(&registry).await;
        registry.close().await.unwrap();
        drop(registry);
        let registry = open(&disk, lease);
        be_silent(&registry, (5, lease));
        end_push(&registry, id).await;
        collect(&registry, &CollectOptions::default());
        put(&registry, "a", 0, Some("v1")).await.unwrap();
    });
}

#[test]
fn an_upload_that_is_given_up_holds_nothing_any_more() {
    block_on(async {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let registry = open(&disk, HOUR);
        begin_push(&registry).await;
        be_silent(&registry, (23, HOUR));
        assert!(has(&registry, 0) && has(&registry, 1));
        be_silent(&registry, (3, HOUR));
        registry.upkeep().expire_uploads();
        be_silent(&registry, (3, HOUR));
        assert!(!has(&registry, 0) && !has(&registry, 1));
    });
}
