//! Pulling large blobs, compared with nginx with `sendfile`.

use crate::common::table;
use crate::large::Source;
use crate::load::{Load, request};
use crate::rounds::{Round, alternate};
use crate::servers::{Servers, path_of};

const MIB_BYTES: u64 = 1024 * 1024;
const GIB_BYTES: f64 = 1024.0 * 1024.0 * 1024.0;
const BLOB_SIZE_BYTES: u64 = 256 * MIB_BYTES;
const CLIENTS: u64 = 4;
const PULLS_A_ROUND: u64 = 4;
const ROUNDS: usize = 7;
const FIRST_NUMBER: u64 = 1_000;

/// Prints the throughput of pulls and their cost.
pub fn measure(servers: &Servers) {
    table::heading(
        "Pulling large blobs",
        &format!(
            "{CLIENTS} clients, each pulls a blob of 256 MiB {PULLS_A_ROUND} times a round over one \
             connection; the blobs are in the page cache. {ROUNDS} rounds of each server in turns; \
             throughput is the median of the rounds, processor time is over all of them. Aims: at least \
             0.95 × the throughput of nginx with `sendfile`, at most 1.15 × its processor time for each \
             GiB."
        ),
    );
    let folder = crate::common::place::folder();
    let source = Source::new(folder.path(), BLOB_SIZE_BYTES);
    let blobs: Vec<_> = (0..CLIENTS).map(|number| source.blob(FIRST_NUMBER + number)).collect();
    for blob in &blobs {
        source.push(&mut Load::connect(&servers.pulk.address), "team/pulled", blob);
    }
    let blob_targets: Vec<_> =
        blobs.iter().map(|blob| format!("/v2/team/pulled/blobs/{}", blob.digest)).collect();
    let files: Vec<_> = blobs.iter().map(|blob| path_of(&blob.digest)).collect();

    let mut pulk = || round(&servers.pulk.address, &[servers.pulk.pid()], &blob_targets, BLOB_SIZE_BYTES);
    table::columns(&["server", "GiB/s", "of nginx", "processor seconds a GiB", "of nginx"]);
    let Some(nginx) = &servers.nginx else {
        let [pulk] = alternate(ROUNDS, [&mut pulk]);
        return row("pulk", pulk.rate(), pulk.cost(), None);
    };
    let mut other = || round(&nginx.address, &nginx.processes(), &files, BLOB_SIZE_BYTES);
    let [pulk, other] = alternate(ROUNDS, [&mut pulk, &mut other]);
    row("pulk", pulk.rate(), pulk.cost(), Some((other.rate(), other.cost())));
    row("nginx", other.rate(), other.cost(), None);
}

fn row(server: &str, rate: f64, cost: f64, other: Option<(f64, f64)>) {
    let ratio = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("**{ratio:.2}**"));
    table::row(&[
        server.to_owned(),
        format!("{rate:.2}"),
        ratio(other.map(|(other, _)| rate / other)),
        format!("{cost:.3}"),
        ratio(other.map(|(_, other)| cost / other)),
    ]);
}

/// Every client pulls its own blob of `size` bytes. The amount is in GiB.
pub fn round(address: &str, processes: &[u32], targets: &[String], size: u64) -> Round {
    let amount = (targets.len() as u64 * PULLS_A_ROUND * size) as f64 / GIB_BYTES;
    Round::measure(processes, amount, || {
        std::thread::scope(|scope| {
            for target in targets {
                scope.spawn(|| {
                    let mut load = Load::connect(address);
                    let request = request("GET", target);
                    for _ in 0..PULLS_A_ROUND {
                        load.send(&request);
                        assert_eq!(load.answer("GET", 200).length, size);
                    }
                });
            }
        });
    })
}
