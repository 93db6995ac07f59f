//! The real program: its command line, its server, and what it does to a store. One test program for all, so
//! that tests that wait do so side by side, and only one is linked.
//!
//! | what | where |
//! |---|---|
//! | flags, variables, the configuration file | `configuration` |
//! | how a server starts and stops, and why it does not | `serve` |
//! | a running server; stores, images and the program | `serving`, `common` |
//! | the commands, on a store alone and through a server's socket | `commands` |
//! | check, rebuild, and starts on damaged stores | `check` |
//! | a collector that never rests beside clients that push | `collect` |
//! | a log that is not read, and output that nothing takes | `logs` |
//! | stores as each format of pulk left them | `stores/` |
//! | the programs under `examples/` | `examples` |

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod check;
mod collect;
mod commands;
mod common;
mod configuration;
mod examples;
mod logs;
mod serve;
mod serving;
mod stores;
