//! Connections: accepted, counted, served request by request, and ended.
//!
//! | what | where |
//! |---|---|
//! | listening: on what, and how | `listen_address`, `listener` |
//! | accepting, and which connection gets a place | `acceptor`, `admission` |
//! | one connection, and what it shares with the others | `exchange`, `context` |
//! | waiting for the next request, and its body in the application's hands | `next_head`, `body_handover` |
//! | a client that resets its connection, and one that still sends at the end | `peer_reset`, `linger` |
//! | the signal to end | `stop` |
//! | the file of a Unix socket | `socket_file` |

mod acceptor;
mod admission;
mod body_handover;
mod context;
mod exchange;
mod linger;
mod listen_address;
mod listener;
mod next_head;
mod peer_reset;
mod socket_file;
mod stop;

pub use acceptor::{ServeOptions, serve};
#[cfg(test)]
pub(in crate::wire) use context::Connection;
pub use listen_address::{BoundAddress, ListenAddress, ListenAddressError};
pub use listener::{BindError, Listener};
pub(crate) use socket_file::{SocketFile, connect_socket};
pub use stop::Stop;
