//! Looking after a store from the command line: what can be asked of it, and the socket in its data directory
//! that a running server answers at.
//!
//! The client sends one line, a [`Request`] with the protocol's version, and the server answers with lines:
//! [`Event`]s, of which the last one is a result or a failure. Each line is one JSON object. Where no server
//! runs, the same request is carried out by the one who has it, on a [`Store`] of its own.

mod client;
mod commands;
mod failure;
mod message;
mod report;
mod server;
mod sink;
mod socket;
mod store;

pub(crate) use client::connect;
pub(crate) use commands::perform;
pub(crate) use failure::Failure;
pub(crate) use message::{Removal, Request};
pub(crate) use report::{
    Removed, RepositoryUsage, StatusReport, StoreUsage, TagEntry, TagGroup, TagUsage, TagUsageTotals,
};
pub(crate) use server::ControlServer;
pub(crate) use sink::Sink;
pub(crate) use store::{Serving, Store, check_owner};
