//! The transport's tests.

mod answers;
mod files;
mod framing;
mod head;
mod requests;
mod server;
mod stopping;
