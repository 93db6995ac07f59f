//! The transport's tests.

mod answers;
mod framing;
mod head;
mod requests;
mod server;
