//! Attacks on the real program over raw sockets. None may make it take one request for another, hang, leak,
//! grow, or stop serving others.
//!
//! `rows` lists the attacks with the test of each; some of these are in `src/wire/tests/`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds anything else than it expects shall stop there"
)]

mod aborts;
mod crowds;
mod framing;
mod misuse;
mod rows;
mod slow;
mod splitting;
mod support;
