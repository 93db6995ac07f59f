//! Many connections, uploads and sessions at once. Requests over a limit are refused with the reason.

use std::net::TcpStream;
use std::time::Duration;

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

/// Begins an upload and sends half of its content. The server waits for the rest: the connection is not idle,
/// and not slow yet.
fn busy(mut client: Client) -> (String, Client) {
    client.send("POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    let path = client.answer().header("location").unwrap().to_owned();
    client.send(format!(
        "PATCH {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n"
    ));
    assert!(client.head().starts_with("HTTP/1.1 100 "));
    client.send("half ");
    (path, client)
}

#[test]
fn connections_over_the_limit_are_refused_with_the_reason_and_accepted_when_others_end() {
    let victim = Victim::start("connections = 8");
    let mut open: Vec<(String, Client)> = (0..8).map(|_| busy(victim.connect())).collect();
    let all = victim.provoke("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(all.starts_with("HTTP/1.1 429 ") && all.contains("Retry-After: "), "{all}");
    assert!(all.contains("TOOMANYREQUESTS") && answers_in(&all) == 1, "{all}");
    // Another address gets the reason that holds for it.
    let mut other = victim.connect_from(2);
    other.send("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
    let all = other.rest();
    assert!(all.starts_with("HTTP/1.1 503 ") && all.contains("Retry-After: "), "{all}");
    // Many more at once: each is refused or closed, and none hangs.
    let mut refused: Vec<Client> = (0..300).map(|_| victim.connect()).collect();
    for client in &mut refused {
        client.send("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
        let all = client.rest();
        assert!(all.is_empty() || all.starts_with("HTTP/1.1 429 "), "{all}");
    }
    // None of those that were let in lost anything.
    for (path, client) in &mut open {
        client.send("whole");
        assert_eq!(client.answer().status, 202);
        assert_eq!(client.get(path).header("range"), Some("0-9"));
    }
    open.pop();
    let is_let_in = |victim: &Victim| {
        victim
            .provoke("GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .starts_with("HTTP/1.1 200 ")
    };
    victim.waits_until("one more is accepted", is_let_in);
}

#[test]
fn silent_connections_in_all_places_keep_no_client_out() {
    let victim = Victim::start("connections = 16");
    let mut silent: Vec<TcpStream> = Vec::new();
    let mut fill = |count: usize| {
        silent.extend((0..count).map(|_| TcpStream::connect(victim.address).unwrap()));
        // None is displaced before it has been idle for a moment.
        std::thread::sleep(Duration::from_millis(150));
    };
    fill(16);
    for round in 0..20 {
        let mut honest = if round % 2 == 0 { victim.connect() } else { victim.connect_from(2) };
        assert_eq!(honest.get("/v2/").status, 200);
        assert_eq!(honest.get("/v2/").status, 200);
        fill(16);
    }
}

/// The same with the limit that holds where nothing is configured.
#[test]
fn a_thousand_silent_connections_keep_no_client_out() {
    let crowd = crowd().min(1024);
    let victim = Victim::start(&format!("connections = {crowd}"));
    let before = victim.settled().descriptors;
    let _silent: Vec<TcpStream> = (0..crowd).map(|_| TcpStream::connect(victim.address).unwrap()).collect();
    victim.waits_until("the server has them all", |victim| victim.descriptors() >= before + crowd);
    std::thread::sleep(Duration::from_millis(150));
    for _ in 0..100 {
        let mut honest = victim.connect();
        assert_eq!(honest.get("/v2/").status, 200);
    }
}

#[test]
fn silent_connections_in_a_stream_leave_health_checks_their_answer() {
    let victim = Victim::start("connections = 16");
    let mut silent: Vec<TcpStream> = Vec::new();
    for _ in 0..200 {
        silent.extend((0..4).map(|_| TcpStream::connect(victim.address).unwrap()));
        std::thread::sleep(Duration::from_millis(5));
        let all = victim.provoke("GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(all.starts_with("HTTP/1.1 200 "), "{all}");
    }
}

#[test]
fn one_address_may_have_all_that_no_other_wants() {
    let victim = Victim::start("");
    // A proxy, and what it keeps for its clients.
    let _idle: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(victim.address).unwrap()).collect();
    victim.serves();
    // Fifty runners, five uploads each, all at once.
    let mut uploads: Vec<(String, Client)> = (0..250).map(|_| busy(victim.connect())).collect();
    victim.waits_until("all of them are there", |victim| victim.requests() == 250);
    for (_, client) in &mut uploads {
        client.send("whole");
        assert_eq!(client.answer().status, 202);
    }
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

/// Two thousand small requests: each session is begun, and has one byte.
#[test]
fn tiny_uploads_in_all_places_keep_no_client_of_another_address_out() {
    let victim = Victim::start("");
    let mut client = victim.connect();
    for _ in 0..1024 {
        client.send("POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let path = client.answer().header("location").unwrap().to_owned();
        client.send(format!("PATCH {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"));
        assert_eq!(client.answer().status, 202);
    }
    let begin = "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    client.send(begin);
    assert_eq!(client.answer().status, 429);
    for _ in 0..50 {
        victim.waits_until("another client may push", |victim| {
            let mut other = victim.connect_from(2);
            other.send(begin);
            other.answer().status == 202
        });
    }
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

/// The memory that manifests may take in all, of which each has up to 4 MiB. They take 20 to 36 MiB, which
/// depends on the parts of the heap that the threads use; without bounds it was 105 and 139.
const MANIFESTS_SIZE_MAX_KIB: u64 = 56 * 1024;

/// Pushes manifests with these fields at once, and returns how much memory that took.
fn push_at_once(victim: &Victim, fields: impl IntoIterator<Item = String>) -> u64 {
    let blob = victim.push_blob(2);
    let digest = blob.rsplit('/').next().unwrap();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    victim.settled();
    let memory = victim.memory_kib();
    let mut pushing: Vec<Client> = Vec::new();
    for (number, fields) in fields.into_iter().enumerate() {
        let manifest = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"{media_type}\",\"config\":{{\"mediaType\":\"a/b\",\
             \"digest\":\"{digest}\",\"size\":2}},\"layers\":[],{fields}}}"
        );
        assert!((3 << 20..4 << 20).contains(&manifest.len()), "{}", manifest.len());
        let mut client = victim.connect();
        client.send(format!(
            "PUT /v2/a/manifests/v{number} HTTP/1.1\r\nHost: a\r\nContent-Type: {media_type}\r\n\
             Content-Length: {}\r\n\r\n{manifest}",
            manifest.len()
        ));
        pushing.push(client);
    }
    for client in &mut pushing {
        assert_eq!(client.answer().status, 201);
    }
    victim.memory_peak_kib() - memory
}

#[test]
fn many_large_manifests_at_once_take_little_memory() {
    let victim = Victim::start("");
    let one = |number| format!("\"annotations\":{{\"a{number}\":\"{}\"}}", "x".repeat(3_900_000));
    let more = push_at_once(&victim, (0..16).map(one));
    assert!(more < MANIFESTS_SIZE_MAX_KIB, "{more} KiB");
}

#[test]
fn manifests_made_of_annotations_take_little_memory_and_give_it_back() {
    let victim = Victim::start("");
    let subject = format!("{{\"mediaType\":\"a/b\",\"digest\":\"{}\",\"size\":2}}", Victim::SUBJECT);
    let many = |number| {
        let all: Vec<_> = (0..280_000).map(|one| format!("\"{number}.{one}\":\"\"")).collect();
        format!("\"subject\":{subject},\"annotations\":{{{}}}", all.join(","))
    };
    let before = victim.memory_kib();
    let more = push_at_once(&victim, (0..8).map(many));
    assert!(more < MANIFESTS_SIZE_MAX_KIB, "{more} KiB");
    // Those who list them read them again.
    let mut listing: Vec<Client> = (0..8).map(|_| victim.connect()).collect();
    for client in &mut listing {
        client.send(format!("GET /v2/a/referrers/{} HTTP/1.1\r\nHost: a\r\n\r\n", Victim::SUBJECT));
    }
    for client in &mut listing {
        let list = client.answer();
        assert!(list.status == 200 && list.text.contains("279999"));
    }
    let more = victim.memory_peak_kib() - before;
    assert!(more < 3 * MANIFESTS_SIZE_MAX_KIB, "{more} KiB");
    victim.settled();
    let kept = victim.memory_kib() - before;
    assert!(kept < MANIFESTS_SIZE_MAX_KIB, "{kept} KiB are kept");
}
