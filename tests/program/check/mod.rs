//! `pulk check`, `pulk rebuild`, and how a start handles damage: with the real binary, on damage done by
//! hand.

mod checking;
mod rebuilding;
mod starting;
mod store;
