//! Connections: accepted, counted, served request by request, and ended.

mod admission;
mod body_handover;
mod context;
mod exchange;
mod linger;
mod listener;
mod next_head;
mod peer_reset;
mod stop;

#[cfg(test)]
pub(in crate::wire) use context::Connection;
pub use listener::{BindError, Listener, ServeOptions, serve};
pub use stop::Stop;
