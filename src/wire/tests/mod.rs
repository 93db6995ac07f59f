//! The transport's tests.

mod admission;
mod answers;
mod differential;
mod files;
mod framing;
mod head;
mod leaving;
mod requests;
mod server;
mod stopping;
