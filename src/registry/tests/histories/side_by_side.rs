//! Concurrent operations: each acts as if it were alone, and nothing acknowledged is lost.

use smol::future::poll_once;
use smol::{Executor, block_on};

use super::bodies::{Body, Part};
use super::*;
use crate::base::{Chance, OddTask, run_in_odd_order};
use crate::disk::faulty::Operation;
use crate::registry::Page;
use crate::spec::Reference;

const CLIENTS: usize = 16;

/// Runs one task per client on several threads, and returns their results.
fn side_by_side<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    task: impl Fn(usize) -> F,
) -> Vec<T> {
    let executor = Arc::new(Executor::new());
    let (stop, stopped) = smol::channel::bounded::<()>(1);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (executor, stopped) = (Arc::clone(&executor), stopped.clone());
            std::thread::spawn(move || block_on(executor.run(stopped.recv())))
        })
        .collect();
    let tasks: Vec<_> = (0..CLIENTS).map(|number| executor.spawn(task(number))).collect();
    let done = block_on(async {
        let mut done = Vec::new();
        for task in tasks {
            done.push(task.await);
        }
        done
    });
    drop(stop);
    for thread in threads {
        let _ = thread.join().unwrap();
    }
    done
}

/// Pushes an image of a layer that all clients push and a config of its own, and tags it.
async fn push_image(registry: &Registry, name: &str, own: &str, tags: &[&str]) -> Arc<[u8]> {
    let shared = push_blob(registry, name, &[7; 100_000]).await;
    let config = push_blob(registry, name, own.as_bytes()).await;
    let manifest = image(&config, &[shared]);
    for named in tags {
        registry.put_manifest(&repo(name), by_tag(named, &manifest)).await.unwrap();
    }
    manifest
}

async fn by_name(registry: &Registry, named: &str) -> Arc<[u8]> {
    registry.manifest(&repo("app"), &Reference::Tag(tag(named))).await.unwrap().bytes
}

#[test]
fn sixteen_clients_push_the_same_and_different_images_at_once() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open_on(Arc::clone(&disk), |_| {});
    let pushing = registry.clone();
    let pushed = side_by_side(move |number| {
        let registry = pushing.clone();
        async move {
            let own = format!("client {number}");
            push_image(&registry, "app", "same", &["same"]).await;
            let first = push_image(&registry, "app", &own, &[&format!("t{number}"), "latest"]).await;
            // Read back what was acknowledged, whatever the other clients do.
            assert_eq!(by_name(&registry, &format!("t{number}")).await, first);
            first
        }
    });
    block_on(async {
        for registry in [&registry, &open_on(crashed(disk.as_ref()), |_| {})] {
            for (number, manifest) in pushed.iter().enumerate() {
                assert_eq!(by_name(registry, &format!("t{number}")).await, *manifest);
                let digest = sha256(format!("client {number}").as_bytes());
                let config = read_blob(registry, "app", &digest).await.unwrap();
                assert_eq!(config, format!("client {number}").as_bytes());
            }
            assert!(pushed.contains(&by_name(registry, "latest").await));
            let tags = registry.tags(&repo("app"), &Page { last: None, limit: 100 }).await.unwrap();
            assert_eq!(tags.items.len(), CLIENTS + 2);
            // A layer, a config and a manifest of each client, and those that all of them have.
            assert_eq!(registry.totals().blobs, 1 + 2 * (CLIENTS as u64 + 1));
            assert_eq!(registry.totals().uploads, 0);
            assert_eq!(unfinished(registry), [""; 0]);
        }
    });
}

#[test]
fn of_many_clients_that_create_an_absent_tag_one_succeeds() {
    let registry = in_memory();
    let config = block_on(push_blob(&registry, "app", b"config"));
    let pushing = registry.clone();
    let outcomes = side_by_side(move |number| {
        let (registry, config) = (pushing.clone(), config.clone());
        async move {
            let layer = push_blob(&registry, "app", format!("layer {number}").as_bytes()).await;
            let manifest = image(&config, &[layer]);
            let put = PutManifest { condition: Condition::Absent, ..by_tag("release", &manifest) };
            (manifest, registry.put_manifest(&repo("app"), put).await)
        }
    });
    let won: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(block_on(by_name(&registry, "release")), won[0].0);
    let lost =
        outcomes.iter().filter(|(_, outcome)| matches!(outcome, Err(RegistryError::ConditionFailed(_))));
    assert_eq!(lost.count(), CLIENTS - 1);
}

#[test]
fn pushing_deleting_and_reading_the_same_things_at_once_never_serves_half_of_anything() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open_on(Arc::clone(&disk), |_| {});
    let working = registry.clone();
    side_by_side(move |number| {
        let registry = working.clone();
        async move {
            for round in 0..10 {
                let (name, layer) = (repo("app"), sha256(b"layer"));
                match (number + round) % 5 {
                    0 | 1 => {
                        let layer = push_blob(&registry, "app", b"layer").await;
                        let manifest = image(&layer, &[]);
                        // Another client may delete the blob in between.
                        match registry.put_manifest(&name, by_tag("latest", &manifest)).await {
                            Ok(_) | Err(RegistryError::ManifestBlobUnknown(_)) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                    2 => match registry.delete_blob(&name, &layer).await {
                        Ok(()) | Err(RegistryError::BlobUnknown(_) | RegistryError::NameUnknown(_)) => {}
                        Err(error) => panic!("{error}"),
                    },
                    3 => match registry.delete_manifest(&name, &sha256(&image(&layer, &[]))).await {
                        Ok(()) | Err(RegistryError::ManifestUnknown(_) | RegistryError::NameUnknown(_)) => {}
                        Err(error) => panic!("{error}"),
                    },
                    _ => {
                        match registry.manifest(&name, &Reference::Tag(tag("latest"))).await {
                            Ok(manifest) => assert_eq!(manifest.bytes, image(&layer, &[])),
                            Err(RegistryError::TagUnknown(_) | RegistryError::NameUnknown(_)) => {}
                            Err(error) => panic!("{error}"),
                        }
                        match read_blob(&registry, "app", &layer).await {
                            Ok(bytes) => assert_eq!(bytes, b"layer"),
                            Err(RegistryError::BlobUnknown(_) | RegistryError::NameUnknown(_)) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            }
        }
    });
    // Once all clients have ended, a crash changes nothing visible.
    let reopened = open_on(crashed(disk.as_ref()), |_| {});
    block_on(async {
        let latest = Reference::Tag(tag("latest"));
        let seen = |registry: Registry| async move {
            let manifest = registry.manifest(&repo("app"), &latest).await.ok().map(|found| found.bytes);
            let blob = read_blob(&registry, "app", &sha256(b"layer")).await.ok();
            (manifest, blob, registry.totals().blobs, registry.totals().blob_bytes)
        };
        assert_eq!(seen.clone()(registry.clone()).await, seen(reopened).await);
    });
}

#[test]
fn many_small_pushes_at_once_take_fewer_syncs_than_one_after_the_other() {
    // Two syncs for each blob, and a few for the journal instead of one for each. How many pushes reach the
    // journal together is up to the scheduler.
    let is_less = (0..100).any(|_| syncs_of_small_pushes() < 3 * CLIENTS as u64);
    assert!(is_less, "each push has its own sync of the journal");
}

/// Pushes small blobs at once, and returns how many syncs that took.
fn syncs_of_small_pushes() -> u64 {
    let (registry, faults, _) = on_faulty();
    let name = |number: usize| format!("r{number}");
    let ids: Vec<UploadId> = block_on(async {
        let mut ids = Vec::new();
        for number in 0..CLIENTS {
            ids.push(begin(&registry, &name(number)).await);
        }
        ids
    });
    let before = registry.totals().syncs;
    let stored = faults.count(Operation::SyncFolder, "blobs/sha256");
    faults.hold_syncs("journal");
    let waiting = std::thread::spawn({
        let faults = Arc::clone(&faults);
        move || {
            faults.wait_until_held();
            // All other clients have stored their content when the first one's journal line is released.
            let all = (0..20_000).any(|_| {
                std::thread::sleep(Duration::from_millis(1));
                faults.count(Operation::SyncFolder, "blobs/sha256") == stored + CLIENTS
            });
            faults.let_go();
            assert!(all, "they wait for one another");
        }
    });
    let pushing = registry.clone();
    side_by_side(move |number| {
        let (registry, id) = (pushing.clone(), ids[number]);
        async move {
            let content = format!("layer {number}");
            let (digest, chunk) = (sha256(content.as_bytes()), whole(content.as_bytes()));
            registry.finish_upload(&repo(&name(number)), id, &digest, chunk).await.unwrap();
        }
    });
    waiting.join().unwrap();
    registry.totals().syncs - before
}

/// Removes the file of refused content while the journal's sync is held, and returns whether it is still
/// there at the end. With `stores`, a client stores the same content meanwhile.
fn remove_refused(stores: bool) -> bool {
    let (registry, faults, _) = on_faulty();
    let content = ContentDigest::sha256_of(b"refused");
    let inner = &registry.inner;
    inner.blobs.put("refused", content, b"refused").unwrap();
    // Some digests share a lock: the push that is held must not hold this one.
    let other = (0..100).map(|number| format!("other {number}")).find(|other| {
        let _storing = block_on(inner.locks.store(&ContentDigest::sha256_of(other.as_bytes())));
        inner.locks.try_remove(&content).is_some()
    });
    let other = other.unwrap();
    faults.hold_syncs("journal");
    std::thread::scope(|scope| {
        scope.spawn(|| block_on(push_blob(&registry, "a", other.as_bytes())));
        faults.wait_until_held();
        let remover = scope.spawn(|| inner.remove_if_unnamed(&content));
        std::thread::sleep(Duration::from_millis(1));
        let storing = stores.then(|| block_on(poll_once(inner.locks.store(&content))));
        let waits = storing.is_some_and(|storing| storing.is_none());
        faults.let_go();
        assert!(!waits, "a removal holds the lock while it waits");
        remover.join().unwrap();
    });
    inner.blobs.open(&content).unwrap().is_some()
}

#[test]
fn a_store_does_not_wait_for_the_sync_before_the_file_of_a_refused_push_goes() {
    assert!(!remove_refused(false), "its file goes");
    // The removal sees a store that begins after it, and nothing shows when it has begun.
    let stays = (0..1000).any(|_| remove_refused(true));
    assert!(stays, "what was stored meanwhile is left to the collector");
}

/// Resumes an upload chunk by chunk, until all of it has come.
async fn resume(registry: &Registry, id: UploadId) {
    let content = b"somemore";
    loop {
        let offset = registry.upload_offset(&repo("app"), id).await.unwrap() as usize;
        let Some(rest) = content.get(offset..).filter(|rest| !rest.is_empty()) else { break };
        let chunk = &rest[..rest.len().min(4)];
        let end = (offset + chunk.len() - 1) as u64;
        match registry.append(&repo("app"), id, ranged(chunk, offset as u64, end)).await {
            Ok(_) | Err(RegistryError::UploadTakenOver | RegistryError::OutOfOrder { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    registry.finish_upload(&repo("app"), id, &sha256(content), nothing()).await.unwrap();
}

/// Requests whose clients are gone, and which come at any time, do not hold the upload up.
#[test]
fn a_client_that_comes_back_takes_its_upload_over_in_any_order_of_events() {
    for seed in 0..600 {
        let mut chance = Chance::of(seed);
        let inline = chance.once_in(4);
        let registry = open_on(Arc::new(MemoryDisk::new()), |options| options.blocks_inline = inline);
        let id = block_on(begin(&registry, "app"));
        let mut tasks: Vec<OddTask<'_>> = vec![Box::pin(resume(&registry, id))];
        for _ in 0..=chance.below(4) {
            let is_ranged = chance.once_in(2);
            // Without a range its bytes would come wherever the upload is.
            let count = if is_ranged { chance.place(5) } else { 0 };
            let body = Body::new([Part::Bytes(b"some"[..count].to_vec()), Part::Hang]);
            let length = chance.once_in(2).then_some(4);
            let range = is_ranged.then_some(ContentRange { first: 0, last: 3 });
            let registry = &registry;
            tasks.push(Box::pin(async move {
                let chunk = Chunk { body, length, range };
                drop(registry.append(&repo("app"), id, chunk).await);
            }));
        }
        assert!(run_in_odd_order(&mut chance, tasks), "the client hangs with the seed {seed}");
    }
}
