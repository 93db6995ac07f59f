//! Pushing large blobs, compared with hashing alone and writing alone.

use std::cell::Cell;

use sha2::{Digest, Sha256};

use crate::common::{place, table};
use crate::large::{Blob, Source};
use crate::load::Load;
use crate::rounds::{Round, Rounds, alternate, median};
use crate::servers::Servers;

const MIB_BYTES: u64 = 1024 * 1024;
const GIB_BYTES: f64 = 1024.0 * 1024.0 * 1024.0;
const BLOB_SIZE_BYTES: u64 = 256 * MIB_BYTES;
const PIECE_SIZE_BYTES: usize = 1024 * 1024;
const CLIENTS: [u64; 2] = [1, 4];
const ROUNDS: usize = 5;
const FIRST_NUMBER: u64 = 2_000;

/// Prints the throughput of pushes, and the wait for their answers.
pub fn measure(servers: &Servers) {
    table::heading(
        "Pushing large blobs",
        &format!(
            "Every client pushes a blob of 256 MiB by POST and PUT, all at once, until the last is \
             acknowledged. *hashing*: SHA-256 alone over as many bytes in memory, by one thread for each \
             client. *writing*: as many bytes written to one new file in pieces of 1 MiB, and synced. \
             {ROUNDS} rounds of each in turns, medians. *wait*: from the last byte that the socket took \
             from the client to the 201, as a part of the whole transfer. Aims: at least 0.85 × the \
             slower of the two, and a wait of less than 10 %."
        ),
    );
    table::columns(&[
        "clients",
        "pulk, MiB/s",
        "hashing",
        "writing",
        "of the slower one",
        "wait",
        "processor seconds a GiB",
    ]);
    let folder = place::folder();
    let source = Source::new(folder.path(), BLOB_SIZE_BYTES);
    let bytes = vec![0x5a; PIECE_SIZE_BYTES];
    let number = Cell::new(FIRST_NUMBER);
    for clients in CLIENTS {
        let mut waits = Vec::new();
        let mut push = || {
            // Before the blobs are made: making them leaves the source in memory.
            settle();
            let blobs: Vec<Blob> = (0..clients)
                .map(|_| {
                    number.set(number.get() + 1);
                    source.blob(number.get())
                })
                .collect();
            let (round, wait) = push(servers, &source, &blobs);
            waits.push(wait);
            round
        };
        let mut hash = || hash(clients, &bytes);
        let mut write = || {
            let path = folder.path().join("written");
            settle();
            let round = Round::measure(&[], amount(clients), || {
                let mut file = std::fs::File::create(&path).unwrap();
                for _ in 0..clients * BLOB_SIZE_BYTES / bytes.len() as u64 {
                    std::io::Write::write_all(&mut file, &bytes).unwrap();
                }
                file.sync_all().unwrap();
            });
            std::fs::remove_file(&path).unwrap();
            round
        };
        let [pushed, hashed, written] = alternate(ROUNDS, [&mut push, &mut hash, &mut write]);
        let wait = median(waits.into_iter().skip(1));
        let slower = hashed.rate().min(written.rate());
        let rate = |rounds: &Rounds| format!("{:.0}", rounds.rate() * GIB_BYTES / MIB_BYTES as f64);
        table::row(&[
            clients.to_string(),
            rate(&pushed),
            rate(&hashed),
            rate(&written),
            format!("**{:.2}**", pushed.rate() / slower),
            format!("**{:.1} %**", wait * 100.0),
            format!("{:.3}", pushed.cost()),
        ]);
    }
}

/// Writes out everything pending, so that it does not cost later rounds, and frees the page cache: a virtual
/// machine whose host reclaims unused memory pays a lot for pages that were unused for long.
fn settle() {
    rustix::fs::sync();
    // Only root may; otherwise the page cache stays.
    drop(std::fs::write("/proc/sys/vm/drop_caches", "1"));
}

fn amount(clients: u64) -> f64 {
    (clients * BLOB_SIZE_BYTES) as f64 / GIB_BYTES
}

/// Pushes all at once. Also returns the longest wait, as a part of its transfer.
fn push(servers: &Servers, source: &Source, blobs: &[Blob]) -> (Round, f64) {
    let mut wait: f64 = 0.0;
    let round = Round::measure(&[servers.pulk.pid()], amount(blobs.len() as u64), || {
        let address = servers.pulk.address.as_str();
        let waits = std::thread::scope(|scope| {
            let push = |blob| {
                let mut load = Load::connect(address);
                let (sent, waited) = source.push(&mut load, "team/pushed", blob);
                waited / (sent + waited)
            };
            let pushes: Vec<_> = blobs.iter().map(|blob| scope.spawn(move || push(blob))).collect();
            pushes.into_iter().map(|push| push.join().unwrap()).collect::<Vec<_>>()
        });
        wait = waits.into_iter().fold(0.0, f64::max);
    });
    (round, wait)
}

fn hash(clients: u64, bytes: &[u8]) -> Round {
    Round::measure(&[], amount(clients), || {
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    let mut hash = Sha256::new();
                    for _ in 0..BLOB_SIZE_BYTES / bytes.len() as u64 {
                        hash.update(bytes);
                    }
                    std::hint::black_box(hash.finalize());
                });
            }
        });
    })
}
