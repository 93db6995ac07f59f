//! The cost of durability: syncs, bytes on the device, restarts, idling, collecting, throughput.
//!
//! `cargo bench --bench durability` measures everything, `cargo bench --bench durability -- syncs start` only
//! the named figures. It starts the release binary on loopback with its own data directories and prints
//! Markdown tables. Columns that need strace, or root for a filesystem, stay empty without them, and the
//! output says so.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "the tables are its purpose")]

mod check;
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
const FIGURES: [(&str, fn()); 10] = [
    ("syncs", syncs::measure),
    ("written", written::measure),
    ("start", start::measure),
    ("idle", idle::measure),
    ("check", check::measure),
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
