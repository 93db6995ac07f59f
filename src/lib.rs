//! An OCI container registry for one machine that can lose power at any moment.

#[doc(hidden)]
pub mod cli;
mod config;
pub mod server;
