//! `pulk gc`.

use std::io::Read;
use std::process::Stdio;

use serde_json::json;

use crate::support::{Image, Store, command, push};

/// `app:v1`, and an untagged image.
fn store() -> (Store, [Image; 2]) {
    let store = Store::new();
    let images = [Image::new("one", &[b"a layer"]), Image::new("untagged", &[b"another layer"])];
    store.run(|registry| {
        push(registry, "app", &images[0], Some("v1"));
        push(registry, "app", &images[1], None);
    });
    (store, images)
}

#[test]
fn a_dry_run_says_of_each_thing_why_it_stays_and_removes_nothing() {
    let (store, [one, untagged]) = store();
    let ran = store.pulk(&["gc", "--dry-run", "--untagged-older-than", "0s"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let line = |what: &str| ran.out.lines().find(|line| line.contains(what)).unwrap().to_owned();
    let kept = line(&pulk::ContentDigest::sha256_of(b"a layer").to_string());
    assert!(kept.contains("kept: ") && kept.contains("v1"), "{kept}");
    let manifest = line(&format!("manifest app@{}", untagged.digest()));
    assert!(!manifest.contains("kept"), "{manifest}");
    assert!(ran.out.contains("would remove 0 tags, 1 manifest, 2 blobs"), "{}", ran.out);
    let report = store.json(&["gc", "--dry-run"]);
    assert!(report["verdicts"].as_array().unwrap().len() >= 6, "{report}");
    assert_eq!(report["report"]["manifests"]["removed"]["count"], json!(0));
    assert_eq!(report["report"]["untagged"]["count"], json!(1));
    let du = store.json(&["du", "app"]);
    assert_eq!(du["totals"]["bytes"], json!(one.bytes() + untagged.bytes()));
}

#[test]
fn what_was_removed_comes_back_as_space() {
    let (store, [one, untagged]) = store();
    let report = store.json(&["gc", "--untagged-older-than", "0s"]);
    assert_eq!(report["report"]["complete"], json!(true));
    assert_eq!(report["report"]["content"]["removed"]["bytes"], json!(untagged.bytes()));
    assert_eq!(store.pulk(&["rm", "app:v1"]).code, 0);
    let ran = store.pulk(&["gc"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("which freed"), "{}", ran.out);
    let status = store.json(&["status"]);
    assert_eq!((&status["blob_bytes"], &status["unlinked_bytes"]), (&json!(0), &json!(0)), "{}", one.bytes());
    assert_eq!(status["repositories"]["repositories"], json!(0));
}

#[test]
fn a_running_server_collects_when_it_is_told_to_and_spares_what_was_just_asked_for() {
    let (store, _) = store();
    let serving = store.serve();
    let dry = store.json(&["gc", "--dry-run"]);
    assert_eq!(dry["report"]["dry_run"], json!(true));
    assert_eq!(dry["report"]["manifests"]["examined"]["count"], json!(2));
    let report = store.json(&["gc", "--untagged-older-than", "0s"]);
    assert_eq!(report["report"]["manifests"]["removed"]["count"], json!(0), "a lease after the start");
    assert_eq!(serving.stop(), 0);
}

#[test]
fn who_reads_no_further_ends_a_dry_run_without_an_error() {
    let (store, _) = store();
    let mut child = command(&["gc", "--dry-run"], store.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn an_age_without_a_unit_is_refused() {
    let store = Store::new();
    let ran = store.pulk(&["gc", "--untagged-older-than", "7"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("\"7d\""), "{}", ran.err);
}
