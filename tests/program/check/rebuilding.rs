//! `pulk rebuild`: from journal and checkpoints, and from what is left if these are lost.

use std::fs;

use serde_json::json;
use smol::block_on;

use crate::check::store::*;

const NOTHING: [String; 0] = [];

#[test]
fn a_lost_index_is_rebuilt_from_the_journal() {
    let store = Store::with_two_images();
    store.remove_folder("index");
    assert_eq!(store.wrong(&[]), ["index"]);
    let (code, out, err) = store.pulk(&["rebuild"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("1 repository, 2 manifests, 2 tags, 4 links"), "{out}");
    assert_eq!(store.wrong(&["--deep"]), NOTHING);
}

#[test]
fn from_content_alone_images_come_back_without_tags_into_one_repository() {
    let store = Store::with_two_images();
    store.run(|registry| push_blob(registry, "app", b"of no image"));
    for folder in ["journal", "checkpoint", "index"] {
        store.remove_folder(folder);
    }
    store.remove("clean");
    let (code, out, err) = store.pulk(&["rebuild"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("all tags and the names of repositories"), "{out}");
    assert!(out.contains("2 manifests of no known repository, now untagged in `recovered`"), "{out}");
    assert!(out.contains("1 content file (11 B) of no repository"), "{out}");
    assert_eq!(store.wrong(&["--deep"]), NOTHING);
    store.run(|registry| {
        assert!(has(registry, "recovered", &Image::new("one")));
        assert!(has(registry, "recovered", &Image::new("two")));
        assert_eq!(tags(registry, "recovered"), NOTHING);
        push(registry, "app", &Image::new("three"), "v3");
        assert!(has(registry, "app", &Image::new("three")));
    });
}

/// `limits.manifest_bytes` may have allowed it.
#[test]
fn from_content_alone_a_manifest_over_4_mib_comes_back() {
    let store = Store::new();
    let image = Image::with("large", &json!({"annotations": {"large": "x".repeat(5 << 20)}}));
    store.run(|registry| push(registry, "app", &image, "v1"));
    for folder in ["journal", "checkpoint", "index"] {
        store.remove_folder(folder);
    }
    store.remove("clean");
    let (code, _, err) = store.pulk(&["rebuild"]);
    assert_eq!(code, 0, "{err}");
    assert!(store.run(|registry| has(registry, "recovered", &image)));
}

#[test]
fn indexes_come_back_with_their_children_and_referrers_with_their_subjects() {
    let store = Store::new();
    let image = Image::new("one");
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX,
                       "manifests": [descriptor(OCI_MANIFEST, &image.manifest)]});
    let signature = Image::with("signature", &json!({"subject": descriptor(OCI_MANIFEST, &image.manifest)}));
    store.run(|registry| {
        push(registry, "app", &image, "v1");
        push(registry, "app", &signature, "signature");
        push_manifest(registry, "app", index.to_string().as_bytes(), Some("all"));
    });
    for folder in ["journal", "checkpoint", "index"] {
        store.remove_folder(folder);
    }
    assert_eq!(store.pulk(&["rebuild"]).0, 0);
    assert_eq!(store.wrong(&["--deep"]), NOTHING);
    store.run(|registry| {
        assert!(has(registry, "recovered", &image));
        let digest = sha256(index.to_string().as_bytes());
        block_on(registry.manifest(&repo("recovered"), &pulk::Reference::Digest(digest))).unwrap();
        let all = pulk::ReferrersPage::default();
        let referrers = block_on(registry.referrers(&repo("recovered"), &image.digest(), &all)).unwrap();
        assert_eq!(referrers.items.len(), 1);
        assert_eq!(referrers.items[0].digest, signature.digest());
    });
}

#[test]
fn damaged_or_incomplete_manifests_are_not_restored() {
    let store = Store::with_two_images();
    flip(&store.blob(&Image::new("one").layer));
    for folder in ["journal", "checkpoint", "index"] {
        store.remove_folder(folder);
    }
    let (code, out, _) = store.pulk(&["rebuild"]);
    assert_eq!(code, 0);
    assert!(out.contains("1 manifest left out: something needed is missing"), "{out}");
    store.run(|registry| {
        assert!(!has(registry, "recovered", &Image::new("one")));
        assert!(has(registry, "recovered", &Image::new("two")));
    });
}

#[test]
fn the_index_of_a_clean_stop_stands_in_for_a_lost_journal() {
    let store = Store::with_two_images();
    store.remove_folder("journal");
    let (code, out, err) = store.pulk(&["rebuild"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("read the index of the last clean stop instead"), "{out}");
    assert_eq!(store.wrong(&["--deep"]), NOTHING);
    store.run(|registry| {
        assert!(has(registry, "app", &Image::new("one")));
        assert_eq!(tags(registry, "app"), ["v1", "v2"]);
    });
}

/// They may be in memory, or too small for the index, which is then all that has the tags.
#[test]
fn a_rebuild_needs_no_temporary_files() {
    for is_lost in [true, false] {
        let store = Store::with_two_images();
        if is_lost {
            store.remove_folder("journal");
        } else {
            let mut lines = store.journal_lines();
            lines.remove(3);
            fs::write(store.journal(), lines.join("\n") + "\n").unwrap();
        }
        let (code, out, err) = store.pulk_without_temporary_files(&["rebuild"]);
        assert_eq!(code, 0, "{err}");
        let said = if is_lost { "read the index of the last clean stop instead" } else { "nothing is lost" };
        assert!(out.contains(said), "{out}");
        store.run(|registry| assert_eq!(tags(registry, "app"), ["v1", "v2"]));
        assert_eq!(store.wrong(&["--deep"]), NOTHING);
    }
}

#[test]
fn every_line_that_is_left_is_used_even_in_damaged_files() {
    let store = Store::with_two_images();
    // A start salvages what it can and sets the damaged file aside. Then the whole journal is lost.
    assert!(store.lose_lines("\"v1\"") > 0);
    store.run(|registry| assert_eq!(tags(registry, "app"), ["v2"]));
    fs::remove_file(store.journal()).unwrap();
    store.remove_folder("index");
    store.remove("clean");
    let (code, out, err) = store.pulk(&["rebuild", "--from-content"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("1 manifest of no known repository"), "{out}");
    store.run(|registry| {
        assert_eq!(tags(registry, "app"), ["v2"]);
        assert!(has(registry, "app", &Image::new("two")));
        assert!(has(registry, "recovered", &Image::new("one")));
    });
    assert_eq!(store.wrong(&["--deep"]), NOTHING);
}

#[test]
fn deleted_content_stays_deleted() {
    let store = Store::with_two_images();
    store.run(|registry| {
        block_on(registry.delete_manifest(&repo("app"), &Image::new("one").digest())).unwrap();
    });
    let (code, out, err) = store.pulk(&["rebuild", "--from-content"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("1 manifest left out: deleted earlier"), "{out}");
    store.run(|registry| {
        assert_eq!(tags(registry, "app"), ["v2"]);
        assert!(!has(registry, "recovered", &Image::new("one")));
        assert!(!has(registry, "app", &Image::new("one")));
    });
}

#[test]
fn a_sound_store_is_the_same_afterwards_and_rebuilding_twice_changes_nothing() {
    let store = Store::with_two_images();
    for arguments in [&["rebuild"][..], &["rebuild", "--from-content"], &["rebuild", "--from-content"]] {
        let (code, out, err) = store.pulk(arguments);
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("1 repository, 2 manifests, 2 tags, 4 links"), "{out}");
        assert_eq!(store.wrong(&["--deep"]), NOTHING);
    }
    store.run(|registry| {
        assert_eq!(tags(registry, "app"), ["v1", "v2"]);
        assert!(has(registry, "app", &Image::new("two")));
    });
}

#[test]
fn content_that_is_damaged_loses_its_links_and_can_be_pushed_again() {
    let store = Store::with_two_images();
    let image = Image::large("large");
    store.run(|registry| push(registry, "app", &image, "v1"));
    flip(&store.blob(&image.layer));
    // The journal still has this one.
    flip(&store.blob(&Image::new("two").layer));
    let (code, out, err) = store.pulk(&["rebuild", "--from-content"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("1 content file with bytes that do not match the digest"), "{out}");
    store.run(|registry| {
        assert!(!has(registry, "app", &image));
        push_blob(registry, "app", &image.layer);
        assert!(has(registry, "app", &image));
    });
    assert_eq!(store.wrong(&["--deep"]), NOTHING);
}

#[test]
fn after_a_clean_stop_a_damaged_journal_costs_nothing() {
    let store = Store::with_two_images();
    let mut lines = store.journal_lines();
    lines.remove(3);
    fs::write(store.journal(), lines.join("\n") + "\n").unwrap();
    assert!(store.wrong(&[]).contains(&"journal".to_owned()));
    let (code, out, err) = store.pulk(&["rebuild"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("nothing is lost"), "{out}");
    assert_eq!(store.wrong(&["--deep"]), NOTHING);
    store.run(|registry| {
        assert_eq!(tags(registry, "app"), ["v1", "v2"]);
        assert!(has(registry, "app", &Image::new("one")));
    });
}
