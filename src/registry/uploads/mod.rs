//! Upload sessions in memory: their order, their bodies and buffers, and their time-out.

pub(in crate::registry) mod body;
pub(in crate::registry) mod expiry;
pub(in crate::registry) mod memory;
pub(in crate::registry) mod names_in_use;
pub(in crate::registry) mod pool;
pub(in crate::registry) mod restore;
mod saved;
pub(in crate::registry) mod session;
pub(in crate::registry) mod sessions;
pub(in crate::registry) mod spool;
