//! Slow clients. Time limits are set short, and tests wait for what must happen.

use std::fs;
use std::io::Read;
use std::process::Command;
use std::time::Duration;

use crate::support::{Client, Victim, answers_in};

const SHORT: &str = "head_time = \"1s\"\nkeep_alive = \"1s\"\nbody_progress = \"1s\"";

#[test]
fn a_slow_head_is_answered_408_however_it_trickles() {
    let victim = Victim::start(SHORT);
    let mut silent = victim.connect();
    silent.send("GET /v2/ HTTP/1.1\r\nHost: a\r\nX: ");
    let mut trickling = victim.connect();
    trickling.send("GET /v2/ HTTP/1.1\r\nHost: a\r\nX: ");
    // A byte now and then is no progress: the time runs from the head's first byte.
    for _ in 0..40 {
        trickling.send("x");
        std::thread::sleep(Duration::from_millis(50));
    }
    for client in [&mut silent, &mut trickling] {
        let all = client.rest();
        assert!(all.starts_with("HTTP/1.1 408 ") && answers_in(&all) == 1, "{all}");
    }
    victim.serves();
}

#[test]
fn a_body_that_stalls_is_answered_408_and_the_upload_keeps_its_offset() {
    let victim = Victim::start(SHORT);
    for (framing, body) in
        [("Content-Length: 100", "hello"), ("Transfer-Encoding: chunked", "5\r\nhello\r\n64\r\n")]
    {
        let path = victim.begin();
        let all = victim.provoke(format!("PATCH {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}"));
        assert!(all.starts_with("HTTP/1.1 408 ") && answers_in(&all) == 1, "{all}");
        let status = victim.connect().get(&path);
        assert_eq!((status.status, status.header("range")), (204, Some("0-4")));
    }
}

/// A layer of 20 GiB over a slow line must work: a body that moves is never cut off.
#[test]
fn a_slow_body_that_moves_is_accepted_however_long_it_takes() {
    let victim = Victim::start(SHORT);
    // On a busy machine the client itself may stand still for longer than it may.
    let is_accepted = (0..10).any(|_| {
        let path = victim.begin();
        let mut client = victim.connect();
        client.send(format!("PATCH {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n"));
        // Three times as long as it may stall.
        for _ in 0..12 {
            client.send("x");
            std::thread::sleep(Duration::from_millis(250));
        }
        let answer = client.answer();
        (answer.status, answer.header("range")) == (202, Some("0-11"))
    });
    assert!(is_accepted);
}

#[test]
fn an_idle_connection_is_closed_without_an_answer() {
    let victim = Victim::start(SHORT);
    let mut used = victim.connect();
    assert_eq!(used.get("/v2/").status, 200);
    let mut unused = victim.connect();
    assert_eq!((used.rest(), unused.rest()), (String::new(), String::new()));
}

#[test]
fn a_client_that_stops_reading_costs_little_and_is_cut_off() {
    let victim = Victim::start(SHORT);
    let path = victim.push_blob(32 * 1024 * 1024);
    let before = victim.settled();
    let memory = victim.memory_kib();
    let stalled: Vec<_> = (0..64)
        .map(|_| {
            let mut client = victim.connect();
            client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
            client.head();
            client
        })
        .collect();
    victim.serves();
    assert!(victim.memory_kib() < memory + 64 * 64, "more than 64 KiB each");
    victim.comes_back_to(before);
    for mut client in stalled {
        let mut all = Vec::new();
        // A cut answer shows by an error, or by its length.
        let _ = client.socket.read_to_end(&mut all);
        assert!(all.len() < 32 * 1024 * 1024);
    }
}

#[test]
fn clients_that_do_not_read_a_large_manifest_cost_no_more_than_others() {
    let victim = Victim::start("manifest_bytes = \"4MiB\"");
    let manifest = victim.push_manifest("large", 4_000_000);
    // The memory for the first one stays.
    assert_eq!(victim.connect().get("/v2/a/manifests/large").text, manifest);
    victim.settled();
    let memory = victim.memory_kib();
    let mut stalled: Vec<Client> = (0..48)
        .map(|_| {
            let mut client = victim.connect();
            client.send("GET /v2/a/manifests/large HTTP/1.1\r\nHost: a\r\n\r\n".repeat(4));
            client.head();
            client
        })
        .collect();
    victim.serves();
    let more = victim.memory_kib().saturating_sub(memory);
    assert!(more < 16 * 1024, "{more} KiB for 48 clients");
    for client in stalled.iter_mut().take(2) {
        let end = &manifest[manifest.len() - 100..];
        client.end_sending();
        assert!(client.rest().ends_with(end));
    }
}

#[test]
fn uploads_that_stall_cost_little() {
    let victim = Victim::start("body_progress = \"60s\"");
    victim.settled();
    let memory = victim.memory_kib();
    let _stalled: Vec<Client> = (0..300)
        .map(|_| {
            let path = victim.begin();
            let mut client = victim.connect();
            client.send(format!("PATCH {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
            client.send("5\r\nhello\r\n4");
            client
        })
        .collect();
    victim.waits_until("all uploads run", |victim| victim.requests() == 300);
    let each = victim.memory_kib().saturating_sub(memory) * 1024 / 300;
    assert!(each < 48 * 1024, "{each} bytes for each");
}

/// The disk never returns one of the manifests.
#[test]
fn pulls_that_hang_at_the_disk_do_not_block_requests_that_need_no_disk() {
    let victim = Victim::start("");
    victim.push_manifest("hot", 10);
    let pull = push_what_hangs(&victim);
    let _hanging: Vec<Client> = (0..12)
        .map(|_| {
            let mut client = victim.connect();
            client.send(pull);
            client
        })
        .collect();
    victim.waits_until("they hang", |victim| victim.requests() == 12);
    for path in ["/v2/a/manifests/hot", "/v2/a/tags/list", "/v2/_catalog", "/livez"] {
        assert_eq!(victim.connect().get(path).status, 200, "{path}");
    }
    for path in ["/v2/a/manifests/hot", "/v2/a/manifests/cold"] {
        let mut client = victim.connect();
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(client.head().starts_with("HTTP/1.1 200 "), "{path}");
    }
}

/// Pushes a manifest whose file cannot be read, and returns how to pull it.
fn push_what_hangs(victim: &Victim) -> &'static str {
    victim.push_manifest("cold", 300_000);
    let digest =
        victim.connect().get("/v2/a/manifests/cold").header("docker-content-digest").unwrap().to_owned();
    let file = victim.file_of(&digest);
    fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    "GET /v2/a/manifests/cold HTTP/1.1\r\nHost: a\r\n\r\n"
}

#[test]
fn pulls_that_wait_for_a_slow_disk_are_not_refused() {
    let victim = Victim::start("");
    let pull = push_what_hangs(&victim);
    let mut hanging: Vec<Client> = (0..400)
        .map(|_| {
            let mut client = victim.connect();
            client.send(pull);
            client
        })
        .collect();
    victim.waits_until("they hang", |victim| victim.requests() == 400);
    for client in &mut hanging {
        client.socket.set_nonblocking(true).unwrap();
        let read = client.socket.read(&mut [0; 1]);
        assert!(read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "it was answered");
    }
}

#[test]
fn large_manifests_that_trickle_hold_no_memory() {
    let victim = Victim::start("");
    victim.settled();
    let memory = victim.memory_kib();
    let part = vec![b' '; 300_000];
    let mut stalled: Vec<Client> = (0..200)
        .map(|number| {
            let mut client = victim.connect();
            client.send(format!(
                "PUT /v2/a/manifests/v{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n"
            ));
            client.send(&part);
            client
        })
        .collect();
    victim.waits_until("all of them are there", |victim| victim.requests() == 200);
    // Nor do they keep others from pushing a large one.
    victim.push_manifest("large", 1_000_000);
    let more = victim.memory_kib().saturating_sub(memory);
    assert!(more < 32 * 1024, "{more} KiB for 200 times 300 KB");
    stalled[0].send(vec![b' '; 100_000]);
    assert_eq!(stalled[0].answer().status, 400, "it was read, and is no manifest");
}

#[test]
fn slow_readers_of_lists_hold_little_memory_and_keep_no_other_from_them() {
    let victim = Victim::start("");
    victim.push_many_referrers(12);
    let list = format!("/v2/a/referrers/{}", Victim::SUBJECT);
    let expected = victim.connect().get(&list).text;
    assert!(expected.len() > 64 * 1024);
    victim.settled();
    let memory = victim.memory_kib();
    let request = format!("GET {list} HTTP/1.1\r\nHost: a\r\n\r\n");
    // Each asks for more than the system keeps for it, and reads nothing.
    let _slow: Vec<Client> = (0..100)
        .map(|_| {
            let mut client = victim.connect();
            client.send(request.repeat(300));
            client
        })
        .collect();
    for _ in 0..5 {
        let mut other = victim.connect_from(2);
        assert_eq!(other.get(&list).text, expected);
    }
    // Of their own address, too.
    assert_eq!(victim.connect().get(&list).text, expected);
    for path in ["/v2/a/tags/list", "/v2/_catalog"] {
        assert_eq!(victim.connect().get(path).status, 200);
    }
    let more = victim.memory_kib().saturating_sub(memory);
    assert!(more < 48 * 1024, "{more} KiB for 100 slow readers");
}
