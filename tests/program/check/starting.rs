//! How a start handles damage and leftovers, and where it refuses.

use std::fs;

use serde_json::json;
use smol::block_on;

use crate::check::store::*;

const NOTHING: [String; 0] = [];

#[test]
fn links_lost_with_the_journal_are_restored_from_the_manifests() {
    let store = Store::with_two_images();
    let lost = store.lose_lines(&format!(
        "\"link\":{{\"repo\":\"app\",\"digest\":\"{}",
        sha256(&Image::new("one").layer)
    ));
    assert_eq!(lost, 1);
    store.run(|registry| {
        assert!(has(registry, "app", &Image::new("one")));
        assert!(has(registry, "app", &Image::new("two")));
        assert_eq!(tags(registry, "app"), ["v1", "v2"]);
    });
    assert_eq!(store.wrong(&["--deep"]), NOTHING);
}

#[test]
fn children_lost_with_the_journal_are_restored_from_their_index() {
    let store = Store::new();
    let image = Image::new("one");
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX,
                       "manifests": [descriptor(OCI_MANIFEST, &image.manifest)]});
    store.run(|registry| {
        push(registry, "app", &image, "child");
        push_manifest(registry, "app", index.to_string().as_bytes(), Some("all"));
    });
    assert_eq!(store.lose_lines("\"child\""), 1);
    store.run(|registry| {
        assert!(has(registry, "app", &image));
        assert_eq!(tags(registry, "app"), ["all"]);
    });
    assert_eq!(store.wrong(&["--deep"]), NOTHING);
}

#[test]
fn tags_whose_manifest_is_lost_go_and_those_that_can_be_restored_stay() {
    let store = Store::with_two_images();
    let (one, two) = (Image::new("one"), Image::new("two"));
    store.run(|registry| {
        push_manifest(registry, "app", &one.manifest, Some("one-again"));
        push_manifest(registry, "app", &two.manifest, Some("two-again"));
    });
    // The lines with the manifests are lost; those that only set tags are left.
    assert_eq!(store.lose_lines("\"v1\"") + store.lose_lines("\"v2\""), 2);
    fs::remove_file(store.blob(&one.manifest)).unwrap();
    store.run(|registry| {
        assert_eq!(tags(registry, "app"), ["two-again"]);
        assert!(has(registry, "app", &two));
    });
    assert_eq!(store.wrong(&["--deep"]), NOTHING);
}

#[test]
fn manifests_and_links_without_content_go_with_their_tags_and_referrers() {
    let store = Store::new();
    let image = Image::new("one");
    let signature = Image::with("signature", &json!({"subject": descriptor(OCI_MANIFEST, &image.manifest)}));
    store.run(|registry| {
        push(registry, "other", &Image::new("two"), "v2");
        push(registry, "app", &image, "v1");
        push(registry, "app", &signature, "signature");
        push(registry, "gone", &Image::new("gone"), "v1");
    });
    // A line says that the content of those before it has files.
    store.run(|registry| push_blob(registry, "other", b"later"));
    for content in [&signature.manifest, &image.layer] {
        fs::remove_file(store.blob(content)).unwrap();
    }
    let gone = Image::new("gone");
    for content in [&gone.config, &gone.layer, &gone.manifest] {
        fs::remove_file(store.blob(content)).unwrap();
    }
    // A start reads no content, unless the journal is damaged.
    assert_eq!(store.lose_lines("\"v2\""), 1);
    store.run(|registry| {
        assert_eq!(tags(registry, "app"), ["v1"]);
        let all = pulk::ReferrersPage::default();
        let referrers = block_on(registry.referrers(&repo("app"), &image.digest(), &all)).unwrap();
        assert_eq!(referrers.items.len(), 0);
        block_on(registry.blob_size(&repo("app"), &sha256(&image.layer))).unwrap_err();
        let page = pulk::Page { last: None, limit: 100 };
        let repositories = block_on(registry.repositories(&page)).unwrap();
        // The other repository has only blobs left.
        assert_eq!(repositories.items, [repo("app")]);
    });
    // The image is not whole, which a check reports.
    assert_eq!(store.wrong(&["--deep"]), ["reference"]);
}

#[test]
fn a_manifest_that_no_row_names_is_kept_for_a_rebuild() {
    let store = Store::with_two_images();
    assert_eq!(store.lose_lines("\"v1\""), 1);
    store.run(|registry| assert_eq!(tags(registry, "app"), ["v2"]));
    // A start after a crash does not remove it either.
    store.remove("clean");
    store.run(|_| ());
    assert!(store.blob(&Image::new("one").manifest).exists());
    assert_eq!(store.pulk(&["rebuild", "--from-content"]).0, 0);
    store.run(|registry| assert!(has(registry, "recovered", &Image::new("one"))));
}

#[test]
fn leftovers_of_a_crash_are_removed() {
    let store = Store::with_two_images();
    store.remove("clean");
    let leftovers = [
        store.path("uploads/nobodys"),
        store.path("journal/000000000009.new"),
        store.path("checkpoint/000000000009.new"),
        store.path("clean.new"),
        store.path("pulk.json.new"),
    ];
    for path in &leftovers {
        fs::write(path, "left").unwrap();
    }
    store.run(|registry| assert!(has(registry, "app", &Image::new("one"))));
    for path in &leftovers {
        assert!(!path.exists(), "{}", path.display());
    }
    assert_eq!(store.wrong(&["--deep"]), NOTHING);
}

#[test]
fn leftovers_do_not_survive_a_start_after_a_clean_stop_either() {
    let store = Store::with_two_images();
    let leftovers = ["journal/000000000009.new", "checkpoint/000000000009.new", "pulk.json.new"];
    for name in leftovers {
        fs::write(store.path(name), "left").unwrap();
    }
    store.run(|_| ());
    for name in leftovers {
        assert!(!store.path(name).exists(), "{name}");
    }
}

#[test]
fn a_lost_or_damaged_format_file_is_rewritten() {
    let store = Store::with_two_images();
    store.remove("pulk.json");
    assert_eq!(store.wrong(&[]), ["leftover"]);
    store.run(|registry| assert!(has(registry, "app", &Image::new("one"))));
    assert_eq!(store.wrong(&[]), NOTHING);

    fs::write(store.path("pulk.json"), "{").unwrap();
    assert_eq!(store.wrong(&[]), ["leftover"]);
    store.run(|registry| assert!(has(registry, "app", &Image::new("one"))));
    assert_eq!(store.wrong(&[]), NOTHING);
    assert_eq!(fs::read_to_string(store.path("pulk.json.damaged")).unwrap(), "{");
}

#[test]
fn a_damaged_format_file_and_nothing_else_is_not_taken_for_a_store() {
    let store = Store::new();
    fs::write(store.path("pulk.json"), "{").unwrap();
    refused_untouched(&store, "serve", "pulk.json");
}

/// Asserts that a command refuses the data directory, says why, and changes nothing.
fn refused_untouched(store: &Store, command: &str, why: &str) {
    let before = store.snapshot();
    let arguments: &[&str] = match command {
        "serve" => &["serve", "--listen", "127.0.0.1:0"],
        other => &[other],
    };
    let (code, _, err) = store.pulk(arguments);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains(why), "{err}");
    assert_eq!(store.snapshot(), before, "{command}");
}

#[test]
fn a_newer_format_is_refused_untouched() {
    // With or without the lock's file, and whichever of the two files says it.
    let store = Store::with_two_images();
    store.remove("lock");
    let sound = fs::read(store.path("pulk.json")).unwrap();
    fs::write(store.path("pulk.json"), "{\"format\":99,\"pulk\":\"7.1.0\",\"new\":[]}\n").unwrap();
    for command in ["serve", "check", "rebuild"] {
        refused_untouched(&store, command, "was written by a newer pulk (format 99; this one reads up to 2)");
        refused_untouched(&store, command, "pulk 7.1.0 or newer is needed");
    }
    fs::write(store.path("pulk.json"), sound).unwrap();
    let body = "{\"journal\":98,\"new\":1";
    let sum = blake3::hash(body.as_bytes()).to_hex();
    fs::write(store.path("journal/000000000009.log"), format!("{body},\"sum\":\"{}\"}}\n", &sum[..32]))
        .unwrap();
    for command in ["serve", "check", "rebuild"] {
        refused_untouched(&store, command, "was written by a newer pulk (format 98; this one reads up to 2)");
    }
}

#[test]
fn a_feature_that_is_not_known_is_refused_untouched() {
    let store = Store::with_two_images();
    let sound = fs::read_to_string(store.path("pulk.json")).unwrap();
    let names = [(r#"["bin"]"#, "\"bin\""), (r#"["bin","b"]"#, "\"bin\""), (r#"{"x":1}"#, r#""{\"x\":1}""#)];
    for (features, named) in names {
        let with = sound.trim_end().strip_suffix('}').unwrap();
        let with = with.replace(env!("CARGO_PKG_VERSION"), "7.1.0");
        fs::write(store.path("pulk.json"), format!("{with},\"features\":{features}}}\n")).unwrap();
        for command in ["serve", "check", "rebuild", "status", "gc"] {
            let why = format!("uses the feature {named}, which this version of pulk does not know");
            refused_untouched(&store, command, &why);
            refused_untouched(&store, command, "pulk 7.1.0 or newer is needed");
        }
    }
    // A list of none is as good as no list.
    let with = sound.trim_end().strip_suffix('}').unwrap();
    fs::write(store.path("pulk.json"), format!("{with},\"features\":[]}}\n")).unwrap();
    assert_eq!(store.pulk(&["check"]).0, 0);
}

#[test]
fn a_line_that_a_newer_pulk_wrote_is_refused_untouched() {
    let store = Store::with_two_images();
    let mut journal = fs::read(store.journal()).unwrap();
    let body = "{\"seq\":99,\"facts\":[{\"freeze\":{}}]";
    let sum = blake3::hash(body.as_bytes()).to_hex();
    journal.extend(format!("{body},\"sum\":\"{}\"}}\n", &sum[..32]).bytes());
    fs::write(store.journal(), journal).unwrap();
    for command in ["serve", "check", "rebuild", "status", "gc"] {
        refused_untouched(&store, command, "does not know what it says");
    }
}

#[test]
fn content_without_metadata_is_refused_untouched_with_advice() {
    let store = Store::with_two_images();
    store.remove_folder("journal");
    store.remove("lock");
    for command in ["serve", "check"] {
        refused_untouched(&store, command, "journal/ and checkpoint/ are missing or empty");
        refused_untouched(&store, command, "pulk rebuild");
    }
}

#[test]
fn a_push_needs_none_of_the_folders_that_are_made_along_with_its_own() {
    let store = Store::new();
    store.run(|registry| push_blob(registry, "app", b"first"));
    let own = store.blob(b"content").parent().unwrap().to_owned();
    let name = own.file_name().unwrap().to_str().unwrap();
    // A file is in the place of each of them.
    for last in "0123456789abcdef".chars() {
        let sibling = own.with_file_name(format!("{}{last}", &name[..1]));
        if sibling != own && !sibling.exists() {
            fs::write(sibling, b"foreign").unwrap();
        }
    }
    store.run(|registry| push_blob(registry, "app", b"content"));
    assert_eq!(fs::read(store.blob(b"content")).unwrap(), b"content");
    let (code, out, _) = store.pulk(&["check", "--deep"]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn an_empty_store_starts_without_its_journal() {
    let store = Store::new();
    store.run(|_| ());
    store.remove_folder("journal");
    store.remove_folder("index");
    store.run(|registry| push(registry, "app", &Image::new("one"), "v1"));
    assert_eq!(store.wrong(&["--deep"]), NOTHING);
}

#[test]
fn content_that_loses_its_name_stays_after_a_start_however_much_it_is() {
    let store = Store::with_two_images();
    let old = fs::read(store.journal()).unwrap();
    store.run(|registry| {
        for number in 0..200 {
            push_blob(registry, "app", format!("blob {number}").as_bytes());
            push_blob(registry, "other", format!("other blob {number}").as_bytes());
        }
        push(registry, "app", &Image::new("three"), "v3");
    });
    // An old copy of the journal is put back.
    fs::write(store.journal(), old).unwrap();
    store.remove("clean");
    store.run(|registry| assert_eq!(tags(registry, "app"), ["v1", "v2"]));
    assert!(store.blob(b"blob 7").exists());
    // Its age decides: it is young.
    assert_eq!(store.pulk(&["gc"]).0, 0);
    assert!(store.blob(b"blob 7").exists());
    assert_eq!(store.pulk(&["rebuild", "--from-content"]).0, 0);
    store.run(|registry| assert!(has(registry, "recovered", &Image::new("three"))));
}
