//! The syncs of a small image: config, one layer of 64 KiB and a manifest with a new tag.

use smol::block_on;

use super::*;

/// Three syncs for each of the two blobs and the manifest: its bytes, its name, the journal.
const SYNCS_MAX: u64 = 9;

#[test]
fn a_small_image_takes_nine_syncs_with_whole_puts() {
    block_on(async {
        let registry = in_memory();
        let before = registry.totals().syncs;
        let config = push_blob(&registry, "app", b"{}").await;
        let layer = push_blob(&registry, "app", &[1; 64 * 1024]).await;
        registry.put_manifest(&repo("app"), by_tag("latest", &image(&config, &[layer]))).await.unwrap();
        assert_eq!(registry.totals().syncs - before, SYNCS_MAX);
    });
}

#[test]
fn a_small_image_takes_nine_syncs_with_appended_chunks() {
    block_on(async {
        let registry = in_memory();
        let before = registry.totals().syncs;
        let mut digests = Vec::new();
        for content in [&b"{}"[..], &[1; 64 * 1024]] {
            let id = begin(&registry, "app").await;
            registry.append(&repo("app"), id, streamed(content)).await.unwrap();
            let digest = sha256(content);
            registry.finish_upload(&repo("app"), id, &digest, nothing()).await.unwrap();
            digests.push(digest);
        }
        let manifest = image(&digests[0], &digests[1..]);
        registry.put_manifest(&repo("app"), by_tag("latest", &manifest)).await.unwrap();
        assert_eq!(registry.totals().syncs - before, SYNCS_MAX);
    });
}

#[test]
fn pushing_again_what_is_there_takes_no_sync_but_that_of_a_change() {
    block_on(async {
        let registry = in_memory();
        let config = push_blob(&registry, "app", b"{}").await;
        let layer = push_blob(&registry, "app", &[1; 64 * 1024]).await;
        let manifest = image(&config, &[layer]);
        registry.put_manifest(&repo("app"), by_tag("v1", &manifest)).await.unwrap();
        // The end of each upload is a change.
        for (name, tag, changes) in [("app", "v1", 2), ("app", "v2", 3), ("other", "v1", 3)] {
            let before = registry.totals().syncs;
            push_blob(&registry, name, b"{}").await;
            push_blob(&registry, name, &[1; 64 * 1024]).await;
            registry.put_manifest(&repo(name), by_tag(tag, &manifest)).await.unwrap();
            assert_eq!(registry.totals().syncs - before, changes, "{name}:{tag}");
        }
        assert_eq!(registry.content().uploads().unwrap(), [], "no file of an upload is left");
    });
}

#[test]
fn reading_and_listing_sync_nothing() {
    block_on(async {
        let registry = in_memory();
        let config = push_blob(&registry, "app", b"{}").await;
        registry.put_manifest(&repo("app"), by_tag("latest", &image(&config, &[]))).await.unwrap();
        let before = registry.totals().syncs;
        let page = crate::registry::Page { last: None, limit: 9 };
        registry.tags(&repo("app"), &page).await.unwrap();
        registry.repositories(&page).await.unwrap();
        registry.manifest(&repo("app"), &crate::spec::Reference::Tag(tag("latest"))).await.unwrap();
        read_blob(&registry, "app", &config).await.unwrap();
        assert_eq!(registry.totals().syncs, before);
    });
}
