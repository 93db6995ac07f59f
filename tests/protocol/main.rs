//! The protocol as clients see it: every rule, against a server in this process and over TCP.
//!
//! `src/spec/rules.md` holds the rules, from the OCI distribution specification and from what clients need
//! beyond it. A test that shows a rule names it first in its doc comment: `/// C3, C11: …`; `rows` finds each
//! rule that no test names.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds anything else than it expects shall stop there"
)]

mod blobs;
mod catalog;
mod clients;
mod concurrency;
mod deletes;
mod durability;
mod errors;
mod general;
mod grammar;
mod legacy;
mod manifests;
mod rows;
mod support;
mod tags;
