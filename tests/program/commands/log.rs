//! `pulk log`: what a push, a move of a tag, deletions and a collection leave in the journal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::commands::support::{Image, Store, command, push, sha256};

/// A hostile client: what it calls itself would clear a screen and add a line.
const USER_AGENT: &str = "evil/1.0 \u{1b}[2J\"}";

/// Sends a request and returns the answer's status.
fn send(address: &str, method: &str, path: &str, body: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nUser-Agent: test-agent/2\r\n\
         X-Request-Id: push-1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn push_over_http(address: &str, name: &str, image: &Image, tag: &str) {
    for blob in &image.blobs {
        let path = format!("/v2/{name}/blobs/uploads/?digest={}", sha256(blob));
        assert_eq!(send(address, "POST", &path, blob), 201);
    }
    let path = format!("/v2/{name}/manifests/{tag}");
    assert_eq!(send(address, "PUT", &path, &image.manifest), 201);
}

/// Returns the changes that a command prints as JSON, each with what it needs to be told from others.
fn changes(text: &str) -> Vec<(String, String)> {
    let value = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let text_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    text.lines().map(value).map(|line| (text_of(&line["change"]), text_of(&line["tag"]))).collect()
}

fn counted(found: &[(String, String)], change: &str) -> usize {
    found.iter().filter(|(kind, _)| kind == change).count()
}

fn line<'a>(text: &'a str, words: &[&str]) -> &'a str {
    let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
    text.lines().find(has_all).unwrap_or_else(|| panic!("no line with {words:?} in:\n{text}"))
}

fn short(image: &Image) -> String {
    image.digest().to_string()[..19].to_owned()
}

#[test]
fn the_log_has_pushes_moves_deletions_and_collections_of_running_and_stopped_stores() {
    let store = Store::new();
    let serving = store.serve();
    let (one, two) = (Image::new("one", &[b"a layer"]), Image::new("two", &[b"another layer"]));
    push_over_http(serving.address(), "team/app", &one, "v1");
    push_over_http(serving.address(), "team/app", &two, "v1");
    push_over_http(serving.address(), "other", &two, "v1");
    let path = format!("/v2/team/app/manifests/{}", one.digest());
    assert_eq!(send(serving.address(), "DELETE", &path, b""), 202);
    assert_eq!(store.pulk(&["rm", "team/app:v1"]).code, 0);
    assert_eq!(store.pulk(&["gc", "--now"]).code, 0);
    let running = store.pulk(&["log"]);
    assert_eq!((running.code, running.err.as_str()), (0, ""));
    let text = &running.out;
    let client = "by 127.0.0.1, test-agent/2, request push-1";
    line(text, &["manifest pushed", "team/app", &short(&one), client]);
    line(text, &["tag set", "team/app:v1", &short(&one), client]);
    let moved = format!("team/app:v1  {} → {}", short(&one), short(&two));
    line(text, &["tag moved", &moved, client]);
    line(text, &["manifest removed", "team/app", &short(&one), client]);
    line(text, &["tag removed", "team/app:v1", &short(&two), "by rm"]);
    line(text, &["manifest removed", "team/app", &short(&two), "by rm: no tag names it"]);

    let json = store.pulk(&["log", "--json"]);
    let found = changes(&json.out);
    assert_eq!(counted(&found, "manifest-pushed"), 3);
    assert_eq!(counted(&found, "tag-moved"), 1);
    assert_eq!(found.len(), running.out.lines().count());
    let of_repo = store.pulk(&["log", "other"]).out;
    assert!(
        of_repo.lines().count() >= 4 && of_repo.lines().all(|line| line.contains("  other")),
        "{of_repo}"
    );
    assert_eq!(store.pulk(&["log", "--since", "1h"]).out, running.out);
    assert_eq!(store.pulk(&["log", "--since", "2999-01-01"]).out, "");
    assert_eq!(store.pulk(&["log", "--since", "yesterday"]).code, 2);

    assert_eq!(serving.stop(), 0);
    assert_eq!(store.pulk(&["log"]).out, running.out, "on a stopped store");
    assert_eq!(store.pulk(&["log", "--json"]).out, json.out, "on a stopped store");
    // A collection without a server has no leases to respect.
    assert_eq!(store.pulk(&["gc", "--now"]).code, 0);
    let text = store.pulk(&["log"]).out;
    line(&text, &["blob removed", "team/app", "by gc, unreferenced: no manifest of the repository"]);
    line(&text, &["content removed", "by gc, unreferenced: no repository has it"]);
    line(&text, &["repository removed", "team/app", "by gc"]);
}

#[test]
fn what_a_hostile_client_sends_cannot_speak_to_a_terminal() {
    let store = Store::new();
    store.run(|registry| {
        let hostile = registry.on_behalf_of(pulk::Origin::default().client(USER_AGENT).request("\r\n"));
        push(&hostile, "app", &Image::new("one", &[]), Some("v1"));
    });
    let text = store.pulk(&["log"]).out;
    line(&text, &["tag set", "app:v1", "by evil/1.0 ?[2J?}"]);
    let is_plain = |character: char| character == '\n' || !character.is_control();
    for text in [text, store.pulk(&["log", "--json"]).out] {
        assert!(text.chars().all(is_plain), "{text:?}");
    }
}

#[test]
fn a_store_that_crashed_is_read_without_changing_it() {
    let store = Store::new();
    let serving = store.serve();
    push_over_http(serving.address(), "app", &Image::new("one", &[]), "v1");
    serving.kill();
    let journal = || {
        let files = std::fs::read_dir(store.path().join("journal")).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect::<Vec<_>>()
    };
    let before = journal();
    line(&store.pulk(&["log"]).out, &["tag set", "app:v1"]);
    assert_eq!(journal(), before);
}

/// A running `pulk log --follow`, killed when a test ends early.
struct Following(Child);

impl Following {
    fn start(data: &Path) -> (Self, impl Iterator<Item = String>) {
        let mut child = command(&["log", "--follow", "--json"], data).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        (Self(child), lines)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_follower_prints_each_change_as_it_comes_and_ends_by_a_signal_or_with_the_server() {
    let store = Store::new();
    let serving = store.serve();
    let (mut first, mut lines) = Following::start(store.path());
    let (mut second, mut other_lines) = Following::start(store.path());
    for tag in ["v1", "v2"] {
        push_over_http(serving.address(), "app", &Image::new(tag, &[]), tag);
        for mut lines in [&mut lines as &mut dyn Iterator<Item = String>, &mut other_lines] {
            let set = Iterator::find(&mut lines, |line| line.contains("tag-set")).unwrap();
            assert_eq!(changes(&set), [("tag-set".to_owned(), tag.to_owned())]);
        }
    }
    kill_process(Pid::from_child(&first.0), Signal::INT).unwrap();
    assert!(!first.0.wait().unwrap().success());
    assert_eq!(lines.next(), None);
    // Another one is served, and the stop of the server ends what is left.
    assert_eq!(store.pulk(&["log"]).code, 0);
    assert_eq!(serving.stop(), 0);
    assert_eq!(second.0.wait().unwrap().code(), Some(1));
    assert_eq!(other_lines.next(), None);
}

#[test]
fn a_closed_pipe_ends_a_follower_with_the_next_change() {
    let store = Store::new();
    let serving = store.serve();
    let (mut following, lines) = Following::start(store.path());
    drop(lines);
    push_over_http(serving.address(), "app", &Image::new("one", &[]), "v1");
    assert_eq!(following.0.wait().unwrap().code(), Some(0));
    assert_eq!(serving.stop(), 0);
}
