//! Many connections, uploads and sessions at once. Requests over a limit are refused with the reason.

use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{Client, Victim, answers_in};

/// How many idle connections to open, if the system allows it.
const CROWD_MAX: u64 = 8_000;

/// The memory that an idle connection may take in a test build.
const IDLE_SIZE_MAX_BYTES: u64 = 4 * 1024;

/// The descriptors that this program needs for itself.
const DESCRIPTORS_KEPT: u64 = 512;

/// Raises the limit of open files as far as possible, and returns how many connections it allows. The server
/// needs two descriptors for each, since a connection may also have a file open.
fn crowd() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let crowd = (limit / 2).saturating_sub(DESCRIPTORS_KEPT).min(CROWD_MAX);
    assert!(crowd > 100, "the system allows too few open files for this test");
    crowd as usize
}

#[test]
fn thousands_of_idle_connections_cost_little_and_keep_no_client_out() {
    let crowd = crowd();
    let victim = Victim::start(&format!("connections = {}", crowd + 100));
    let before = victim.settled();
    let memory = victim.memory_kib();
    let idle: Vec<TcpStream> = (0..crowd).map(|_| TcpStream::connect(victim.address).unwrap()).collect();
    victim
        .waits_until("the server has them all", |victim| victim.descriptors() >= before.descriptors + crowd);
    victim.serves();
    let each = victim.memory_kib().saturating_sub(memory) * 1024 / crowd as u64;
    assert!(each < IDLE_SIZE_MAX_BYTES, "{each} bytes for an idle connection");
    drop(idle);
    victim.comes_back_to(before);
}

#[test]
fn connections_over_the_limit_are_refused_with_the_reason_and_accepted_when_others_end() {
    let victim = Victim::start("connections = 8");
    let mut open: Vec<Client> = (0..8).map(|_| victim.connect()).collect();
    for client in &mut open {
        assert_eq!(client.get("/v2/").status, 200);
    }
    let all = victim.provoke("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(all.starts_with("HTTP/1.1 503 ") && all.contains("Retry-After: "), "{all}");
    assert!(all.contains("TOOMANYREQUESTS") && answers_in(&all) == 1, "{all}");
    // Many more at once: each is refused or closed, and none hangs.
    let mut refused: Vec<Client> = (0..300).map(|_| victim.connect()).collect();
    for client in &mut refused {
        client.send("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
        let all = client.rest();
        assert!(all.is_empty() || all.starts_with("HTTP/1.1 503 "), "{all}");
    }
    assert_eq!(open[0].get("/v2/").status, 200);
    open.pop();
    let is_let_in = |victim: &Victim| {
        victim
            .provoke("GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .starts_with("HTTP/1.1 200 ")
    };
    victim.waits_until("one more is accepted", is_let_in);
}

#[test]
fn uploads_over_the_limit_are_refused_with_the_reason_and_lose_nothing() {
    let victim = Victim::start("uploads = 4");
    let patch = |path: &str| format!("PATCH {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    let mut slow: Vec<(String, Client)> = (0..4).map(|_| (victim.begin(), victim.connect())).collect();
    for (path, client) in &mut slow {
        client.send(patch(path));
        client.send("half ");
    }
    let path = victim.begin();
    victim.waits_until("all places are taken", |victim| victim.requests() == 4);
    let manifest = "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n".to_owned();
    for request in [patch(&path), manifest] {
        let all = victim.provoke(format!("{request}half "));
        assert!(all.starts_with("HTTP/1.1 429 ") && all.contains("Retry-After: "), "{all}");
        assert!(all.contains("TOOMANYREQUESTS") && answers_in(&all) == 1, "{all}");
    }
    // Requests without content are not counted: pulls, status, the end of an upload.
    assert_eq!(victim.connect().get(&path).status, 204);
    for (_, client) in &mut slow {
        client.send("whole");
        assert_eq!(client.answer().status, 202);
    }
    let mut client = victim.connect();
    client.send(patch(&path));
    client.send("as it was.");
    assert_eq!(client.answer().header("range"), Some("0-9"));
}

#[test]
fn upload_sessions_over_the_limit_are_refused_with_the_reason() {
    let victim = Victim::start("upload_sessions = 3");
    let paths: Vec<String> = (0..3).map(|_| victim.begin()).collect();
    let begin = "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: a\r\n\r\n";
    let all = victim.ask(begin);
    assert!(all.starts_with("HTTP/1.1 429 ") && all.contains("Retry-After: "), "{all}");
    let mut client = victim.connect();
    client.send(format!("DELETE {} HTTP/1.1\r\nHost: a\r\n\r\n", paths[0]));
    assert_eq!(client.answer().status, 204);
    victim.begin();
}

#[test]
fn a_manifest_over_the_limit_is_refused_before_it_is_read() {
    let victim = Victim::start("manifest_bytes = \"4MiB\"");
    let put = "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: a\r\n";
    let all = victim.provoke(format!("{put}Content-Length: 5000000000\r\n\r\n"));
    assert!(all.starts_with("HTTP/1.1 413 ") && answers_in(&all) == 1, "{all}");
    let mut client = victim.connect();
    client.send(format!("{put}Transfer-Encoding: chunked\r\n\r\n"));
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(1024 * 1024));
    for _ in 0..6 {
        client.send(&chunk);
    }
    assert_eq!(client.answer().status, 413);
    victim.serves();
}
