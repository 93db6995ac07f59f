//! Mounts without a source.

use smol::block_on;

use super::*;
use crate::registry::operations::mount::SOURCES_ASKED_MAX;

async fn mount(registry: &Registry, target: &str, blob: &Digest) -> bool {
    registry.mount(&repo(target), blob, None).await.unwrap()
}

/// Makes more repositories than a mount searches, named `m/r000` and so on, that all have one blob.
async fn crowd(registry: &Registry) {
    let blob = push_blob(registry, "m/r000", b"of the crowd").await;
    for number in 1..=SOURCES_ASKED_MAX {
        let target = repo(&format!("m/r{number:03}"));
        assert!(registry.mount(&target, &blob, Some(&repo("m/r000"))).await.unwrap());
    }
}

#[test]
fn a_mount_without_a_source_asks_a_bounded_number_of_repositories() {
    block_on(async {
        let registry = in_memory();
        crowd(&registry).await;
        let near = push_blob(&registry, "m/r100", b"near").await;
        let last = push_blob(&registry, "z/last", b"last").await;
        assert!(mount(&registry, "a/b", &near).await);
        assert!(!mount(&registry, "a/c", &last).await, "it is behind more than are asked");
        // The same repository, found from its neighbours.
        assert!(mount(&registry, "z/another", &last).await);
        // The search continues with the first repository after the last.
        assert!(mount(&registry, "z/near", &near).await);
        assert!(mount(&registry, "z/with/more/parts", &near).await);
        // A mount that names the source finds it anywhere.
        assert!(registry.mount(&repo("a/c"), &last, Some(&repo("z/last"))).await.unwrap());
    });
}

#[test]
fn a_small_store_is_asked_as_a_whole() {
    block_on(async {
        let registry = in_memory();
        let blob = push_blob(&registry, "project/source", b"content").await;
        for target in ["target", "a/b", "project/target", "z/a"] {
            assert!(mount(&registry, target, &blob).await, "{target}");
        }
    });
}
