//! The commands that look after a store, with the real binary: on a store that no server uses, and through
//! the control socket of one that runs.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod collecting;
#[path = "../common/mod.rs"]
mod common;
mod looking;
mod owner;
mod removing;
mod scrubbing;
mod socket;
mod support;
