//! Damage is a state: every command names the images until they are pushed again or removed.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::commands::scrub::{flip, status_of};
use crate::commands::support::{Image, Ran, Serving, Store, index_of, push, push_manifest, sha256};
use crate::common::blob_file;

/// Sends a GET and returns the answer, its head included.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Uploads what a repository does not have, as clients do.
fn push_again(address: &str, repo: &str, image: &Image) {
    for blob in &image.blobs {
        let digest = sha256(blob);
        if status_of(address, "HEAD", &format!("/v2/{repo}/blobs/{digest}"), b"") != 200 {
            let push = format!("/v2/{repo}/blobs/uploads/?digest={digest}");
            assert_eq!(status_of(address, "POST", &push, blob), 201);
        }
    }
    put(address, repo, &image.digest().to_string(), &image.manifest);
}

fn put(address: &str, repo: &str, reference: &str, manifest: &[u8]) {
    let path = format!("/v2/{repo}/manifests/{reference}");
    assert_eq!(status_of(address, "PUT", &path, manifest), 201);
}

/// Asserts that a command names these images and no others, and ends with a code.
fn names(ran: &Ran, code: i32, images: &[&str]) {
    assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
    let named: Vec<&str> =
        ran.out.lines().filter_map(|line| line.trim().split_once(" lacks ")).map(|named| named.0).collect();
    assert_eq!(named, images, "{}", ran.out);
    let advice = "push these images again, to any repository";
    assert_eq!(ran.out.contains(advice), !images.is_empty(), "{}", ran.out);
}

/// The store of the tests: an image in two repositories, and an index of another one.
struct Shop {
    store: Store,
    one: Image,
    child: Image,
    index: Vec<u8>,
}

fn shop() -> Shop {
    let store = Store::new();
    let one = Image::new("one", &[b"a layer of an image", b"another layer"]);
    let child = Image::new("child", &[b"a layer of a child"]);
    let index = index_of(&[&child]);
    store.run(|registry| {
        push(registry, "app", &one, Some("v1"));
        push(registry, "web", &one, Some("latest"));
        push(registry, "app", &child, None);
        push_manifest(registry, "app", &index, Some("multi"));
    });
    Shop { store, one, child, index }
}

impl Shop {
    /// Does what the commands advise for an image that they named.
    fn heal(&self, serving: &Serving, repo: &str, image: &str) {
        let address = serving.address();
        if image == "app:multi" {
            push_again(address, repo, &self.child);
            put(address, repo, "multi", &self.index);
        } else {
            push_again(address, repo, &self.one);
            put(address, repo, "v1", &self.one.manifest);
        }
    }
}

/// Damages content, or removes its file; follows the advice, and asks before and after it.
fn damaged_and_healed(bytes: impl Fn(&Shop) -> &[u8], is_missing: bool, repo: &str, images: &[&str]) {
    let shop = shop();
    let store = &shop.store;
    let serving = store.serve();
    names(&store.pulk(&["scrub"]), 0, &[]);
    let file = blob_file(store.path(), bytes(&shop));
    match is_missing {
        true => std::fs::remove_file(&file).unwrap(),
        false => flip(&file),
    }
    names(&store.pulk(&["scrub"]), 1, images);
    let again = store.pulk(&["scrub"]);
    assert!(again.out.contains("nothing more was found damaged"), "{}", again.out);
    names(&again, 1, images);
    names(&store.pulk(&["check"]), 1, images);
    assert!(!store.pulk(&["check"]).out.contains("the next start repairs"));
    names(&store.pulk(&["gc"]), 0, images);
    // It outlasts a restart, after which nothing is known until it is examined.
    assert_eq!(serving.stop(), 0);
    names(&store.pulk(&["status"]), 1, images);
    names(&store.pulk(&["check"]), 1, images);
    let serving = store.serve();
    names(&store.pulk(&["status"]), 1, images);
    let ready = get(serving.address(), "/readyz");
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains("damaged: `pulk status`"), "{ready}");
    let metrics = get(serving.address(), "/metrics");
    assert!(metrics.contains(&format!("\npulk_damaged_images {}\n", images.len())), "{metrics}");

    shop.heal(&serving, repo, images[0]);
    let metrics = get(serving.address(), "/metrics");
    assert!(metrics.contains("\npulk_damaged_images 0\n"), "{metrics}");
    assert!(get(serving.address(), "/readyz").ends_with("ok\n"));
    for command in ["status", "gc", "check"] {
        names(&store.pulk(&[command]), 0, &[]);
    }
    let scrub = store.pulk(&["scrub"]);
    assert!(scrub.code == 0 && scrub.out.contains("nothing is damaged"), "{}", scrub.out);
    assert_eq!(serving.stop(), 0);
    for command in ["status", "check", "scrub"] {
        names(&store.pulk(&[command]), 0, &[]);
    }
}

const BOTH: [&str; 2] = ["app:v1", "web:latest"];

#[test]
fn a_damaged_manifest_is_named_until_its_image_is_pushed_again() {
    damaged_and_healed(|shop| &shop.one.manifest, false, "app", &BOTH);
}

#[test]
fn a_damaged_config_is_named_until_its_image_is_pushed_again() {
    damaged_and_healed(|shop| &shop.one.blobs[0], false, "elsewhere", &BOTH);
}

#[test]
fn a_damaged_layer_is_named_until_its_image_is_pushed_again() {
    damaged_and_healed(|shop| &shop.one.blobs[1], false, "web", &BOTH);
}

#[test]
fn a_missing_layer_is_named_until_its_image_is_pushed_again() {
    damaged_and_healed(|shop| &shop.one.blobs[2], true, "elsewhere", &BOTH);
}

#[test]
fn a_missing_manifest_is_named_until_its_image_is_pushed_again() {
    damaged_and_healed(|shop| &shop.one.manifest, true, "elsewhere", &BOTH);
}

#[test]
fn a_damaged_index_is_named_until_it_is_pushed_again() {
    damaged_and_healed(|shop| &shop.index, false, "elsewhere", &["app:multi"]);
}

#[test]
fn a_damaged_child_of_an_index_is_named_by_the_tag_of_the_index() {
    damaged_and_healed(|shop| &shop.child.manifest, false, "app", &["app:multi"]);
}

#[test]
fn a_damaged_layer_of_a_child_is_named_by_the_tag_of_the_index() {
    damaged_and_healed(|shop| &shop.child.blobs[1], false, "elsewhere", &["app:multi"]);
}

#[test]
fn damage_goes_with_the_images_that_lead_to_it() {
    let shop = shop();
    flip(&blob_file(shop.store.path(), &shop.one.blobs[1]));
    names(&shop.store.pulk(&["scrub"]), 1, &BOTH);
    for image in BOTH {
        assert_eq!(shop.store.pulk(&["rm", image]).code, 0);
    }
    let left = shop.store.pulk(&["status"]);
    assert!(left.code == 1 && left.out.contains("2 things that no tag leads to"), "{}", left.out);
    assert_eq!(shop.store.pulk(&["gc", "--now"]).code, 0);
    names(&shop.store.pulk(&["status"]), 0, &[]);
    names(&shop.store.pulk(&["scrub"]), 0, &[]);
}

#[test]
fn only_the_first_damaged_images_are_listed_unless_all_are_asked_for() {
    let store = Store::new();
    let images: Vec<Image> =
        (0..12).map(|number| Image::new(&format!("image {number}"), &[b"a shared layer"])).collect();
    store.run(|registry| {
        for (number, image) in images.iter().enumerate() {
            push(registry, "app", image, Some(&format!("v{number:02}")));
        }
    });
    flip(&blob_file(store.path(), b"a shared layer"));
    let tags: Vec<String> = (0..12).map(|number| format!("app:v{number:02}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let scrub = store.pulk(&["scrub"]);
    names(&scrub, 1, &tags[..10]);
    assert!(scrub.out.contains("and 2 more: `pulk status --all`"), "{}", scrub.out);
    for command in ["scrub", "status", "check"] {
        names(&store.pulk(&[command]), 1, &tags[..10]);
        names(&store.pulk(&[command, "--all"]), 1, &tags);
    }
    let ran = store.pulk(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &status["damage"]["images"]), (1, &serde_json::json!(12)));
}

#[test]
fn a_check_names_the_images_of_damage_that_no_scrub_has_found_and_says_what_to_do_first() {
    let shop = shop();
    flip(&blob_file(shop.store.path(), &shop.one.blobs[1]));
    let ran = shop.store.pulk(&["check", "--deep"]);
    names(&ran, 1, &BOTH);
    assert!(ran.out.contains("`pulk scrub` takes damaged content out of use"), "{}", ran.out);
}

#[test]
fn what_is_damaged_has_no_bytes_in_any_report() {
    let shop = shop();
    let store = &shop.store;
    let bytes = |arguments: &[&str], pointer: &str| {
        let ran = store.pulk(&[arguments, &["--json"]].concat());
        let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        report.pointer(pointer).unwrap_or_else(|| panic!("{report}")).as_u64().unwrap()
    };
    for damaged in [0, shop.one.blobs[1].len() as u64] {
        if damaged > 0 {
            flip(&blob_file(store.path(), &shop.one.blobs[1]));
            names(&store.pulk(&["scrub"]), 1, &BOTH);
            let repos = store.pulk(&["repos"]);
            assert!(repos.code == 0 && repos.out.contains("web lacks 1 blob, damaged"), "{}", repos.out);
        }
        let stored = bytes(&["status"], "/blob_bytes");
        let all = shop.one.bytes() + shop.child.bytes() + shop.index.len() as u64 - damaged;
        assert_eq!(stored, all);
        assert_eq!(bytes(&["status"], "/unlinked_bytes"), 0);
        assert_eq!(bytes(&["repos"], "/totals/distinct_bytes"), stored);
        assert_eq!(bytes(&["du"], "/totals/distinct_bytes"), stored);
        let of_web = bytes(&["repos"], "/repositories/1/bytes");
        assert_eq!((of_web, bytes(&["tags", "web"], "/tags/0/bytes")), (shop.one.bytes() - damaged, of_web));
    }
}

#[test]
fn quarantine_is_listed_and_emptied_and_what_is_missing_stays_named() {
    let shop = shop();
    let store = &shop.store;
    assert_eq!(store.pulk(&["quarantine"]).out, "nothing is in quarantine\n");
    let layer = &shop.one.blobs[1];
    flip(&blob_file(store.path(), layer));
    names(&store.pulk(&["scrub"]), 1, &BOTH);
    let serving = store.serve();
    let listed = store.pulk(&["quarantine"]).out;
    assert!(listed.contains(&sha256(layer).to_string()) && listed.contains("1 file, 19 B"), "{listed}");
    let emptied = store.json(&["quarantine", "--empty"]);
    assert_eq!((&emptied["totals"]["removed"], emptied["files"].as_array().unwrap().len()), (&1.into(), 1));
    assert_eq!(store.json(&["quarantine"])["totals"]["files"], serde_json::json!(0));
    for command in ["status", "check", "scrub"] {
        names(&store.pulk(&[command]), 1, &BOTH);
    }
    shop.heal(&serving, "elsewhere", "app:v1");
    names(&store.pulk(&["check"]), 0, &[]);
    assert_eq!(serving.stop(), 0);
}

#[test]
fn untagged_manifests_are_listed_with_what_lists_them() {
    let shop = shop();
    let alone = Image::new("alone", &[b"a lonely layer"]);
    shop.store.run(|registry| push(registry, "app", &alone, None));
    let listed = shop.store.json(&["tags", "--untagged", "app"]);
    let untagged = listed["untagged"].as_array().unwrap();
    assert_eq!(untagged.len(), 2, "{listed}");
    let of = |image: &Image| untagged.iter().find(|one| one["digest"] == image.digest().to_string()).unwrap();
    assert_eq!(of(&shop.child)["listed_by"], serde_json::json!([sha256(&shop.index).to_string()]));
    assert_eq!(
        (&of(&alone)["listed_by"], &of(&alone)["bytes"]),
        (&serde_json::json!([]), &alone.bytes().into())
    );
    let table = shop.store.pulk(&["tags", "app", "--untagged"]).out;
    assert!(table.contains(&format!("listed by {}", sha256(&shop.index))), "{table}");
}
