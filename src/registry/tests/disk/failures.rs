//! Pushes on a failing disk: only durable content is acknowledged.

use rustix::io::Errno;
use smol::block_on;

use super::*;
use crate::blobs::blob_path;
use crate::disk::faulty::Operation;
use crate::disk::simulated::{Fault, FaultKind, Medium, SimulatedDisk};
use crate::meta::{Policies, Policy};
use crate::spec::Reference;

#[test]
fn an_upload_that_brought_its_content_in_vain_is_not_counted_for_ever() {
    block_on(async {
        let (registry, faults, disk) = on_faulty();
        let id = begin(&registry, "app").await;
        assert_eq!(registry.totals().uploads, 1);
        faults.fail(Operation::Write, "journal", Errno::NOSPC);
        let failed = registry.finish_upload(&repo("app"), id, &sha256(b"x"), whole(b"x")).await;
        assert!(matches!(failed, Err(RegistryError::NoSpace)), "{failed:?}");
        for registry in [&registry, &open_on(crashed(disk.as_ref()), |_| {})] {
            assert_eq!(registry.inner.sessions.all(|_| true).len(), 0);
            assert_eq!(registry.totals().uploads, 0);
        }
        push_blob(&registry, "app", b"x").await;
    });
}

#[test]
fn after_a_failed_sync_of_the_journal_reads_go_on_writes_do_not_and_health_says_why() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        let layer = push_blob(&registry, "app", b"layer").await;
        let manifest = image(&layer, &[]);
        registry.put_manifest(&repo("app"), by_tag("latest", &manifest)).await.unwrap();
        assert!(registry.health().ready);
        faults.fail(Operation::Sync, "journal", Errno::IO);
        let failed = registry.delete_tag(&repo("app"), &tag("latest")).await;
        assert!(matches!(failed, Err(RegistryError::Unavailable(_))), "{failed:?}");
        let health = registry.health();
        assert!(!health.ready);
        assert_eq!(health.reasons.len(), 1);
        assert!(health.reasons[0].contains("synced"), "{health:?}");
        assert!(registry.gave_up().is_some_and(|why| why.contains("synced")), "a server stops then");
        // Commands without an effect are refused, too.
        for failed in [
            registry.put_manifest(&repo("app"), by_tag("latest", &manifest)).await.map(drop),
            registry.begin_upload(&repo("app"), None).await.map(drop),
            registry.mount(&repo("app"), &layer, None).await.map(drop),
        ] {
            assert!(matches!(failed, Err(RegistryError::Unavailable(_))), "{failed:?}");
        }
        assert_eq!(read_blob(&registry, "app", &layer).await.unwrap(), b"layer");
        registry.close().await.unwrap_err();
    });
}

pub(super) async fn until_reopened(registry: &Registry) {
    for _ in 0..10_000 {
        // The writer learns of a folder's failure after the client.
        if registry.totals().reopened == 1 && registry.health().ready {
            break;
        }
        Timer::after(Duration::from_millis(1)).await;
    }
    assert_eq!(registry.totals().reopened, 1);
}

#[test]
fn after_a_failed_sync_writes_resume_and_uploads_in_progress_continue() {
    block_on(async {
        for folder in [false, true] {
            let (registry, faults, disk) = on_faulty_with(OnSyncFailure::Reopen);
            let layer = push_blob(&registry, "app", b"layer").await;
            let manifest = image(&layer, &[]);
            registry.put_manifest(&repo("app"), by_tag("latest", &manifest)).await.unwrap();
            let id = begin(&registry, "app").await;
            registry.append(&repo("app"), id, whole(b"ab")).await.unwrap();
            let pull = registry.open_blob(&repo("app"), &layer).await.unwrap();
            let (operation, path) =
                if folder { (Operation::SyncFolder, "blobs") } else { (Operation::Sync, "journal") };
            faults.fail(operation, path, Errno::IO);
            let next = by_tag("next", &image(&layer, std::slice::from_ref(&layer)));
            let failed = registry.put_manifest(&repo("app"), next.clone()).await;
            assert!(matches!(failed, Err(RegistryError::Unavailable(_))), "{failed:?}");
            assert_eq!(pull.with_file(|file| file.length().unwrap()).await, 5);
            until_reopened(&registry).await;
            let digest = sha256(b"abc");
            registry.finish_upload(&repo("app"), id, &digest, whole(b"c")).await.unwrap();
            registry.put_manifest(&repo("app"), next).await.unwrap();
            for registry in [&registry, &open_on(crashed(disk.as_ref()), |_| {})] {
                let all = crate::registry::Page { last: None, limit: 10 };
                let tags = registry.tags(&repo("app"), &all).await.unwrap().items;
                assert_eq!(tags, [tag("latest"), tag("next")]);
                assert_eq!(read_blob(registry, "app", &digest).await.unwrap(), b"abc");
            }
            registry.close().await.unwrap();
        }
    });
}

/// The second push wrote its name before the first one's sync failed, and comes to its own sync only after
/// the store was reopened.
#[test]
fn a_name_that_a_failed_sync_may_have_lost_fails_its_push_and_stops_no_other() {
    block_on(async {
        let (registry, faults, _) = on_faulty_with(OnSyncFailure::Reopen);
        let folder = |bytes: &[u8]| blob_path(&sha256(bytes).content().unwrap()).parent().unwrap().to_owned();
        let other = (0..).map(|number: u32| number.to_be_bytes()).find(|it| folder(it) == folder(b"layer"));
        let (digest, other) = (sha256(b"layer"), other.unwrap());
        let id = begin(&registry, "app").await;
        faults.hold_syncs(&format!("uploads/{id}"));
        let pushing = {
            let (registry, digest) = (registry.clone(), digest.clone());
            std::thread::spawn(move || {
                block_on(registry.finish_upload(&repo("app"), id, &digest, whole(b"layer")))
            })
        };
        faults.wait_until_held();
        faults.fail(Operation::SyncFolder, "blobs", Errno::IO);
        let failing = begin(&registry, "app").await;
        let failed = registry.finish_upload(&repo("app"), failing, &sha256(&other), whole(&other)).await;
        assert!(matches!(failed, Err(RegistryError::Unavailable(_))), "{failed:?}");
        until_reopened(&registry).await;
        faults.let_go();
        let failed = pushing.join().unwrap();
        assert!(matches!(failed, Err(RegistryError::Unavailable(_))), "{failed:?}");
        assert!(registry.health().ready, "{:?}", registry.health());
        push_blob(&registry, "app", b"layer").await;
        assert_eq!(registry.totals().reopened, 1);
        registry.close().await.unwrap();
    });
}

/// Counts the files of content.
fn stored(registry: &Registry) -> usize {
    let mut count = 0;
    let looked = registry.inner.blobs.each_file(|_| {
        count += 1;
        Ok::<_, RegistryError>(())
    });
    looked.unwrap();
    count
}

#[test]
fn a_push_that_is_refused_after_a_failed_sync_stores_nothing() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        let layer = push_blob(&registry, "app", b"layer").await;
        let other = push_blob(&registry, "app", b"other").await;
        let id = begin(&registry, "app").await;
        registry.append(&repo("app"), id, whole(b"ab")).await.unwrap();
        faults.fail(Operation::Sync, "journal", Errno::IO);
        registry.delete_blob(&repo("app"), &other).await.unwrap_err();
        assert!(!registry.health().ready);
        let (files, creations) = (stored(&registry), faults.count(Operation::Create, "uploads"));
        for number in 0..3 {
            let digests = vec![layer.clone(); number + 1];
            let manifest = image(&layer, &digests);
            let put = registry.put_manifest(&repo("app"), by_tag("latest", &manifest)).await;
            assert!(matches!(put, Err(RegistryError::Unavailable(_))), "{put:?}");
        }
        let digest = sha256(b"abc");
        let finished = registry.finish_upload(&repo("app"), id, &digest, whole(b"c")).await;
        assert!(matches!(finished, Err(RegistryError::Unavailable(_))), "{finished:?}");
        let appended = registry.append(&repo("app"), id, streamed(&b"c"[..])).await;
        assert!(matches!(appended, Err(RegistryError::Unavailable(_))), "{appended:?}");
        assert_eq!(stored(&registry), files);
        assert_eq!(faults.count(Operation::Create, "uploads"), creations);
    });
}

#[test]
fn a_manifest_that_a_condition_or_an_immutable_tag_refuses_is_not_stored() {
    block_on(async {
        let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
        let faults = disk.faults();
        let policy = Policy {
            repositories: vec!["app".parse().unwrap()],
            immutable: vec!["v*".parse().unwrap()],
            ..Policy::default()
        };
        let registry =
            open_on(Arc::new(disk), |options| options.policies = Policies::new(vec![policy.clone()]));
        let layer = push_blob(&registry, "app", b"layer").await;
        let (old, new) = (image(&layer, &[]), image(&layer, std::slice::from_ref(&layer)));
        registry.put_manifest(&repo("app"), by_tag("v1", &old)).await.unwrap();
        let creations = faults.count(Operation::Create, "uploads");
        let refused = registry.put_manifest(&repo("app"), by_tag("v1", &new)).await;
        assert!(matches!(refused, Err(RegistryError::Denied(_))), "{refused:?}");
        for condition in [Condition::Absent, Condition::Matches(vec![layer.clone()])] {
            let put = PutManifest { condition, ..by_tag("v1", &new) };
            let refused = registry.put_manifest(&repo("app"), put).await;
            assert!(matches!(refused, Err(RegistryError::ConditionFailed(_))), "{refused:?}");
        }
        assert_eq!(faults.count(Operation::Create, "uploads"), creations);
        registry.put_manifest(&repo("app"), by_tag("v1", &old)).await.unwrap();
        registry.put_manifest(&repo("app"), by_tag("v2", &new)).await.unwrap();
    });
}

#[test]
fn folders_that_an_earlier_start_could_not_sync_are_synced_by_the_next() {
    for path in ["blobs", ""] {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        // `pulk.json` exists already: the sync of its folder is not the one to fail.
        drop(open_on(Arc::clone(&disk), |_| {}));
        let next = FaultyDisk::new(disk);
        let faults = next.faults();
        drop(open_on(Arc::new(next), |_| {}));
        let done = faults.done();
        let synced =
            done.iter().any(|(operation, at)| *operation == Operation::SyncFolder && at == Path::new(path));
        assert!(synced, "{path:?} was never synced");
    }
}

#[test]
fn content_that_is_missing_or_damaged_is_reported_and_never_served() {
    block_on(async {
        let (registry, _, disk) = on_faulty();
        let layer = push_blob(&registry, "app", b"layer").await;
        let manifest = image(&layer, &[]);
        let digest = registry.put_manifest(&repo("app"), by_tag("latest", &manifest)).await.unwrap().digest;
        let place = |digest: &Digest| blob_path(&digest.content().unwrap());
        let disk = crashed(disk.as_ref());
        let file = disk.open_writable(Path::new(&place(&digest.into()))).unwrap();
        file.write_at(b"X", 3).unwrap();
        disk.remove(Path::new(&place(&layer))).unwrap();
        let registry = open_on(disk, |_| {});
        let failed = registry.manifest(&repo("app"), &Reference::Tag(tag("latest"))).await;
        assert!(matches!(failed, Err(RegistryError::Internal(_))), "{failed:?}");
        let failed = registry.open_blob(&repo("app"), &layer).await.map(drop);
        assert!(matches!(failed, Err(RegistryError::Internal(_))), "{failed:?}");
        // A retry of the push heals it.
        push_blob(&registry, "app", b"layer").await;
        registry.put_manifest(&repo("app"), by_tag("latest", &manifest)).await.unwrap();
        assert_eq!(read_blob(&registry, "app", &layer).await.unwrap(), b"layer");
        let latest = registry.manifest(&repo("app"), &Reference::Tag(tag("latest"))).await.unwrap();
        assert_eq!(latest.bytes, manifest);
    });
}

/// The system reports a failed write to the handles that are open then, and forgets it with the file.
#[test]
fn bytes_that_the_system_fails_to_write_between_two_requests_become_no_content() {
    block_on(async {
        let disk = SimulatedDisk::new(Medium::new());
        let registry = open_on(Arc::new(disk.clone()), |_| {});
        let id = begin(&registry, "app").await;
        registry.append(&repo("app"), id, whole(&[7; 10_000])).await.unwrap();
        disk.set_fault(Some(Fault { kind: FaultKind::WriteBack, at: 0, sticky: false }));
        disk.list(Path::new("")).unwrap();
        disk.set_fault(None);
        let digest = sha256(&[7; 10_000]);
        let finished = registry.finish_upload(&repo("app"), id, &digest, nothing()).await;
        assert!(matches!(finished, Err(RegistryError::Internal(_))), "{finished:?}");
        read_blob(&registry, "app", &digest).await.unwrap_err();
    });
}
