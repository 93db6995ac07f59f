//! What durability costs: syncs, bytes on the device, starting again, rest, collecting, and throughput.
//!
//! `cargo bench` measures everything; `cargo bench -- syncs start` only what is named. It starts the release
//! binary on loopback with data directories of its own and prints tables in Markdown. What needs strace, or
//! root for a filesystem of its own, is left out in plain words where there is none.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "the tables are its purpose")]

mod client;
mod collector;
mod content;
mod device;
mod idle;
mod image;
mod journal;
mod place;
mod process;
mod server;
mod start;
mod strace;
mod syncs;
mod table;
mod throughput;
mod written;

/// A figure: its name on the command line, and what measures it.
const FIGURES: [(&str, fn()); 6] = [
    ("syncs", syncs::measure),
    ("written", written::measure),
    ("start", start::measure),
    ("idle", idle::measure),
    ("collector", collector::measure),
    ("throughput", throughput::measure),
];

fn main() {
    // cargo adds a flag of its own.
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    for name in &named {
        assert!(FIGURES.iter().any(|(figure, _)| figure == name), "there is no figure {name:?}");
    }
    for (figure, measure) in FIGURES {
        if named.is_empty() || named.iter().any(|name| name == figure) {
            measure();
        }
    }
}
