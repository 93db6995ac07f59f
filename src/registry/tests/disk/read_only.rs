//! A filesystem that takes no writes: at the start, or from some moment on.

use smol::block_on;

use super::*;
use crate::disk::faulty::Operation;
use crate::registry::{OpenError, Page};
use crate::spec::{ErrorCode, Reference};

/// The operations that a client may try, each with its result.
async fn refused_changes(registry: &Registry, layer: &Digest) -> Vec<(&'static str, RegistryError)> {
    let app = repo("app");
    let next = by_tag("next", &image(layer, std::slice::from_ref(layer)));
    let moved = by_tag("latest", &image(layer, std::slice::from_ref(layer)));
    let tried = [
        ("begin an upload", registry.begin_upload(&app, None).await.map(drop)),
        ("push a manifest", registry.put_manifest(&app, next).await.map(drop)),
        ("move a tag", registry.put_manifest(&app, moved).await.map(drop)),
        ("mount", registry.mount(&repo("other"), layer, Some(&app)).await.map(drop)),
        ("delete a tag", registry.delete_tag(&app, &tag("latest")).await),
        ("delete a blob", registry.delete_blob(&app, layer).await),
    ];
    tried.into_iter().map(|(what, done)| (what, done.expect_err(what))).collect()
}

async fn check_pulls(registry: &Registry, layer: &Digest) {
    assert_eq!(read_blob(registry, "app", layer).await.unwrap(), b"layer");
    let latest = Reference::Tag(tag("latest"));
    registry.manifest(&repo("app"), &latest).await.unwrap();
    let all = Page { last: None, limit: 10 };
    assert_eq!(registry.tags(&repo("app"), &all).await.unwrap().items, [tag("latest")]);
}

fn check_says_so(registry: &Registry) {
    let health = registry.health();
    assert!(health.ready, "pulls still work: {health:?}");
    assert!(health.reasons[0].contains("read-only"), "{health:?}");
    assert!(!health.reasons.iter().any(|reason| reason.contains("full")), "{health:?}");
    assert!(registry.totals().read_only);
}

/// Makes a store with an image and an unfinished upload, stopped or not.
async fn store(stopped: bool) -> (Arc<dyn Disk>, Digest) {
    let disk = with_fanout_folders();
    let registry = open_on(Arc::clone(&disk), |_| {});
    let layer = push_blob(&registry, "app", b"layer").await;
    registry.put_manifest(&repo("app"), by_tag("latest", &image(&layer, &[]))).await.unwrap();
    let id = begin(&registry, "app").await;
    registry.append(&repo("app"), id, whole(b"abc")).await.unwrap();
    if stopped {
        registry.close().await.unwrap();
        return (disk, layer);
    }
    (crashed(disk.as_ref()), layer)
}

#[test]
fn a_store_on_a_read_only_filesystem_serves_pulls_and_refuses_the_rest() {
    for stopped in [true, false] {
        block_on(async {
            let (disk, layer) = store(stopped).await;
            let faulty = FaultyDisk::new(Arc::clone(&disk));
            let faults = faulty.faults();
            faults.set_read_only(true);
            // Nothing is free on a medium that is written once.
            faults.set_free_bytes(0);
            let registry = open_on(Arc::new(faulty), |_| {});
            check_pulls(&registry, &layer).await;
            check_says_so(&registry);
            for (what, error) in refused_changes(&registry, &layer).await {
                assert!(matches!(error, RegistryError::ReadOnly), "{what}: {error}");
                assert_eq!((error.answer().code, error.answer().status), (ErrorCode::Unavailable, 503));
            }
            check_pulls(&registry, &layer).await;
            registry.close().await.unwrap();
            let changed: Vec<_> =
                faults.done().into_iter().filter(|(what, _)| *what != Operation::SyncFolder).collect();
            assert_eq!(changed, [], "nothing can have been changed");

            // Where the filesystem takes writes again, nothing is missing.
            let registry = open_on(disk, |_| {});
            check_pulls(&registry, &layer).await;
            assert_eq!(registry.health().reasons, [""; 0]);
            assert_eq!(registry.totals().uploads, 1);
            push_blob(&registry, "app", b"another").await;
        });
    }
}

#[test]
fn a_store_that_takes_writes_again_does_not_get_them_before_a_restart() {
    block_on(async {
        // Another process may use the store as well: the lock is shared.
        let (disk, layer) = store(true).await;
        let faulty = FaultyDisk::new(Arc::clone(&disk));
        let faults = faulty.faults();
        faults.set_read_only(true);
        let registry = open_on(Arc::new(faulty), |_| {});
        faults.set_read_only(false);
        for (what, error) in refused_changes(&registry, &layer).await {
            assert!(matches!(error, RegistryError::ReadOnly), "{what}: {error}");
        }
        check_says_so(&registry);
        registry.close().await.unwrap();
        assert_eq!(faults.count(Operation::Create, ""), 0);
        assert_eq!(faults.count(Operation::Remove, ""), 0);
    });
}

#[test]
fn no_store_begins_on_a_read_only_filesystem() {
    let (disk, faults) = faulty();
    faults.set_read_only(true);
    let backing = Backing { disk, lock: None, meta: MetaOptions::new(IndexKind::Map) };
    let error = Registry::open_on(RegistryOptions::new(Storage::Memory), backing).unwrap_err();
    assert!(matches!(&error, OpenError::Disk(error) if error.is_read_only()), "{error}");
}

#[test]
fn a_filesystem_that_becomes_read_only_ends_pushes_and_no_pull() {
    block_on(async {
        let (registry, faults, disk) = on_faulty();
        let layer = push_blob(&registry, "app", b"layer").await;
        registry.put_manifest(&repo("app"), by_tag("latest", &image(&layer, &[]))).await.unwrap();
        let id = begin(&registry, "app").await;
        faults.set_read_only(true);
        let stored = registry.append(&repo("app"), id, whole(b"abc")).await;
        assert!(matches!(stored, Err(RegistryError::ReadOnly)), "{stored:?}");
        check_says_so(&registry);
        for (what, error) in refused_changes(&registry, &layer).await {
            assert_eq!((error.answer().code, error.answer().status), (ErrorCode::Unavailable, 503), "{what}");
        }
        check_pulls(&registry, &layer).await;
        check_says_so(&registry);
        registry.close().await.unwrap_err();

        let registry = open_on(crashed(disk.as_ref()), |_| {});
        check_pulls(&registry, &layer).await;
        push_blob(&registry, "app", b"another").await;
        assert_eq!(registry.health().reasons, [""; 0]);
        assert!(!registry.totals().read_only);
    });
}
