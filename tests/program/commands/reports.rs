//! `pulk status`, `pulk repos`, `pulk tags`, `pulk du`.

use std::io::Read;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::commands::support::{
    Image, Store, command, descriptor, index_of, push, push_blob, push_manifest, sha256,
};
use crate::common::Ran;

const SHARED: &[u8] = &[b's'; 4000];
const OWN: &[u8] = &[b'o'; 1000];

/// `app:v1` and `app:v2` share a layer with `web:latest`; `app` also has an untagged image and an
/// unreferenced blob.
fn store() -> (Store, [Image; 4]) {
    let store = Store::new();
    let images = [
        Image::new("one", &[SHARED, OWN]),
        Image::new("two", &[SHARED]),
        Image::new("untagged", &[b"a layer of an untagged image"]),
        Image::new("web", &[SHARED]),
    ];
    let [one, two, untagged, web] = &images;
    store.run(|registry| {
        push(registry, "app", one, Some("v1"));
        push_manifest(registry, "app", &one.manifest, Some("stable"));
        push(registry, "app", two, Some("v2"));
        push(registry, "app", untagged, None);
        push_blob(registry, "app", b"in no manifest");
        push(registry, "team/web", web, Some("latest"));
    });
    (store, images)
}

#[test]
fn every_command_prints_the_same_with_a_server_and_without() {
    let (store, _) = store();
    let commands: [&[&str]; 9] = [
        &["repos"],
        &["repos", "--json"],
        &["tags", "app"],
        &["tags", "app", "--json"],
        &["du"],
        &["du", "--json"],
        &["du", "app"],
        &["du", "app", "--json"],
        &["tags", "nowhere"],
    ];
    let run = |arguments: &&[&str]| {
        let ran = store.pulk(arguments);
        Ran { out: without_ages(&ran.out), ..ran }
    };
    let alone: Vec<_> = commands.iter().map(run).collect();
    let serving = store.serve();
    for (arguments, alone) in commands.iter().zip(alone) {
        assert_eq!(run(arguments), alone, "{arguments:?}");
    }
    assert_eq!(serving.stop(), 0);
}

/// Leaves out how long ago tags were set, which grows between two commands.
fn without_ages(out: &str) -> String {
    let is_age = |word: &str| word.strip_suffix('s').is_some_and(|number| number.parse::<u64>().is_ok());
    let key = "\"set_seconds\":";
    let lines = out.lines().map(|line| match line.split_once(key) {
        Some((before, after)) => {
            format!("{before}{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => line.split_whitespace().filter(|word| !is_age(word)).collect::<Vec<_>>().join(" "),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_collector_of_a_stopped_store_waits_for_a_server_and_not_for_leases() {
    let store = Store::new();
    store.run(|_| ());
    let ran = store.pulk(&["status"]);
    assert!(ran.out.contains("\ncollector   runs only while a server runs\n"), "{ran:?}");
}

#[test]
fn status_says_what_is_stored_and_what_sharing_saves() {
    let (store, images) = store();
    let status = store.json(&["status"]);
    assert_eq!(status["server"], Value::Null);
    assert_eq!(status["ready"], json!(true));
    let shared = SHARED.len() as u64;
    let have: u64 = images.iter().map(Image::bytes).sum::<u64>() - shared + 14;
    assert_eq!(status["repositories"]["bytes"], json!(have));
    assert_eq!(status["saved_bytes"], json!(shared));
    assert_eq!(status["blob_bytes"], json!(have - shared));
    assert_eq!(status["unlinked_bytes"], json!(0));
    assert_eq!(status["repositories"]["repositories"], json!(2));
    assert_eq!(status["repositories"]["tags"], json!(4));
    assert_eq!(status["repositories"]["manifests"], json!(4));

    let serving = store.serve();
    let status = store.json(&["status"]);
    assert_eq!(status["server"]["pid"], json!(serving.pid()));
    assert_eq!(status["server"]["addresses"], json!([format!("http://{}", serving.address())]));
    assert_eq!(status["saved_bytes"], json!(shared));
    let words = store.pulk(&["status"]).out;
    for said in [serving.address(), "2 repositories, 4 tags, 4 manifests", "sharing saves 3.9 KiB"] {
        assert!(words.contains(said), "{said} is not in\n{words}");
    }
}

#[test]
fn content_of_only_one_repository_is_unique_to_it() {
    let (store, images) = store();
    let du = store.json(&["du"]);
    let names: Vec<_> = du["repositories"].as_array().unwrap().iter().map(|row| &row["repository"]).collect();
    assert_eq!(names, ["app", "team/web"], "the largest comes first");
    let web = images[3].bytes();
    assert_eq!(du["repositories"][1]["bytes"], json!(web));
    assert_eq!(du["repositories"][1]["unique_bytes"], json!(web - SHARED.len() as u64));
}

#[test]
fn du_of_a_repository_separates_its_tags_from_what_no_tag_leads_to() {
    let (store, [one, two, untagged, _]) = store();
    let du = store.json(&["du", "app"]);
    let groups = du["groups"].as_array().unwrap();
    let shared = SHARED.len() as u64;
    let of = |group: Value, manifests: u64, bytes: u64, unique: u64| (group, manifests, bytes, unique);
    let found: Vec<_> = groups
        .iter()
        .map(|row| {
            let number = |key: &str| row[key].as_u64().unwrap();
            of(row["group"].clone(), number("manifests"), number("bytes"), number("unique_bytes"))
        })
        .collect();
    assert_eq!(
        found,
        [
            of(json!({"tags": ["stable", "v1"]}), 1, one.bytes(), one.bytes() - shared),
            of(json!({"tags": ["v2"]}), 1, two.bytes(), two.bytes() - shared),
            of(json!("untagged"), 1, untagged.bytes(), untagged.bytes()),
            of(json!("unreferenced"), 0, 14, 14),
        ]
    );
    let all = one.bytes() + two.bytes() + untagged.bytes() + 14 - shared;
    assert_eq!(du["totals"]["bytes"], json!(all));
    assert_eq!(du["totals"]["unique_bytes"], json!(all - shared));
}

#[test]
fn an_index_has_the_size_of_all_its_images_and_a_signature_belongs_to_what_it_signs() {
    let store = Store::new();
    let (amd64, arm64) = (Image::new("amd64", &[SHARED]), Image::new("arm64", &[SHARED, OWN]));
    let index = index_of(&[&amd64, &arm64]);
    let subject = json!({"subject": descriptor(crate::commands::support::OCI_INDEX, &index)});
    let signature = Image::with("signature", &[b"signed"], &subject);
    store.run(|registry| {
        push(registry, "app", &amd64, None);
        push(registry, "app", &arm64, None);
        push_manifest(registry, "app", &index, Some("v1"));
        push(registry, "app", &signature, None);
    });
    let pulled = amd64.bytes() + arm64.bytes() - SHARED.len() as u64 + index.len() as u64;
    let tags = store.json(&["tags", "app"]);
    assert_eq!(tags["tags"][0]["bytes"], json!(pulled));
    assert_eq!(tags["tags"][0]["digest"], json!(sha256(&index)));
    let du = store.json(&["du", "app"]);
    assert_eq!(du["groups"].as_array().unwrap().len(), 1);
    assert_eq!(du["groups"][0]["bytes"], json!(pulled + signature.bytes()));
    assert_eq!(du["groups"][0]["manifests"], json!(4));
}

#[test]
fn a_command_ends_without_error_when_its_reader_stops_early() {
    let store = Store::new();
    store.run(|registry| {
        for number in 0..50 {
            push(registry, &format!("app{number}"), &Image::new("same", &[b"layer"]), Some("v1"));
        }
    });
    let mut child =
        command(&["repos"], store.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn an_unknown_name_is_an_error_with_exit_code_1() {
    let (store, _) = store();
    for arguments in [&["tags", "nowhere"], &["du", "nowhere"]] {
        let ran = store.pulk(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""));
        assert!(ran.err.contains("nowhere is not known"), "{}", ran.err);
    }
    let empty = Store::new();
    let ran = empty.pulk(&["repos"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("it holds no store"), "{}", ran.err);
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "nothing was made");
}
