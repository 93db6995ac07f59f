//! What a client can do to hurt, done to the real program over raw sockets: no attack may make it take a
//! request for another one, hang, leak or grow, or keep it from serving others.
//!
//! `rows` holds the list of attacks and the test that shows each; some of these are in `src/wire/tests/`.
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
