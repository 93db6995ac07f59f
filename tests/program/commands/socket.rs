//! The control socket of a running server.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use pulk::{Condition, PutManifest, PutTarget};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::commands::support::{Image, Serving, Store, pulk, push, sha256};
use crate::common::repo;
use crate::serving::serve;

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
fn only_the_owner_can_use_the_socket_and_a_stop_removes_it() {
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
    assert_eq!(store.pulk(&["repos"]).code, 0, "without a listener, the store itself is asked");
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
fn commands_reach_a_server_whose_socket_is_elsewhere_and_only_that_of_their_store() {
    let (store, other, run) = (Store::new(), Store::new(), TempDir::new().unwrap());
    let socket = run.path().join("pulk.sock");
    let config = store.file("pulk.toml", &format!("control_socket = \"{}\"\n", socket.display()));
    let configured = ["--config", config.as_str()];
    let mut command = serve(store.path(), "127.0.0.1:0");
    command.args(configured);
    let mut serving = Serving::spawn(command);
    serving.wait_until_listening();
    assert!(fs::symlink_metadata(&socket).unwrap().file_type().is_socket());
    assert!(!store.path().join("control.sock").exists());
    let status = store.json(&[&["status"], &configured[..]].concat());
    assert_eq!(status["server"]["pid"], json!(serving.pid()));
    assert_eq!(store.pulk(&[&["check"], &configured[..]].concat()).code, 0);
    // Without the configuration, a command does not find the server, and says how it would.
    let lost = store.pulk(&["status"]);
    assert!(lost.code == 1 && lost.err.contains("--config"), "{}", lost.err);
    // With it, no command acts on another store than its own.
    other.run(|registry| push(registry, "app", &Image::new("one", &[b"layer"]), Some("v1")));
    let wrong = other.pulk(&[&["repos"], &configured[..]].concat());
    assert!(wrong.code == 1 && wrong.err.contains("another data directory"), "{}", wrong.err);
    assert_eq!(serving.stop(), 0);
    assert!(!socket.exists());
}

#[test]
fn a_bad_request_gets_a_failure_or_the_end_and_other_clients_are_not_affected() {
    let store = Store::new();
    let _serving = store.serve();
    for (bytes, why) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "not a request"),
        (b"{\"pulk\":9,\"command\":\"status\"}\n", "version 1"),
        (b"{\"pulk\":1,\"command\":\"dance\"}\n", "does not know"),
    ] {
        let said = say(store.path(), bytes);
        let message = said[0]["failure"]["message"].as_str().unwrap();
        assert!(said.len() == 1 && message.contains(why), "{said:?}");
    }
    // A client that never ends its line is cut off; one that leaves at once disturbs nothing.
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
    // More clients than are served at once, some of them silent.
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
fn a_server_without_a_socket_is_reported_as_another_process() {
    let store = Store::new();
    let serving = store.serve();
    fs::remove_file(store.path().join("control.sock")).unwrap();
    let ran = store.pulk(&["repos"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains(&format!("(pid {})", serving.pid())), "{}", ran.err);
    assert!(ran.err.contains("control.sock"), "{}", ran.err);
    assert_eq!(serving.stop(), 0, "a socket that is gone already is no matter at the stop");
}

const DRY_RUN: &[u8] = b"{\"pulk\":1,\"command\":\"gc\",\"dry_run\":true}\n";

/// A store whose dry run has a longer answer than the buffers between server and client hold.
fn much_to_say() -> Store {
    let store = Store::new();
    let image = Image::new("one", &[b"layer"]);
    store.run(|registry| {
        push(registry, "app", &image, Some("v"));
        for hundred in 0..60 {
            let tags = (0..TAGS_AT_ONCE).map(|one| format!("v{hundred}-{one}").parse().unwrap()).collect();
            let target = PutTarget::Digest { digest: sha256(&image.manifest), tags };
            let bytes = image.manifest.clone().into();
            let put = PutManifest { target, content_type: None, bytes, condition: Condition::Always };
            smol::block_on(registry.put_manifest(&repo("app"), put)).unwrap();
        }
    });
    store
}

/// The number of tags that one push sets.
const TAGS_AT_ONCE: usize = 100;

fn ask(data: &Path, request: &[u8]) -> UnixStream {
    let mut stream = connect(data);
    stream.write_all(request).unwrap();
    stream
}

#[test]
fn a_dry_run_ends_when_its_client_does_not_read_and_the_next_pass_runs() {
    let store = much_to_say();
    let serving = store.serve();
    let mut stalled = BufReader::new(ask(store.path(), DRY_RUN));
    // The next pass runs now.
    stalled.read_line(&mut String::new()).unwrap();
    let report = store.json(&["gc", "--dry-run"]);
    assert!(report["verdicts"].as_array().unwrap().len() > 6000);
    let last = stalled.lines().last().unwrap().unwrap();
    let why: Value = serde_json::from_str(&last).unwrap();
    assert!(why["failure"]["message"].as_str().unwrap().contains("does not read"), "{why}");
    assert_eq!(serving.stop(), 0);
}

#[test]
fn waiting_collections_leave_permits_for_other_requests_and_end_with_their_clients() {
    let store = much_to_say();
    let serving = store.serve();
    let mut asking: Vec<_> = (0..4).map(|_| ask(store.path(), DRY_RUN)).collect();
    // The last of the five is refused.
    asking.push(ask(store.path(), DRY_RUN));
    assert_eq!(store.json(&["status"])["server"]["pid"], json!(serving.pid()));
    let is_refused = |mut stream: &UnixStream| {
        let mut line = [0; 4096];
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let read = stream.read(&mut line).unwrap_or(0);
        String::from_utf8_lossy(&line[..read]).contains("\"busy\"")
    };
    let busy = (0..1000).find_map(|_| asking.iter().position(is_refused)).unwrap();
    drop(asking.remove(busy));
    // Their clients are gone: waiting and running collections end.
    drop(asking);
    let ended = (0..300).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        let ran = store.pulk(&["gc", "--dry-run"]);
        (!ran.err.contains("collections already run or wait")).then_some((ran.code, ran.err))
    });
    assert_eq!(ended.as_ref().map(|(code, _)| *code), Some(0), "{ended:?}");
    assert_eq!(serving.stop(), 0);
}
