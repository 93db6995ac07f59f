//! The speed of pulk: large and small pulls and pushes, compared with nginx and other registries; memory;
//! large stores.
//!
//! `cargo bench --bench speed` measures everything, `cargo bench --bench speed -- pull push` only the named
//! figures. It starts the release binary on loopback, beside it nginx and other registries if they are on the
//! PATH, and prints Markdown tables. All share one machine with the clients, so only the ratios are
//! meaningful.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the tables are its purpose")]

mod calls;
#[path = "../common/mod.rs"]
mod common;
mod growth;
mod images;
mod large;
mod load;
mod memory;
mod nginx;
mod peers;
mod pull;
mod push;
mod requests;
mod rounds;
mod servers;
mod slow_disk;
mod throttle;

use servers::Servers;

/// Measures a figure at shared servers.
type Measure = fn(&Servers);

/// The figures that are measured at one server; the last one reads its memory.
const SIDE_BY_SIDE: [(&str, Measure); 5] = [
    ("pull", pull::measure),
    ("push", push::measure),
    ("requests", requests::measure),
    ("images", images::measure),
    ("memory", memory::measure),
];

/// The figures with their own stores.
const ALONE: [(&str, fn()); 4] = [
    ("growth", growth::measure),
    ("slow-disk", slow_disk::measure),
    ("calls", calls::measure),
    ("peers", peers::measure),
];

fn main() {
    let names: Vec<&str> =
        SIDE_BY_SIDE.iter().map(|(name, _)| *name).chain(ALONE.iter().map(|(name, _)| *name)).collect();
    let chosen = common::chosen(&names);
    let side_by_side: Vec<_> = SIDE_BY_SIDE.iter().filter(|(name, _)| chosen.contains(name)).collect();
    if !side_by_side.is_empty() {
        let servers = Servers::start();
        for (_, measure) in side_by_side {
            measure(&servers);
        }
    }
    for (_, measure) in ALONE.iter().filter(|(name, _)| chosen.contains(name)) {
        measure();
    }
}
