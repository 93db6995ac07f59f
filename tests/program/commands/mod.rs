//! The commands that look after a store, with the real binary: on a store that no server uses, and through
//! the control socket of one that runs.

mod collecting;
mod looking;
mod owner;
mod removing;
mod scrubbing;
mod socket;
mod support;
