//! Manifests whose bodies do not come at once: they wait for their clients in files.

use smol::block_on;
use smol::future::poll_once;

use super::bodies::{Body, Part};
use super::*;
use crate::disk::faulty::Operation;
use crate::registry::PushManifest;
use crate::spec::Reference;

/// More layers than a pool buffer holds the names of.
const LAYERS: usize = 3_000;

fn push<B>(body: B, length: Option<u64>) -> PushManifest<B> {
    let target = PutTarget::Tag(tag("large"));
    PushManifest { target, content_type: None, condition: Condition::Always, body, length }
}

fn pieces(bytes: &[u8], size: usize) -> Vec<Part> {
    bytes.chunks(size).map(|piece| Part::Bytes(piece.to_vec())).collect()
}

async fn large_image(registry: &Registry) -> Arc<[u8]> {
    let layer = push_blob(registry, "app", b"layer").await;
    let manifest = image(&layer, &vec![layer.clone(); LAYERS]);
    assert!(manifest.len() > 256 * 1024);
    manifest
}

/// Waits until the file of an incoming manifest has bytes, and returns its name.
async fn spooled(registry: &Registry, mut push: impl Future<Output = ()> + Unpin) -> String {
    for _ in 0..10_000 {
        assert!(poll_once(&mut push).await.is_none());
        let named = unfinished(registry).into_iter().find(|name| {
            registry
                .inner
                .blobs
                .uploads()
                .unwrap()
                .iter()
                .any(|upload| upload.name == *name && upload.length > 0)
        });
        if let Some(name) = named {
            return name;
        }
        Timer::after(Duration::from_millis(1)).await;
    }
    panic!("nothing is written");
}

#[test]
fn a_manifest_in_many_pieces_is_the_same_and_takes_no_more_syncs() {
    block_on(async {
        for (size, is_said) in [(usize::MAX, false), (100_000, true), (100_000, false)] {
            let registry = in_memory();
            let manifest = large_image(&registry).await;
            let length = is_said.then_some(manifest.len() as u64);
            let before = registry.totals().syncs;
            let body = Body::new(pieces(&manifest, size.min(manifest.len())));
            let stored = registry.push_manifest(&repo("app"), push(body, length)).await.unwrap();
            assert_eq!(registry.totals().syncs - before, 3);
            assert_eq!(Digest::from(stored.digest), sha256(&manifest));
            let found = registry.manifest(&repo("app"), &Reference::Tag(tag("large"))).await.unwrap();
            assert_eq!(found.bytes, manifest);
            assert_eq!(unfinished(&registry), [""; 0]);
        }
    });
}

#[test]
fn a_manifest_that_breaks_off_or_is_refused_leaves_nothing() {
    block_on(async {
        let registry = in_memory();
        let manifest = large_image(&registry).await;
        let length = manifest.len() as u64;
        let refused = async |body, length| {
            let refused = registry.push_manifest(&repo("app"), push(body, length)).await.unwrap_err();
            assert_eq!(unfinished(&registry), [""; 0], "{refused}");
            refused
        };
        let mut breaks = pieces(&manifest[..300_000], 100_000);
        breaks.push(Part::Break);
        let broken = refused(Body::new(breaks), Some(length)).await;
        assert!(matches!(broken, RegistryError::BodyBroken(_)), "{broken}");
        let all = || Body::new(pieces(&manifest, 100_000));
        for said in [length - 1, length + 1] {
            let wrong = refused(all(), Some(said)).await;
            assert!(matches!(wrong, RegistryError::SizeInvalid { got, .. } if got == length), "{wrong}");
        }
        let spaces = || Body::new(pieces(&[b' '; 5_000_000], 250_000));
        for said in [None, Some(5_000_000)] {
            let large = refused(spaces(), said).await;
            assert!(matches!(large, RegistryError::ManifestTooLarge { .. }), "{large}");
        }
        let no_json = refused(Body::new(pieces(&manifest[..400_000.min(manifest.len() - 1)], 9_000)), None);
        assert!(matches!(no_json.await, RegistryError::ManifestInvalid(_)));
        let other = PutTarget::Digest { digest: sha256(b"other"), tags: Vec::new() };
        let put = PushManifest { target: other, ..push(all(), None) };
        let other = registry.push_manifest(&repo("app"), put).await.unwrap_err();
        assert!(matches!(other, RegistryError::DigestMismatch { .. }), "{other}");
        assert_eq!(unfinished(&registry), [""; 0]);
        registry.manifest(&repo("app"), &Reference::Tag(tag("large"))).await.unwrap_err();
    });
}

/// A waiting push holds no buffer either: the pool has 32.
#[test]
fn manifests_that_are_waited_for_hold_no_memory_and_keep_no_other_from_coming() {
    block_on(async {
        let registry = in_memory();
        let (manifest, app) = (large_image(&registry).await, repo("app"));
        let mut waited_for = Vec::new();
        for _ in 0..100 {
            let body = Body::that_hangs_after(&manifest[..10]);
            let mut push = Box::pin(registry.push_manifest(&app, push(body, None)));
            assert!(poll_once(&mut push).await.is_none());
            waited_for.push(push);
        }
        let mut first = waited_for.swap_remove(0);
        spooled(&registry, Box::pin(async { drop((&mut first).await) })).await;
        let all = Body::new(pieces(&manifest, 100_000));
        registry.push_manifest(&repo("app"), push(all, None)).await.unwrap();
    });
}

/// Otherwise they would keep the buffers that other uploads come in through.
#[test]
fn manifests_that_wait_for_memory_wait_in_files() {
    block_on(async {
        let registry = in_memory();
        let layer = push_blob(&registry, "app", b"layer").await;
        let manifest = image(&layer, &vec![layer.clone(); LAYERS / 10]);
        let memory = registry.inner.manifest_memory.reserve(u64::MAX).await;
        let executor = smol::Executor::new();
        let waiting: Vec<_> = (0..40)
            .map(|_| {
                let (registry, manifest) = (registry.clone(), Arc::clone(&manifest));
                executor.spawn(async move {
                    registry.push_manifest(&repo("app"), push(&*manifest, None)).await.unwrap();
                })
            })
            .collect();
        let others = async {
            push_blob(&registry, "app", b"other").await;
            while unfinished(&registry).len() < waiting.len() {
                Timer::after(Duration::from_millis(1)).await;
            }
            drop(memory);
            for push in waiting {
                push.await;
            }
        };
        let hangs = async {
            Timer::after(Duration::from_secs(60)).await;
            panic!("they keep all buffers");
        };
        executor.run(smol::future::or(others, hangs)).await;
        assert_eq!(unfinished(&registry), [""; 0]);
    });
}

#[test]
fn the_file_of_a_manifest_stays_while_it_comes_and_goes_with_its_request_or_at_the_next_start() {
    block_on(async {
        let (registry, _, disk) = on_faulty();
        let body = Body::that_hangs_after(b"{");
        let app = repo("app");
        let mut coming = Box::pin(registry.push_manifest(&app, push(body, None)));
        let name = spooled(&registry, Box::pin(async { drop((&mut coming).await) })).await;
        let upkeep = registry.upkeep();
        assert_eq!(upkeep.remove_ended_uploads().unwrap(), 0);
        assert_eq!(unfinished(&registry), std::slice::from_ref(&name));
        let after_a_crash = open_on(crashed(disk.as_ref()), |_| {});
        assert_eq!(unfinished(&after_a_crash), [""; 0]);
        drop(coming);
        assert_eq!(unfinished(&registry), [""; 0]);
        assert!(!registry.inner.storing.has(&name));
    });
}

#[test]
fn a_manifest_whose_file_could_not_be_synced_is_refused_and_leaves_nothing() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        let manifest = large_image(&registry).await;
        faults.fail(Operation::Sync, "uploads", rustix::io::Errno::IO);
        let all = Body::new(pieces(&manifest, 100_000));
        registry.push_manifest(&repo("app"), push(all, None)).await.unwrap_err();
        assert_eq!(unfinished(&registry), [""; 0]);
        let all = Body::new(pieces(&manifest, 100_000));
        registry.push_manifest(&repo("app"), push(all, None)).await.unwrap();
    });
}
