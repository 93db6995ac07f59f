//! Large manifests share one memory and one thread.

use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};

use smol::block_on;
use smol::future::poll_once;

use super::bodies::{Body, Part};
use super::*;
use crate::registry::{PushManifest, PutManifestOutcome};
use crate::spec::Reference;

/// More than half of the memory for manifests, which is 4 MiB.
const LARGE_BYTES: usize = 3 * 1024 * 1024;

/// Begins a push of a manifest to a tag.
type BeginPush = for<'a> fn(&'a Registry, &'a RepoName, &str, &Arc<[u8]>) -> Push<'a>;

const BOTH: [BeginPush; 2] = [at_once, in_pieces];

type Push<'a> = Pin<Box<dyn Future<Output = Result<PutManifestOutcome, RegistryError>> + 'a>>;

async fn large_image(registry: &Registry) -> Arc<[u8]> {
    let layer = push_blob(registry, "app", b"layer").await;
    let mut manifest = image(&layer, &[]).to_vec();
    manifest.resize(LARGE_BYTES, b' ');
    manifest.into()
}

/// Pushes a manifest that is in memory already.
fn at_once<'a>(registry: &'a Registry, app: &'a RepoName, name: &str, manifest: &Arc<[u8]>) -> Push<'a> {
    Box::pin(registry.put_manifest(app, by_tag(name, manifest)))
}

/// Pushes a manifest that is written to a file while it comes.
fn in_pieces<'a>(registry: &'a Registry, app: &'a RepoName, name: &str, manifest: &Arc<[u8]>) -> Push<'a> {
    let parts: Vec<Part> = manifest.chunks(100_000).map(|piece| Part::Bytes(piece.to_vec())).collect();
    let body = Body::new(parts);
    let (target, condition) = (PutTarget::Tag(tag(name)), Condition::Always);
    let push = PushManifest { target, content_type: None, condition, body, length: None };
    Box::pin(registry.push_manifest(app, push))
}

/// Keeps the thread for manifests busy until the returned sender is dropped.
async fn occupy_the_thread(registry: &Registry) -> (impl Future<Output = ()> + Unpin + use<>, Sender<()>) {
    let (go_on, gone_on) = channel::<()>();
    let permits = Arc::clone(&registry.inner.permits);
    let mut busy = Box::pin(async move {
        assert!(permits.manifest(move || gone_on.recv().is_err()).await);
    });
    assert!(poll_once(&mut busy).await.is_none());
    (busy, go_on)
}

/// Polls a push until it has memory or waits for it: either way less is free than before.
async fn until_less_is_free(registry: &Registry, push: &mut Push<'_>, before: u64) {
    for _ in 0..10_000 {
        let polled = poll_once(&mut *push).await;
        assert!(polled.is_none(), "{polled:?}");
        if registry.inner.manifest_memory.try_reserve(before).is_none() {
            return;
        }
        Timer::after(Duration::from_millis(1)).await;
    }
    panic!("the push neither takes memory nor waits for it");
}

#[test]
fn a_large_manifest_waits_for_the_memory_of_the_one_before_it() {
    block_on(async {
        for (first, second) in BOTH.into_iter().flat_map(|first| BOTH.map(|second| (first, second))) {
            let (registry, app) = (in_memory(), repo("app"));
            let manifest = large_image(&registry).await;
            let memory = &registry.inner.manifest_memory;
            let (busy, go_on) = occupy_the_thread(&registry).await;
            let mut first = first(&registry, &app, "first", &manifest);
            until_less_is_free(&registry, &mut first, LARGE_BYTES as u64).await;
            assert!(
                memory.try_reserve(1024 * 1024).is_some(),
                "no more than the first one's memory is taken"
            );
            let mut second = second(&registry, &app, "second", &manifest);
            until_less_is_free(&registry, &mut second, 1).await;
            // The thread for manifests is free again, and the second one still has no memory to work with.
            drop(go_on);
            busy.await;
            for _ in 0..20 {
                let polled = poll_once(&mut second).await;
                assert!(polled.is_none(), "{polled:?}");
                Timer::after(Duration::from_millis(1)).await;
            }
            first.await.unwrap();
            second.await.unwrap();
            for name in ["first", "second"] {
                let stored = registry.manifest(&app, &Reference::Tag(tag(name))).await.unwrap();
                assert_eq!(stored.bytes, manifest);
            }
            assert_eq!(unfinished(&registry), [""; 0]);
        }
    });
}

/// Parsing takes several times the memory of the bytes.
#[test]
fn large_manifests_are_parsed_by_one_thread() {
    block_on(async {
        for push in BOTH {
            let (registry, app) = (in_memory(), repo("app"));
            let manifest = large_image(&registry).await;
            let (busy, go_on) = occupy_the_thread(&registry).await;
            let mut push = push(&registry, &app, "large", &manifest);
            until_less_is_free(&registry, &mut push, LARGE_BYTES as u64).await;
            for _ in 0..200 {
                let polled = poll_once(&mut push).await;
                assert!(polled.is_none(), "{polled:?}");
                Timer::after(Duration::from_millis(1)).await;
            }
            drop(go_on);
            busy.await;
            push.await.unwrap();
        }
    });
}
