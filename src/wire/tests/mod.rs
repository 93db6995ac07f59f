//! The transport's tests.

mod answers;
mod differential;
mod files;
mod framing;
mod head;
mod requests;
mod server;
mod stopping;
