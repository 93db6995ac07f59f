//! The control socket of a data directory, at which a running server answers what its owner asks.
//!
//! The client sends one line, a [`Request`](crate::admin::Request) with the protocol's version. The server
//! answers with lines, each an [`AnswerPart`](message::AnswerPart); the last one is a result or a failure.
//! Each line is one JSON object. Where no server runs, the client carries out the same request on a
//! [`OpenStore`](crate::admin::OpenStore) that it opens itself.

mod client;
mod message;
mod server;
mod sink;

pub(crate) use client::connect;
pub(crate) use server::ControlServer;
