//! Lists and their pages.

use smol::block_on;

use super::*;
use crate::registry::{Page, Referrers, ReferrersPage};

fn page(last: Option<&str>, limit: usize) -> Page {
    Page { last: last.map(str::to_owned), limit }
}

/// Makes a manifest that refers to a subject, and returns its bytes.
fn referring(artifact_type: &str, annotation: &str) -> Arc<[u8]> {
    let empty = serde_json::json!({"mediaType": MediaType::OCI_EMPTY, "digest": sha256(b"{}"), "size": 2});
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": empty,
        "layers": [],
        "subject": {"mediaType": MediaType::OCI_MANIFEST, "digest": sha256(b"subject"), "size": 7},
        "annotations": {"note": annotation},
    });
    manifest.to_string().into_bytes().into()
}

async fn attach(registry: &Registry, bytes: &Arc<[u8]>) {
    let target = PutTarget::Digest { digest: sha256(bytes), tags: Vec::new() };
    let put = PutManifest { target, ..by_tag("unused", bytes) };
    let outcome = registry.put_manifest(&repo("app"), put).await.unwrap();
    assert_eq!(outcome.subject, Some(sha256(b"subject")));
}

async fn referrers(registry: &Registry, page: &ReferrersPage) -> Referrers {
    registry.referrers(&repo("app"), &sha256(b"subject"), page).await.unwrap()
}

#[test]
fn tags_come_in_order_in_pages_that_say_whether_more_follow() {
    block_on(async {
        let registry = in_memory();
        let config = push_blob(&registry, "app", b"{}").await;
        for named in ["b", "a", "B", "c", "10", "9"] {
            registry.put_manifest(&repo("app"), by_tag(named, &image(&config, &[]))).await.unwrap();
        }
        for (last, limit, expected, more) in [
            (None, 100, &["10", "9", "B", "a", "b", "c"][..], false),
            (None, 6, &["10", "9", "B", "a", "b", "c"], false),
            (None, 5, &["10", "9", "B", "a", "b"], true),
            (Some("9"), 2, &["B", "a"], true),
            (Some("aa"), 9, &["b", "c"], false),
            (Some("c"), 9, &[], false),
            (None, 0, &[], false),
            (Some("b"), usize::MAX, &["c"], false),
        ] {
            let listing = registry.tags(&repo("app"), &page(last, limit)).await.unwrap();
            let tags: Vec<&str> = listing.items.iter().map(Tag::as_str).collect();
            assert_eq!((tags.as_slice(), listing.more), (expected, more), "{last:?} {limit}");
        }
    });
}

#[test]
fn only_repositories_with_manifests_are_listed() {
    block_on(async {
        let registry = in_memory();
        for name in ["c", "a/b", "a", "b"] {
            let config = push_blob(&registry, name, b"{}").await;
            registry.put_manifest(&repo(name), by_tag("latest", &image(&config, &[]))).await.unwrap();
        }
        push_blob(&registry, "blobs/only", b"{}").await;
        let digest = sha256(&image(&sha256(b"{}"), &[]));
        registry.delete_manifest(&repo("b"), &digest).await.unwrap();
        let all = registry.repositories(&page(None, 9)).await.unwrap();
        assert_eq!(all.items, ["a", "a/b", "c"].map(repo));
        assert!(!all.more);
        let some = registry.repositories(&page(Some("a"), 1)).await.unwrap();
        assert_eq!((some.items, some.more), (vec![repo("a/b")], true));
        // The repository still has a blob, so its tags can be listed.
        assert!(registry.tags(&repo("b"), &page(None, 9)).await.unwrap().items.is_empty());
    });
}

#[test]
fn referrers_are_filtered_by_their_artifact_type() {
    block_on(async {
        let registry = in_memory();
        push_blob(&registry, "app", b"{}").await;
        for (artifact_type, note) in [("a/sbom", "1"), ("a/sbom", "2"), ("a/signature", "3")] {
            attach(&registry, &referring(artifact_type, note)).await;
        }
        let count = |wanted: &[&str]| {
            let artifact_types = Some(wanted.iter().map(|wanted| (*wanted).to_owned()).collect());
            let page = ReferrersPage { artifact_types, last: None };
            let registry = registry.clone();
            async move { referrers(&registry, &page).await.items.len() }
        };
        assert_eq!(count(&["a/sbom"]).await, 2);
        assert_eq!(count(&["a/signature"]).await, 1);
        assert_eq!(count(&["a/sbom", "a/signature"]).await, 3);
        assert_eq!(count(&["a/other"]).await, 0);
        let none = registry.referrers(&repo("app"), &sha256(b"missing"), &ReferrersPage::default()).await;
        assert!(none.unwrap().items.is_empty());
    });
}

#[test]
fn annotations_of_any_length_are_listed_and_long_lists_come_in_parts() {
    block_on(async {
        let registry = in_memory();
        push_blob(&registry, "app", b"{}").await;
        // These are too long for a row of the index: they are read from the manifests, and ten of them fill a
        // list.
        let notes: Vec<String> = (0..12).map(|number| format!("{number:02}").repeat(200_000)).collect();
        let mut expected = Vec::new();
        for note in &notes {
            let bytes = referring("a/b", note);
            attach(&registry, &bytes).await;
            expected.push(sha256(&bytes).to_string());
        }
        expected.sort_unstable();
        let mut found = Vec::new();
        let mut page = ReferrersPage::default();
        let mut parts = 0;
        loop {
            let part = referrers(&registry, &page).await;
            parts += 1;
            let length: usize = part.items.iter().map(|item| serde_json::to_vec(item).unwrap().len()).sum();
            assert!(length < 4 * 1024 * 1024);
            for item in &part.items {
                assert!(notes.contains(&item.annotations.to_map()["note"]));
                found.push(item.digest.to_string());
            }
            let Some(next) = part.next else { break };
            assert!(parts < 10, "it never ends");
            page.last = Some(next);
        }
        assert_eq!(found, expected);
        assert_eq!(parts, 2);
    });
}

#[test]
fn a_list_reads_no_manifest_of_a_type_that_was_not_asked_for() {
    block_on(async {
        let (registry, _, disk) = on_faulty();
        push_blob(&registry, "app", b"{}").await;
        attach(&registry, &referring("a/sbom", &"long".repeat(5000))).await;
        // After a restart no cache has it.
        let disk = FaultyDisk::new(crashed(disk.as_ref()));
        let faults = disk.faults();
        let registry = open_on(Arc::new(disk), |_| {});
        faults.fail_reads("blobs", 1, rustix::io::Errno::IO);
        for (wanted, found) in [("a/signature", Some(0)), ("a/sbom", None)] {
            let page = ReferrersPage { artifact_types: Some(vec![wanted.to_owned()]), last: None };
            let list = registry.referrers(&repo("app"), &sha256(b"subject"), &page).await;
            assert_eq!(list.ok().map(|list| list.items.len()), found, "{wanted}");
        }
    });
}

#[test]
fn a_list_goes_on_in_the_next_page_after_it_read_a_lot() {
    block_on(async {
        let registry = in_memory();
        push_blob(&registry, "app", b"{}").await;
        for number in 0..6 {
            let bytes = referring("a/b", &format!("{number}").repeat(10_000));
            let mut manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            manifest["padding"] = "x".repeat(3_900_000).into();
            attach(&registry, &manifest.to_string().into_bytes().into()).await;
        }
        let first = referrers(&registry, &ReferrersPage::default()).await;
        assert_eq!(first.items.len(), 5);
        let rest = referrers(&registry, &ReferrersPage { last: first.next, ..Default::default() }).await;
        assert_eq!((rest.items.len(), rest.next), (1, None));
    });
}
