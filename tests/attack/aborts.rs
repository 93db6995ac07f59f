//! Clients that disconnect at every stage leave nothing behind: no descriptor, thread, upload session,
//! request or memory.

use crate::support::{Client, Victim};

const BLOB_SIZE_BYTES: usize = 24 * 1024 * 1024;

/// How often each stage is tried in a round.
const TIMES: usize = 40;

/// How many rounds may need more memory than the one before: allocators keep some, but not every time.
const ROUNDS_MAX: usize = 6;

/// How much memory may differ between two equal rounds: a little more than 1 KiB for each client.
const MEMORY_SLACK_KIB: u64 = 1024;

/// Where a client disconnects.
const STAGES: [&str; 10] = [
    "connected",
    "half a head",
    "a head, and no body",
    "half a body",
    "half a chunk",
    "half of a waited body",
    "a body, and no answer read",
    "half an answer",
    "an answer, and half a next head",
    "many requests, and no answer read",
];

/// Takes a connection to a stage.
fn go_to(stage: &str, client: &mut Client, blob: &str) {
    let post = |rest: &str| {
        let digest = "0".repeat(64);
        format!("POST /v2/a/blobs/uploads/?digest=sha256:{digest} HTTP/1.1\r\nHost: a\r\n{rest}")
    };
    let get = format!("GET {blob} HTTP/1.1\r\nHost: a\r\n\r\n");
    match stage {
        "connected" => {}
        "half a head" => client.send("GET /v2/ HTTP/1.1\r\nHos"),
        "a head, and no body" => client.send(post("Content-Length: 1000000\r\n\r\n")),
        "half a body" => {
            client.send(post("Content-Length: 1000000\r\n\r\n"));
            client.send(vec![b'x'; 500_000]);
        }
        "half a chunk" => client.send(post("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nffff\r\nhalf")),
        "half of a waited body" => {
            client.send(post("Expect: 100-continue\r\nContent-Length: 10\r\n\r\n"));
            assert!(client.head().starts_with("HTTP/1.1 100 "));
            client.send("half ");
        }
        "a body, and no answer read" => client.send(post("Content-Length: 5\r\n\r\nhello")),
        "half an answer" => {
            client.send(get);
            client.head();
        }
        "an answer, and half a next head" => {
            assert_eq!(client.get("/v2/").status, 200);
            client.send("GET /v2/ HT");
        }
        "many requests, and no answer read" => client.send(get.repeat(20)),
        _ => panic!("no such stage: {stage}"),
    }
}

fn round(victim: &Victim, stage: &str, blob: &str) {
    for number in 0..TIMES {
        let mut client = victim.connect();
        go_to(stage, &mut client, blob);
        // Half of them close, half of them reset.
        if number % 2 == 0 {
            client.reset();
        }
    }
    // Several at once.
    let together: Vec<Client> = (0..TIMES)
        .map(|_| {
            let mut client = victim.connect();
            go_to(stage, &mut client, blob);
            client
        })
        .collect();
    drop(together);
}

#[test]
fn clients_that_disconnect_at_any_stage_leave_nothing_behind() {
    let victim = Victim::start("");
    let blob = victim.push_blob(BLOB_SIZE_BYTES);
    let before = victim.settled();
    for stage in STAGES {
        round(&victim, stage, &blob);
        victim.comes_back_to(before);
    }
    let mut memory = vec![victim.memory_kib()];
    let grew = |memory: &[u64]| match memory {
        [.., before, after] => *after >= before + MEMORY_SLACK_KIB,
        _ => true,
    };
    while grew(&memory) {
        assert!(memory.len() <= ROUNDS_MAX, "memory grows in each round, in KiB: {memory:?}");
        for stage in STAGES {
            round(&victim, stage, &blob);
        }
        victim.comes_back_to(before);
        memory.push(victim.memory_kib());
    }
    victim.serves();
}

/// An upload session stays so that its client can resume it. Once it is finished or cancelled, nothing of it
/// is left.
#[test]
fn an_upload_whose_client_disconnected_can_be_resumed_or_cancelled() {
    let victim = Victim::start("");
    let before = victim.settled();
    let paths: Vec<String> = (0..20).map(|_| victim.begin()).collect();
    for path in &paths {
        let mut client = victim.connect();
        client.send(format!("PATCH {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf "));
        client.reset();
    }
    for path in &paths {
        let mut client = victim.connect();
        // A client that comes back takes the session over from the hanging request.
        let patch = format!("PATCH {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nmore");
        client.send(patch);
        assert_eq!(client.answer().status, 202);
        client.send(format!("DELETE {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.answer().status, 204);
    }
    victim.comes_back_to(before);
}
