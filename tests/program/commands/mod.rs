//! The commands for owners, with the real binary: on a stopped store, and through the control socket of a
//! running server.

mod damage;
mod gc;
mod log;
mod owner;
mod reports;
mod rm;
mod scrub;
mod socket;
mod support;
