//! What the benchmarks share: a running server, clients, content, and how tables are printed.

// Each of the programs uses its own part of this.
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

/// Returns which of the figures the command line names: all of them when it names none.
pub fn chosen<'a>(figures: &[&'a str]) -> Vec<&'a str> {
    // cargo adds a flag of its own.
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    for name in &named {
        assert!(figures.iter().any(|figure| figure == name), "there is no figure {name:?}, but {figures:?}");
    }
    figures
        .iter()
        .copied()
        .filter(|figure| named.is_empty() || named.iter().any(|name| name == figure))
        .collect()
}
