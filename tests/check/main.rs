//! `pulk check`, `pulk rebuild`, and how a start handles damage: with the real binary, on damage done by
//! hand.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod checking;
#[path = "../common/mod.rs"]
mod common;
mod rebuilding;
mod starting;
mod store;
