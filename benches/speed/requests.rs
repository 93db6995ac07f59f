//! Small answers: manifests by tag and heads of blobs, compared with nginx with the same files.

use crate::common::image::{MANIFEST_TYPE, Way, push_blob, push_manifest, small_image};
use crate::common::table;
use crate::load::Load;
use crate::rounds::{Round, alternate};
use crate::servers::{Servers, path_of};

pub const CONNECTIONS: usize = 16;
const THREADS: usize = 2;
const REQUESTS_A_CONNECTION: usize = 2_000;
const ROUNDS: usize = 9;
const REPO: &str = "team/small";
const NUMBER: u64 = 900_000_000;

/// Prints the requests answered in a second, and their cost.
pub fn measure(servers: &Servers) {
    table::heading(
        "Small answers",
        &format!(
            "{CONNECTIONS} connections, each with a request in flight all the time, from {THREADS} threads \
             that send and read in turns; {} requests a round, {ROUNDS} rounds of each server in turns, \
             medians. nginx serves the same files. Neither logs requests. Aim: at least 0.75 × nginx.",
            CONNECTIONS * REQUESTS_A_CONNECTION
        ),
    );
    let mut client = servers.pulk.client();
    let blobs = small_image(NUMBER);
    for blob in &blobs {
        push_blob(&mut client, REPO, Way::Put, blob);
    }
    push_manifest(&mut client, REPO, &blobs, NUMBER);
    let manifest = format!("/v2/{REPO}/manifests/v{NUMBER}");
    let digest = manifest_digest(servers, &manifest);
    let [_, layer] = &blobs;
    let blob = format!("/v2/{REPO}/blobs/{}", layer.digest);
    table::columns(&[
        "request",
        "pulk, a second",
        "nginx, a second",
        "of nginx",
        "pulk, processor µs",
        "nginx, processor µs",
        "of nginx",
    ]);
    for (name, method, target, file) in [
        ("GET of a manifest by its tag", "GET", &manifest, path_of(&digest)),
        ("HEAD of a blob", "HEAD", &blob, path_of(&layer.digest)),
    ] {
        let mut pulk =
            || round(&servers.pulk.address, &[servers.pulk.pid()], (method, target), REQUESTS_A_CONNECTION);
        let cell = |value: f64| format!("{value:.0}");
        let micros = |cost: f64| format!("{:.1}", cost * 1e6);
        let Some(nginx) = &servers.nginx else {
            let [pulk] = alternate(ROUNDS, [&mut pulk]);
            let dash = || "-".to_owned();
            let cost = micros(pulk.cost());
            table::row(&[name.to_owned(), cell(pulk.rate()), dash(), dash(), cost, dash(), dash()]);
            continue;
        };
        let mut other = || round(&nginx.address, &nginx.processes(), (method, &file), REQUESTS_A_CONNECTION);
        let [pulk, other] = alternate(ROUNDS, [&mut pulk, &mut other]);
        table::row(&[
            name.to_owned(),
            cell(pulk.rate()),
            cell(other.rate()),
            format!("**{:.2}**", pulk.rate() / other.rate()),
            micros(pulk.cost()),
            micros(other.cost()),
            format!("{:.2}", pulk.cost() / other.cost()),
        ]);
    }
}

fn manifest_digest(servers: &Servers, target: &str) -> String {
    let answer = servers.pulk.client().send("GET", target).expect(200);
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&answer.body);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Repeats one request, `times` on each connection.
pub fn round(address: &str, processes: &[u32], (method, target): (&str, &str), times: usize) -> Round {
    // Clients name the types that they take, and distribution wants to see them.
    let lines = format!("{method} {target} HTTP/1.1\r\nHost: registry\r\nAccept: {MANIFEST_TYPE}\r\n\r\n");
    let request = lines.into_bytes();
    let length = {
        let mut first = Load::connect(address);
        first.send(&request);
        let head = first.answer(method, 200);
        head.head_length + usize::try_from(head.length).unwrap()
    };
    let amount = (CONNECTIONS * times) as f64;
    Round::measure(processes, amount, || {
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut connections: Vec<Load> =
                        (0..CONNECTIONS / THREADS).map(|_| Load::connect(address)).collect();
                    connections.iter_mut().for_each(|connection| connection.send(&request));
                    for turn in 1..=times {
                        for connection in &mut connections {
                            connection.same_answer(length);
                            if turn < times {
                                connection.send(&request);
                            }
                        }
                    }
                });
            }
        });
    })
}
