//! What durability costs: syncs, bytes on the device, starting again, rest, collecting, and throughput.
//!
//! `cargo bench --bench durability` measures everything; with `-- syncs start` behind it only what is named.
//! It starts the release binary on loopback with data directories of its own and prints tables in Markdown.
//! What needs strace, or root for a filesystem of its own, is left out in plain words where there is none.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "the tables are its purpose")]

mod collector;
#[path = "../common/mod.rs"]
mod common;
mod copied;
mod idle;
mod noticed;
mod start;
mod syncs;
mod throughput;
mod written;

/// The figures: their names on the command line, and what measures them.
const FIGURES: [(&str, fn()); 9] = [
    ("syncs", syncs::measure),
    ("written", written::measure),
    ("start", start::measure),
    ("idle", idle::measure),
    ("collector", collector::measure),
    ("noticed", noticed::measure),
    ("hurried", noticed::measure_hurried),
    ("copied", copied::measure),
    ("throughput", throughput::measure),
];

fn main() {
    let chosen = common::chosen(&FIGURES.map(|(name, _)| name));
    for (_, measure) in FIGURES.iter().filter(|(name, _)| chosen.contains(name)) {
        measure();
    }
}
