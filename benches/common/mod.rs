//! Shared by the benchmarks: a running server, clients, content, tables.

#![allow(dead_code, reason = "each of the programs uses its own part")]

pub mod client;
pub mod content;
pub mod device;
pub mod image;
pub mod journal;
pub mod place;
pub mod process;
pub mod server;
pub mod strace;
pub mod table;

/// Returns the figures that the command line names, or all of them if it names none.
pub fn chosen<'a>(figures: &[&'a str]) -> Vec<&'a str> {
    // cargo adds a flag of its own.
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    for name in &named {
        assert!(
            figures.iter().any(|figure| figure == name),
            "unknown figure {name:?}, not one of {figures:?}"
        );
    }
    figures
        .iter()
        .copied()
        .filter(|figure| named.is_empty() || named.iter().any(|name| name == figure))
        .collect()
}
