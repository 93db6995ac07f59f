//! `pulk scrub`, and `pulk check` beside a running server.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::commands::support::{Image, Store, push, sha256};
use crate::common::blob_file;

/// Flips a byte in the middle of a file.
pub(super) fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Sends a request and returns the answer's status.
pub(super) fn status_of(address: &str, method: &str, path: &str, body: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn store() -> (Store, Image) {
    let store = Store::new();
    let image = Image::new("one", &[b"a layer of an image", b"another layer"]);
    store.run(|registry| {
        push(registry, "app", &image, Some("v1"));
        push(registry, "web", &image, Some("latest"));
    });
    (store, image)
}

#[test]
fn a_scrub_quarantines_damage_with_and_without_a_server_and_a_push_repairs_it() {
    for with_server in [false, true] {
        let (store, image) = store();
        let layer = &image.blobs[1];
        let path = format!("/v2/web/blobs/{}", sha256(layer));
        let serving = with_server.then(|| store.serve());
        let sound = store.pulk(&["scrub"]);
        assert_eq!(sound.code, 0, "{}", sound.err);
        assert!(
            sound.out.contains("in 4 blobs") && sound.out.contains("nothing is damaged"),
            "{}",
            sound.out
        );

        flip(&blob_file(store.path(), layer));
        let ran = store.pulk(&["scrub"]);
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(ran.out.contains(&format!("{} does not match its digest", sha256(layer))), "{}", ran.out);
        let aside = store.path().join(format!("quarantine/sha256-{}", sha256(layer).encoded()));
        assert!(aside.exists() && !blob_file(store.path(), layer).exists());
        let (code, status) = check(&store, &["status", "--json"]);
        assert_eq!((code, &status["damage"]["images"]), (1, &json!(2)), "{status}");
        assert_eq!(status["scrub"]["quarantined"], json!(1));
        assert_eq!(status["scrub"]["last"]["damaged"], json!(1));

        let serving = serving.unwrap_or_else(|| store.serve());
        assert_eq!(status_of(serving.address(), "HEAD", &path, b""), 404);
        let push = format!("/v2/app/blobs/uploads/?digest={}", sha256(layer));
        assert_eq!(status_of(serving.address(), "POST", &push, layer), 201);
        assert_eq!(status_of(serving.address(), "HEAD", &path, b""), 200, "in all repositories that had it");
        let report = store.json(&["scrub"]);
        assert_eq!((&report["damaged"], &report["blobs"]), (&json!(0), &json!(4)));
        assert_eq!(serving.stop(), 0);
    }
}

#[test]
fn a_store_that_a_server_uses_can_be_checked() {
    let (store, image) = store();
    let serving = store.serve();
    let ran = store.pulk(&["check", "--deep"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("nothing is wrong") && ran.out.contains("2 manifests, 2 tags"), "{}", ran.out);

    flip(&blob_file(store.path(), &image.blobs[1]));
    let (ran, report) = check(&store, &["check", "--deep", "--json"]);
    assert_eq!((ran, kinds(&report)), (1, vec!["content-digest".to_owned()]));
    assert_eq!(store.pulk(&["scrub"]).code, 1);
    let (ran, report) = check(&store, &["check", "--json"]);
    assert_eq!((ran, kinds(&report)), (1, vec!["quarantined".to_owned(); 2]), "{report}");
    assert_eq!(serving.stop(), 0);
    let (ran, alone) = check(&store, &["check", "--json"]);
    assert_eq!((ran, &alone["findings"]), (1, &report["findings"]), "a stopped store is checked alike");
}

#[test]
fn a_store_can_be_checked_while_clients_push_to_it() {
    let (store, _) = store();
    let serving = store.serve();
    std::thread::scope(|scope| {
        let address = serving.address();
        let pushing = scope.spawn(move || {
            for number in 0..150 {
                let layer = format!("layer {number}").into_bytes();
                let push = format!("/v2/busy/blobs/uploads/?digest={}", sha256(&layer));
                assert_eq!(status_of(address, "POST", &push, &layer), 201);
            }
        });
        for _ in 0..3 {
            let ran = store.pulk(&["check"]);
            assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        }
        pushing.join().unwrap();
    });
    assert_eq!(serving.stop(), 0);
}

fn check(store: &Store, arguments: &[&str]) -> (i32, Value) {
    let ran = store.pulk(arguments);
    (ran.code, serde_json::from_str(&ran.out).unwrap())
}

fn kinds(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect()
}
