//! The control socket of a server that runs.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Image, Serving, Store, pulk, push};

fn connect(data: &Path) -> UnixStream {
    UnixStream::connect(data.join("control.sock")).unwrap()
}

/// Sends bytes and returns the lines of the answer.
fn say(data: &Path, bytes: &[u8]) -> Vec<Value> {
    let mut stream = connect(data);
    stream.write_all(bytes).unwrap();
    BufReader::new(stream).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

#[test]
fn the_socket_is_its_owners_alone_and_goes_with_the_server() {
    let store = Store::new();
    let serving = store.serve();
    let status = fs::symlink_metadata(store.path().join("control.sock")).unwrap();
    assert!(status.file_type().is_socket());
    assert_eq!(status.permissions().mode() & 0o777, 0o600);
    assert_eq!(serving.stop(), 0);
    assert!(!store.path().join("control.sock").exists());
}

#[test]
fn the_socket_of_a_server_that_crashed_is_replaced() {
    let store = Store::new();
    store.serve().kill();
    assert!(fs::symlink_metadata(store.path().join("control.sock")).is_ok(), "the crash left it");
    assert_eq!(store.pulk(&["repos"]).code, 0, "nobody listens there: the store itself is asked");
    let serving = store.serve();
    assert_eq!(store.json(&["status"])["server"]["pid"], json!(serving.pid()));
}

#[test]
fn a_path_longer_than_a_sockets_address_works() {
    let folder = TempDir::new().unwrap();
    let mut data = folder.path().to_owned();
    while data.as_os_str().len() < 200 {
        data.push("a-rather-long-name");
    }
    fs::create_dir_all(&data).unwrap();
    let serving = Serving::start(&data);
    let ran = pulk(&["status", "--json"], &data);
    let status: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(status["server"]["pid"], json!(serving.pid()));
    assert_eq!(serving.stop(), 0);
    assert!(!data.join("control.sock").exists());
}

#[test]
fn what_is_no_request_gets_a_failure_or_the_end_and_nobody_else_notices() {
    let store = Store::new();
    let _serving = store.serve();
    for (bytes, why) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "no request"),
        (b"{\"pulk\":9,\"command\":\"status\"}\n", "version 1"),
        (b"{\"pulk\":1,\"command\":\"dance\"}\n", "does not know"),
    ] {
        let said = say(store.path(), bytes);
        let message = said[0]["failure"]["message"].as_str().unwrap();
        assert!(said.len() == 1 && message.contains(why), "{said:?}");
    }
    // One that never ends its line is cut off, and one that goes at once is nobody's concern.
    let mut endless = connect(store.path());
    let _ = endless.write_all(&vec![b'x'; 200_000]);
    let mut rest = Vec::new();
    let _ = endless.read_to_end(&mut rest);
    assert_eq!(rest, b"");
    drop(connect(store.path()));
    assert_eq!(say(store.path(), b"{\"pulk\":1,\"command\":\"repos\"}\n").len(), 1);
}

#[test]
fn many_clients_at_once_all_get_their_answer() {
    let store = Store::new();
    store.run(|registry| push(registry, "app", &Image::new("one", &[b"layer"]), Some("v1")));
    let serving = store.serve();
    // More than are served at once, some of them silent.
    let silent: Vec<_> = (0..3).map(|_| connect(store.path())).collect();
    let data = store.path();
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..24).map(|_| scope.spawn(|| pulk(&["tags", "app"], data))).collect();
        for asked in asking {
            let ran = asked.join().unwrap();
            assert!(ran.code == 0 && ran.out.contains("v1"), "{ran:?}");
        }
    });
    drop(silent);
    assert_eq!(serving.stop(), 0);
}

#[test]
fn a_server_without_a_socket_is_told_apart_from_none() {
    let store = Store::new();
    let serving = store.serve();
    fs::remove_file(store.path().join("control.sock")).unwrap();
    let ran = store.pulk(&["repos"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains(&format!("(pid {})", serving.pid())), "{}", ran.err);
    assert!(ran.err.contains("control.sock"), "{}", ran.err);
    assert_eq!(serving.stop(), 0, "a socket that is gone already is no matter at the stop");
}
