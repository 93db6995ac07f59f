//! The protocol as clients see it: every row of the checklist, against a server in this process and over TCP.
//!
//! The checklist is made of the OCI distribution specification and of what clients need beyond it. A test
//! that shows one of its rows names it first in its doc comment: `/// C3, C11: …`; `rows` holds the list and
//! finds every row that no test names.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds anything else than it expects shall stop there"
)]

mod blobs_pull;
mod catalog;
mod clients;
mod concurrency;
mod conditions;
mod deletes;
mod durability;
mod errors;
mod general;
mod grammar;
mod legacy;
mod manifests_pull;
mod manifests_push;
mod mount;
mod referrers;
mod rows;
mod support;
mod tags;
mod uploads_chunked;
mod uploads_monolithic;
