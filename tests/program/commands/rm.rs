//! `pulk rm`.

use serde_json::{Value, json};

use crate::commands::support::{
    Image, OCI_INDEX, OCI_MANIFEST, Store, descriptor, index_of, push, push_manifest,
};
use crate::common::blob_file;
use crate::serving::{Serving, serve};

fn digests(removed: &Value) -> Vec<&str> {
    removed["manifests"].as_array().unwrap().iter().map(|row| row["digest"].as_str().unwrap()).collect()
}

fn tags(store: &Store, repo: &str) -> Vec<String> {
    let listed = store.json(&["tags", repo]);
    listed["tags"].as_array().unwrap().iter().map(|row| row["tag"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn removing_a_tag_removes_its_image_once_no_other_tag_names_it() {
    let store = Store::new();
    let image = Image::new("one", &[b"layer"]);
    store.run(|registry| {
        push(registry, "app", &image, Some("v1"));
        push_manifest(registry, "app", &image.manifest, Some("stable"));
    });
    let serving = store.serve();
    let removed = store.json(&["rm", "app:v1"]);
    assert_eq!((removed["tags"].clone(), digests(&removed).len()), (json!(["v1"]), 0));
    assert!(removed["kept"].as_str().unwrap().contains("tag stable names it"), "{removed}");
    assert_eq!(tags(&store, "app"), ["stable"]);

    let ran = store.pulk(&["rm", "app:stable"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for said in ["removed tag app:stable", "(no tag names it)", "the next collection frees the space"] {
        assert!(ran.out.contains(said), "{}", ran.out);
    }
    let du = store.json(&["du", "app"]);
    assert_eq!(du["groups"].as_array().unwrap().len(), 1, "blobs in no manifest: {du}");
    assert_eq!(store.pulk(&["rm", "app:stable"]).code, 1);
    assert_eq!(serving.stop(), 0);
}

#[test]
fn removing_an_index_removes_its_images_and_signatures_but_not_what_something_else_needs() {
    let store = Store::new();
    let [only, tagged, shared] = ["only", "tagged", "shared"].map(|name| Image::new(name, &[b"layer"]));
    let index = index_of(&[&only, &tagged, &shared]);
    let other = index_of(&[&shared]);
    let signed = json!({"subject": descriptor(OCI_INDEX, &index)});
    let signature = Image::with("signature", &[b"signed"], &signed);
    let signed = json!({"subject": descriptor(OCI_MANIFEST, &only.manifest)});
    let attestation = Image::with("attestation", &[b"attested"], &signed);
    store.run(|registry| {
        push(registry, "app", &only, None);
        push(registry, "app", &tagged, Some("amd64"));
        push(registry, "app", &shared, None);
        push_manifest(registry, "app", &index, Some("v1"));
        push_manifest(registry, "app", &other, Some("v2"));
        push(registry, "app", &signature, None);
        push(registry, "app", &attestation, None);
    });
    let removed = store.json(&["rm", "app:v1"]);
    let mut gone = digests(&removed);
    gone.sort_unstable();
    let index = pulk::ContentDigest::sha256_of(&index).to_string();
    let images = [&only, &signature, &attestation].map(|image| image.digest().to_string());
    let mut expected: Vec<&str> = images.iter().map(String::as_str).chain([index.as_str()]).collect();
    expected.sort_unstable();
    assert_eq!(gone, expected);
    assert_eq!(tags(&store, "app"), ["amd64", "v2"]);
    assert_eq!(store.pulk(&["check"]).code, 0);
}

#[test]
fn whatever_an_unreadable_index_may_list_stays() {
    let store = Store::new();
    let [listed, only] = ["listed", "only"].map(|name| Image::new(name, &[b"layer"]));
    let unreadable = index_of(&[&listed]);
    let readable = index_of(&[&listed, &only]);
    store.run(|registry| {
        push(registry, "app", &listed, None);
        push(registry, "app", &only, None);
        push_manifest(registry, "app", &unreadable, Some("v1"));
        push_manifest(registry, "app", &readable, Some("v2"));
    });
    let damaged = pulk::ContentDigest::sha256_of(&unreadable);
    std::fs::write(blob_file(store.path(), &unreadable), vec![b'x'; unreadable.len()]).unwrap();

    let removed = store.json(&["rm", "app:v2"]);
    assert_eq!((removed["tags"].clone(), digests(&removed).len()), (json!(["v2"]), 0), "{removed}");
    let kept = removed["kept"].as_str().unwrap();
    assert!(kept.contains(&format!("{damaged} cannot be read")), "{kept}");
    // Named by digest, it is removed only by force, and nothing goes with it that the other index may list.
    let readable = pulk::ContentDigest::sha256_of(&readable).to_string();
    let ran = store.pulk(&["rm", &format!("app@{readable}")]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.err.contains(&format!("index {damaged} cannot be read and may list it")), "{}", ran.err);
    let removed = store.json(&["rm", &format!("app@{readable}"), "--force"]);
    assert_eq!(digests(&removed), [readable.as_str()]);
    let left = store.json(&["status"]);
    assert_eq!(left["repositories"]["manifests"], json!(3), "both images, and what cannot be read: {left}");
}

#[test]
fn a_manifest_that_an_index_lists_is_removed_only_by_force_and_its_tags_with_it() {
    let store = Store::new();
    let image = Image::new("one", &[b"layer"]);
    let index = index_of(&[&image]);
    let nested =
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(OCI_INDEX, &index)]});
    store.run(|registry| {
        push(registry, "app", &image, Some("amd64"));
        push_manifest(registry, "app", &index, None);
        push_manifest(registry, "app", nested.to_string().as_bytes(), Some("v1"));
    });
    let child = format!("app@{}", image.digest());
    let ran = store.pulk(&["rm", &child]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let index_digest = pulk::ContentDigest::sha256_of(&index);
    let why = format!("index {index_digest} lists it, which tag v1 leads to; --force removes it");
    assert!(ran.err.contains(&why), "{}", ran.err);
    assert_eq!(tags(&store, "app"), ["amd64", "v1"], "nothing went");
    assert_eq!(store.pulk(&["check"]).code, 0);
    let removed = store.json(&["rm", &child, "--force"]);
    assert_eq!(removed["tags"], json!(["amd64"]));
    assert_eq!(removed["lacking"], json!([pulk::ContentDigest::sha256_of(&index)]));
    assert_eq!(tags(&store, "app"), ["v1"]);
}

#[test]
fn a_whole_repository_is_removed_only_with_all() {
    let store = Store::new();
    store.run(|registry| {
        for number in 0..5 {
            let image = Image::new(&format!("image {number}"), &[b"layer"]);
            push(registry, "app", &image, Some(&format!("v{number}")));
            push(registry, "web", &image, Some("latest"));
        }
    });
    let ran = store.pulk(&["rm", "app"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("pulk rm app --all"), "{}", ran.err);
    assert_eq!(store.pulk(&["rm", "app:v1", "--all"]).code, 2);

    let removed = store.json(&["rm", "app", "--all"]);
    let counts = ["tag_count", "manifest_count", "link_count"].map(|key| removed[key].as_u64().unwrap());
    assert_eq!(counts, [5, 5, 6]);
    let repos = store.json(&["repos"]);
    assert_eq!(repos["repositories"].as_array().unwrap().len(), 1);
    assert_eq!(store.pulk(&["rm", "app", "--all"]).code, 1, "it no longer exists");
}

const IMMUTABLE: &str = "[[policy]]\nrepositories = [\"*\"]\nimmutable = [\"v*\"]\n";

#[test]
fn nothing_is_removed_from_a_repository_with_an_immutable_tag() {
    let store = Store::new();
    store.run(|registry| {
        for number in 0..5 {
            let image = Image::new(&format!("image {number}"), &[b"layer"]);
            push(
                registry,
                "app",
                &image,
                Some(&if number == 3 { "v3".to_owned() } else { format!("t{number}") }),
            );
        }
    });
    let file = store.file("pulk.toml", IMMUTABLE);
    let ran = store.pulk(&["rm", "app", "--all", "--config", &file]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("tag v3 is immutable in app: nothing was removed"), "{}", ran.err);
    assert_eq!(tags(&store, "app").len(), 5);
    assert_eq!(store.json(&["status"])["repositories"]["manifests"], json!(5));
}

#[test]
fn a_signature_stays_with_its_image_when_an_index_that_lists_it_is_removed() {
    let store = Store::new();
    let image = Image::new("signed", &[b"layer"]);
    let signed = json!({"subject": descriptor(OCI_MANIFEST, &image.manifest)});
    let signature = Image::with("signature", &[b"signed"], &signed);
    let listing = index_of(&[&signature]);
    store.run(|registry| {
        push(registry, "app", &image, Some("v1"));
        push(registry, "app", &signature, None);
        push_manifest(registry, "app", &listing, Some("sigs"));
    });
    let removed = store.json(&["rm", "app:sigs"]);
    assert_eq!(digests(&removed), [pulk::ContentDigest::sha256_of(&listing).to_string()]);
    // Removing the image removes it.
    let removed = store.json(&["rm", "app:v1"]);
    assert_eq!(digests(&removed), [image.digest().to_string(), signature.digest().to_string()]);
}

#[test]
fn rm_and_gc_on_a_stopped_store_say_which_policies_apply() {
    let store = Store::new();
    let image = Image::new("one", &[b"layer"]);
    store.run(|registry| {
        for tag in ["v1", "t1", "t2", "t3"] {
            push(registry, "app", &image, Some(tag));
        }
    });
    let says = |arguments: &[&str], words: &str| {
        let ran = store.pulk(arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.err.lines().filter(|line| line.contains(words)).count()
    };
    let none = "no server runs; no policies apply, as when it was last served";
    assert_eq!((says(&["gc"], none), says(&["rm", "app:t1"], none), says(&["status"], none)), (1, 1, 0));
    let file = store.file("pulk.toml", IMMUTABLE);
    let one = format!("no server runs; 1 policy applies, as {file} says");
    let with = ["--config", &file];
    let gc = says(&[&["gc"][..], &with].concat(), &one);
    assert_eq!((gc, says(&[&["rm", "app:t2"][..], &with].concat(), &one)), (1, 1));
    assert_eq!(store.pulk(&["rm", "app:v1", "--config", &file]).code, 1, "it is immutable");
    let serving = store.serve();
    assert_eq!((says(&["gc"], "apply"), says(&["rm", "app:t3"], "apply")), (0, 0), "a server knows its own");
    assert_eq!(serving.stop(), 0);
}

/// A server that ran with a configuration file.
fn served_with(store: &Store, file: &str) {
    let mut serve = serve(store.path(), "127.0.0.1:0");
    serve.arg("--config").arg(file);
    let mut serving = Serving::spawn(serve);
    serving.wait_until_listening();
    assert_eq!(serving.stop(), 0);
}

#[test]
fn an_immutable_tag_stays_on_a_stopped_store_without_the_configuration_file() {
    let store = Store::new();
    store.run(|registry| push(registry, "app", &Image::new("one", &[b"layer"]), Some("v1")));
    served_with(&store, &store.file("pulk.toml", IMMUTABLE));
    let ran = store.pulk(&["rm", "app:v1"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("1 policy applies, as when it was last served"), "{}", ran.err);
    assert!(ran.err.contains("immutable"), "{}", ran.err);
    assert_eq!(store.pulk(&["check"]).code, 0);
    // A command with another file changes nothing of that.
    let other = store.file("other.toml", "");
    assert_eq!(store.pulk(&["gc", "--config", &other]).code, 0);
    assert_eq!(store.pulk(&["rm", "app:v1"]).code, 1);
    // A server without policies does.
    served_with(&store, &other);
    assert_eq!(store.pulk(&["rm", "app:v1"]).code, 0);
}

#[test]
fn where_the_policies_cannot_be_read_nothing_is_removed() {
    let store = Store::new();
    store.run(|registry| push(registry, "app", &Image::new("one", &[b"layer"]), Some("t1")));
    let file = store.file("pulk.toml", IMMUTABLE);
    served_with(&store, &file);
    let remembered = store.path().join("policies.json");
    let whole = std::fs::read_to_string(&remembered).unwrap();
    std::fs::write(&remembered, whole.replace("v*", "w*")).unwrap();
    for arguments in [&["rm", "app:t1"][..], &["gc"], &["gc", "--dry-run"]] {
        let ran = store.pulk(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
        for said in ["nothing was removed", "policies.json: its checksum does not match", "--config"] {
            assert!(ran.err.contains(said), "{}", ran.err);
        }
    }
    assert_eq!(store.pulk(&["status"]).code, 0);
    let checked = store.pulk(&["check"]);
    assert_eq!(checked.code, 1);
    assert!(checked.out.contains("policies: policies.json cannot be read"), "{}", checked.out);
    assert_eq!(store.pulk(&["rm", "app:t1", "--config", &file]).code, 0);
    served_with(&store, &file);
    assert_eq!(std::fs::read_to_string(&remembered).unwrap(), whole);
    assert_eq!(store.pulk(&["check"]).code, 0);
}
