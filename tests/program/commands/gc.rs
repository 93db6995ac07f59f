//! `pulk gc`.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::commands::support::{Image, Serving, Store, command, push, push_blob};
use crate::serving::serve;

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
fn a_dry_run_says_for_each_thing_why_it_stays_and_removes_nothing() {
    let (store, [one, untagged]) = store();
    let ran = store.pulk(&["gc", "--dry-run", "--now", "--untagged-older-than", "0s"]);
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
fn gc_frees_the_space_of_what_was_removed() {
    let (store, [one, untagged]) = store();
    let report = store.json(&["gc", "--now", "--untagged-older-than", "0s"]);
    assert_eq!(report["report"]["complete"], json!(true));
    assert_eq!(report["report"]["content"]["removed"]["bytes"], json!(untagged.bytes()));
    assert_eq!(store.pulk(&["rm", "app:v1"]).code, 0);
    let ran = store.pulk(&["gc", "--now"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("which freed"), "{}", ran.out);
    let status = store.json(&["status"]);
    assert_eq!((&status["blob_bytes"], &status["unlinked_bytes"]), (&json!(0), &json!(0)), "{}", one.bytes());
    assert_eq!(status["repositories"]["repositories"], json!(0));
}

#[test]
fn tags_that_a_policy_removes_are_logged() {
    let (store, [_, untagged]) = store();
    store.run(|registry| push(registry, "app", &untagged, Some("v2")));
    let collector = "[collector]\ninterval = \"0s\"\nlease = \"1s\"\ngrace = \"0s\"\n";
    let policy = "[[policy]]\nrepositories = [\"*\"]\nkeep = [{ last = 1 }]\n";
    let config = store.file("pulk.toml", &[collector, policy].concat());
    let mut command = serve(store.path(), "127.0.0.1:0");
    command.args(["--config", &config]);
    let mut serving = Serving::spawn(command);
    serving.wait_until_listening();
    serving.read_until("collector: removed 1 tags that no policy keeps");
    assert_eq!(serving.stop(), 0);
}

#[test]
fn gc_on_a_running_server_keeps_what_was_just_asked_for() {
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
fn a_dry_run_ends_without_error_when_its_reader_stops_early() {
    let (store, _) = store();
    let file = store.file("pulk.toml", "");
    let mut child = command(&["gc", "--dry-run", "--config", &file], store.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    let said = format!("pulk: no server runs; no policies apply, as {file} says\n");
    assert_eq!((child.wait().unwrap().code(), err), (Some(0), said));
}

#[test]
fn an_age_without_a_unit_is_refused() {
    let store = Store::new();
    let ran = store.pulk(&["gc", "--untagged-older-than", "7"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("\"7d\""), "{}", ran.err);
}

/// Visits the files below a folder.
fn each_file(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { each_file(&path, visit) } else { visit(&path) }
    }
}

fn written_at(store: &Store, time: SystemTime) {
    each_file(&store.path().join("blobs"), &mut |path| {
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    });
}

#[test]
fn what_was_pushed_just_before_the_server_stopped_stays_without_now() {
    let (store, _) = store();
    store.run(|registry| push_blob(registry, "app", b"of an image that is being pushed"));
    let untagged_too = ["gc", "--untagged-older-than", "0s"];
    let removed = |report: &serde_json::Value, what: &str| report["report"][what]["removed"]["count"].clone();

    let dry = store.pulk(&["gc", "--dry-run", "--untagged-older-than", "0s"]);
    assert!(
        dry.out.contains("young") && dry.out.contains("would remove 0 tags, 0 manifests, 0 blobs"),
        "{dry:?}"
    );
    // A clock that was set back makes everything young.
    for time in [SystemTime::now(), SystemTime::now() + Duration::from_secs(7200)] {
        written_at(&store, time);
        let report = store.json(&untagged_too);
        for what in ["manifests", "links", "content"] {
            assert_eq!(removed(&report, what), json!(0), "{what}: {report}");
        }
    }
    // Old files may have been mounted or pushed again recently; the journal shows that.
    written_at(&store, SystemTime::now() - Duration::from_secs(7200));
    let report = store.json(&untagged_too);
    for what in ["manifests", "links", "content"] {
        assert_eq!(removed(&report, what), json!(0), "{what}: {report}");
    }
    // After the grace time, which is short here, they are old.
    let elsewhere = tempfile::tempdir().unwrap();
    let config = elsewhere.path().join("gc.toml");
    fs::write(&config, "[collector]\ngrace = \"1s\"\n").unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    let config = config.to_str().unwrap();
    let report = store.json(&["gc", "--untagged-older-than", "0s", "--config", config]);
    assert_eq!((removed(&report, "manifests"), removed(&report, "links")), (json!(1), json!(3)), "{report}");
}

#[test]
fn now_also_removes_young_content() {
    let (store, _) = store();
    store.run(|registry| push_blob(registry, "app", b"of an image that is being pushed"));
    let report = store.json(&["gc", "--now"]);
    assert_eq!(report["report"]["links"]["removed"]["count"], json!(1), "{report}");
    let serving = store.serve();
    let report = store.json(&["gc", "--now"]);
    assert_eq!(report["report"]["complete"], json!(true), "a server keeps what is leased: {report}");
    assert_eq!(serving.stop(), 0);
}

#[test]
fn an_unreadable_manifest_is_named_and_the_exit_code_is_1() {
    let (store, [_, untagged]) = store();
    let digest = untagged.digest().to_string();
    let hex = digest.split_once(':').unwrap().1;
    each_file(&store.path().join("blobs"), &mut |path| {
        if path.to_string_lossy().ends_with(hex) {
            fs::write(path, "damaged").unwrap();
        }
    });
    let ran = store.pulk(&["gc", "--now", "--untagged-older-than", "0s"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for said in
        [&format!("manifest app@{digest} cannot be read"), "pulk scrub", "removed 0 tags, 0 manifests"]
    {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    // On a running server, the scrub learns of the damage and quarantines it by itself. From then on, what
    // the manifest may need stays, and the rest is collected.
    let serving = store.serve();
    let quarantine = store.path().join("quarantine");
    for _ in 0..600 {
        let ran = store.pulk(&["gc"]);
        if ran.code == 0 {
            let note = format!("what only manifest app@{digest} may need stays");
            assert!(ran.out.contains(&note), "{}", ran.out);
            assert!(fs::read_dir(&quarantine).unwrap().next().is_some());
            assert_eq!(serving.stop(), 0);
            return;
        }
        assert_eq!(ran.code, 1, "{ran:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no pass looked at it");
}
